"""The registry of dialects: each one is whole, and speaks as itself."""

import pytest

from kiro2api.protocol.chat.answer import ErrorAnswer
from kiro2api.protocol.dialect import ANTHROPIC, OPENAI_CHAT, Dialect

HELLO = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hello"}]}'


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI_CHAT], ids=lambda dialect: dialect.name)
def test_each_dialect_reads_a_plain_question_as_the_same_turn(dialect: Dialect) -> None:
    assert dialect.parse(HELLO, {}).turns == ANTHROPIC.parse(HELLO, {}).turns


def test_each_dialect_tells_an_error_in_its_own_shape() -> None:
    told = ErrorAnswer(404, "no such thing")
    shapes = {one.render_error(told, "req_1").body for one in (ANTHROPIC, OPENAI_CHAT)}

    assert len(shapes) == 2
    assert all(b"no such thing" in body for body in shapes)
