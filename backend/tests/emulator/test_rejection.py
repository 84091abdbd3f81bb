"""The words of refusals."""

from kiro2api.emulator.rejection import constraint, malformed


def test_a_malformed_body_is_named_so() -> None:
    rejection = malformed("why")

    assert (rejection.reason, rejection.message) == (
        "REQUEST_BODY_INVALID",
        "Improperly formed request. why",
    )


def test_a_broken_constraint_tells_its_path_with_slashes() -> None:
    assert "Value at '/a/b/c' failed" in constraint("/a.b.c", "x").message
