"""The generated parts of the documents: `python -m tests.support.documents`, behind `make docs`.

A part stands between `<!-- name:start -->` and `<!-- name:end -->`.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from kiro2api.config import settings_table
from kiro2api.emulator.errors_table import REFUSALS, SIGN_IN_REFUSALS, Refusal
from kiro2api.emulator.scenarios import SCENARIOS
from kiro2api.emulator.steps import Flaw
from tests.support.tree import ROOT

READMES = ("README.md", "README.zh-CN.md")


def _rows(*rows: Iterable[str]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _refusals() -> str:
    said = ((f"`{name}`", str(r.status), r.exception, _reason(r)) for name, r in REFUSALS.items())
    return _rows(("error", "status", "exception", "reason"), ("---",) * 4, *said)


def _reason(refusal: Refusal) -> str:
    if refusal.reason is None:
        return "`null`"
    return f"`{refusal.reason}`" if isinstance(refusal.reason, str) else "–"


def _sign_in_refusals() -> str:
    said = ((f"`{name}`", str(r.status), r.exception) for name, r in SIGN_IN_REFUSALS.items())
    return _rows(("error", "status", "exception"), ("---",) * 3, *said)


def _scenarios() -> str:
    groups: dict[str, list[str]] = {}
    for name in SCENARIOS:
        groups.setdefault(name.partition("_")[0], []).append(f"`{name}`")
    alone = [names.pop() for names in groups.values() if len(names) == 1]
    lines = [", ".join(names) for names in (*groups.values(), alone) if names]
    return "\n".join(f"- {line}" for line in lines)


GENERATED: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"settings": lambda: settings_table("en")},
    "README.zh-CN.md": {"settings": lambda: settings_table("zh")},
    "docs/reference/emulator.md": {
        "flaws": lambda: ", ".join(f"`{flaw}`" for flaw in Flaw),
        "errors": _refusals,
        "sign-in-errors": _sign_in_refusals,
        "scenarios": _scenarios,
    },
}


def part(text: str, name: str) -> str:
    """Return what stands in the part `name` of a document."""
    return text.partition(f"<!-- {name}:start -->")[2].partition(f"<!-- {name}:end -->")[0]


def with_current_parts(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """Return a document with its generated parts as the program has them now."""
    for name, make in parts.items():
        marked = re.compile(
            rf"(<!-- {name}:start -->)(\n?).*?(?=<!-- {name}:end -->)",
            re.DOTALL,
        )
        made = make()
        text = marked.sub(lambda found, made=made: found[1] + found[2] + made + found[2], text)
    return text


if __name__ == "__main__":
    for file, parts in GENERATED.items():
        path = ROOT / file
        path.write_text(with_current_parts(path.read_text(), parts))
