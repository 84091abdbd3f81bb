"""The container files: what they promise to an operator. Linters judge the rest in `make check`."""

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.tree import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
FINAL_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """The one service of the compose file, as plain data."""
    compose = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    assert list(compose["services"]) == ["kiro2api"]
    assert set(compose["volumes"]) == {"data"}
    return dict(compose["services"]["kiro2api"])


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\S+)$", FINAL_STAGE, re.MULTILINE) == ["10001"]


def test_the_image_listens_to_the_outside_and_keeps_its_data_in_the_volume() -> None:
    assert "HOST=0.0.0.0" in FINAL_STAGE
    assert "KIRO_DB_PATH=/data/" in FINAL_STAGE
    assert re.search(r"^VOLUME /data$", FINAL_STAGE, re.MULTILINE)


def test_the_image_is_healthy_when_the_listener_answers() -> None:
    health = re.search(r"HEALTHCHECK .*\n\s+CMD (.*)", FINAL_STAGE)

    assert health
    assert "/health'" in health[1]
    assert "PORT" in health[1]


def test_the_image_installs_only_what_is_pinned_by_hash() -> None:
    assert "--require-hashes --no-deps" in DOCKERFILE
    assert DOCKERFILE.count("install") == 1


def test_the_image_is_built_on_glibc() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert set(bases) == {"python:3.13-slim"}


def test_nothing_but_sources_reaches_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {
        "!backend/requirements/runtime.txt",
        "!backend/src",
    }


@pytest.mark.parametrize(
    "variable",
    [
        "KIRO_CLIENT_TOKEN",
        "KIRO_AUTH_TOKEN",
        "PORT",
        "LOG_LEVEL",
        "GIN_MODE",
        "MAX_TOOL_DESCRIPTION_LENGTH",
    ],
)
def test_compose_passes_on(service: dict[str, Any], variable: str) -> None:
    passed = str(service["environment"].get(variable, "")) + "".join(service["ports"])

    assert variable in service["environment"]
    assert f"${{{variable}:-" in passed


def test_compose_passes_every_setting_on_but_the_places_of_the_container(
    service: dict[str, Any],
) -> None:
    assert service["env_file"] == [{"path": ".env", "required": False}]
    assert service["environment"]["HOST"] == "0.0.0.0"
    assert service["environment"]["KIRO_DB_PATH"].startswith("/data/")


def test_compose_keeps_the_data_and_opens_the_port(service: dict[str, Any]) -> None:
    assert service["volumes"] == ["data:/data"]
    assert service["ports"] == ["${PORT:-8080}:8080"]
