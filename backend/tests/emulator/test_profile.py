"""Which checks are in force."""

import pytest

from kiro2api.emulator.profile import KNOWN_RULES, PROFILES, ProfileName, Rules


def test_alternation_is_demanded_by_the_strict_profile_only() -> None:
    demands = [
        Rules(name).demands("R16") for name in (ProfileName.RUNTIME_2026, ProfileName.Q_2025)
    ]

    assert demands == [True, False]


def test_the_description_limit_is_the_old_profile_s_only() -> None:
    demands = [
        Rules(name).demands("R19.limit") for name in (ProfileName.RUNTIME_2026, ProfileName.Q_2025)
    ]

    assert demands == [False, True]


@pytest.mark.parametrize("rule", sorted(KNOWN_RULES))
@pytest.mark.parametrize("enabled", [True, False])
def test_every_check_can_be_switched(rule: str, enabled: bool) -> None:
    rules = Rules(ProfileName.RUNTIME_2026)
    rules.switch(rule, enabled)

    assert rules.demands(rule) is enabled


def test_there_is_no_switch_for_an_unknown_check() -> None:
    with pytest.raises(KeyError):
        Rules(ProfileName.Q_2025).switch("R99", True)


def test_the_older_service_takes_smaller_bodies() -> None:
    sizes = {name: profile.max_body_bytes for name, profile in PROFILES.items()}

    assert sizes == {ProfileName.RUNTIME_2026: 32 * 1024 * 1024, ProfileName.Q_2025: 600_000}
