"""The generated parts of the documents: `python -m tests.support.documents`, behind `make docs`."""

import re
from typing import Literal

from kiro2api.config import settings_table
from tests.support.tree import ROOT

READMES: dict[str, Literal["en", "zh"]] = {"README.md": "en", "README.zh-CN.md": "zh"}
_TABLE = re.compile(r"(?<=<!-- settings:start -->\n).*?(?=<!-- settings:end -->)", re.DOTALL)


def with_current_table(text: str, language: Literal["en", "zh"]) -> str:
    """Return a README with the table of settings as the program has it now."""
    return _TABLE.sub(lambda _: settings_table(language) + "\n", text)


if __name__ == "__main__":
    for file, language in READMES.items():
        path = ROOT / file
        path.write_text(with_current_table(path.read_text(), language))
