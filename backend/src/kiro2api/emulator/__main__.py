"""`python -m kiro2api.emulator`: runs an emulator and prints one JSON line with its URL.

Options are `--name value` or `--name=value` with the names of `EmulatorOptions`; `--accounts` is a
JSON array of account definitions.
"""

import sys

import msgspec

from kiro2api.emulator.server import EmulatorOptions, run
from kiro2api.errors import RequestError, SetupError
from kiro2api.protocol.wire import json


def parse_options(arguments: list[str]) -> EmulatorOptions:
    """Return the options that the command line spells.

    Raises:
        SetupError: an option is unknown, has no value, or a wrong one.
    """
    known = {field.encode_name for field in msgspec.structs.fields(EmulatorOptions)}
    given: dict[str, object] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not word.startswith("--") or name not in known:
            raise SetupError(f"The emulator has no option {word!r}; it has {sorted(known)}.")
        spelled = value if equals else next(words, None)
        if spelled is None:
            raise SetupError(f"The option {word} needs a value.")
        given[name] = spelled.split(",") if name == "alpn" else spelled
    try:
        if "accounts" in given:
            given["accounts"] = json.decode(str(given["accounts"]))
        return json.convert(given, EmulatorOptions)
    except RequestError as error:
        raise SetupError(f"The emulator's options are wrong: {error.path} {error}") from None


def main(arguments: list[str] | None = None) -> None:
    """Run the emulator that `arguments` (by default the process's own) ask for."""
    try:
        options = parse_options(sys.argv[1:] if arguments is None else arguments)
    except SetupError as error:
        sys.exit(str(error))

    def tell(url: str) -> None:
        sys.stdout.write(json.encode({"url": url, "ca_file": options.ca_file}).decode() + "\n")
        sys.stdout.flush()

    try:
        run(options, started=tell)
    except OSError as error:
        sys.exit(f"The emulator cannot listen on {options.host}:{options.port}: {error}")


if __name__ == "__main__":
    main()
