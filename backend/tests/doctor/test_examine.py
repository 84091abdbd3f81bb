"""All checks together: their order, and what one fault spares the others."""

from kiro2api.doctor import Verdict
from tests.support.patient import Patient, free_port
from tests.support.stores import social, start


def test_the_checks_come_in_the_order_of_a_start(patient: Patient) -> None:
    start(patient.database, social("a-token"))

    checks = list(dict.fromkeys(found.check for found in patient.findings()))

    assert checks == [
        "settings",
        "proxy variables",
        "versions",
        "open files",
        "certificates",
        "data folder",
        "database",
        "port",
        "hosts",
        "clock",
        "accounts",
    ]


def test_without_usable_settings_only_the_machine_is_looked_at(patient: Patient) -> None:
    patient.environ["PORT"] = "x"

    assert [found.check for found in patient.findings()] == ["settings", "versions"]


def test_nothing_is_made_where_nothing_was(patient: Patient) -> None:
    patient.findings()

    assert list(patient.database.parent.iterdir()) == []


def test_a_proxy_that_is_gone_spares_the_hosts(patient: Patient) -> None:
    patient.environ["KIRO_PROXY_URL"] = f"http://127.0.0.1:{free_port()}"

    findings = patient.findings()

    assert [f.check for f in findings if f.verdict is Verdict.FAULT] == ["proxy"]
    assert "hosts" not in {f.check for f in findings}


def test_the_client_key_of_the_settings_is_shown_unless_one_is_given(patient: Patient) -> None:
    del patient.environ["KIRO_CLIENT_TOKEN"]
    url = f"http://127.0.0.1:{free_port()}"

    without, given = patient.findings(url=url)[-1], patient.findings(url=url, key="k")[-1]

    assert "was not tried" in without.what
    assert "could not connect" in given.what
