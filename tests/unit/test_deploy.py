"""examples/deploy: linted, without default passwords and rights, and with the options that memweld has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from memweld.cli import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "memweld@.service").read_text(encoding="utf-8")
PINNED = re.compile(r"[\w./-]+:\d+\.\d+(\.\d+)?[\w.-]*")
SERVE: Any = typer.main.get_command(app)


def run(*command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, **settings)


def has_docker(*command: str) -> bool:
    return shutil.which("docker") is not None and run("docker", *command).returncode == 0


def options_of(words: list[str]) -> set[str]:
    return {word for word in words if word.startswith("--")}


def known_options(command: str) -> set[str]:
    return {name for option in SERVE.commands[command].params for name in (*option.opts, *option.secondary_opts)}


def variables() -> set[str]:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    return set(re.findall(r"`(MEMWELD_\w+)`", page))


def test_the_image_is_pinned_and_runs_as_no_root() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert all(PINNED.fullmatch(base) for base in bases)
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert "HEALTHCHECK" in DOCKERFILE
    command = json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1])
    assert options_of(command) <= known_options("serve")
    for copied in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.MULTILINE):
        for name in [word for word in copied.split()[:-1] if not word.startswith("--")]:
            assert (ROOT / name).exists(), name


def test_the_dockerfile_is_linted() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint has no wheel for this machine")
    found = run(str(hadolint), str(DEPLOY / "Dockerfile"))
    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_builds_and_serves() -> None:
    if not has_docker("info"):
        pytest.skip("no Docker daemon is running here: the image is built only where one is")
    built = run("docker", "build", "-q", "-f", str(DEPLOY / "Dockerfile"), "-t", "memweld:test", ".", cwd=ROOT)
    assert built.returncode == 0, built.stderr
    assert run("docker", "run", "--rm", "memweld:test", "--version").stdout.startswith("memweld ")


def test_no_service_has_a_default_password() -> None:
    for name, service in SERVICES.items():
        for variable, value in (service.get("environment") or {}).items():
            is_secret = re.search(r"PASSWORD|AUTH$|TOKEN|KEY", variable) and not variable.endswith("_FILE")
            assert not is_secret or str(value).startswith("tokens:/run/secrets/"), (name, variable)
        assert urlsplit(str(service.get("environment", {}).get("MEMWELD_URL", ""))).password is None
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for secret in COMPOSE["secrets"].values():
        assert f"examples/deploy/{Path(secret['file']).parent.name}/" in ignored
        assert not (DEPLOY / secret["file"]).exists() or "CI" not in os.environ


def test_each_service_is_pinned_bounded_and_watched() -> None:
    for name, service in SERVICES.items():
        assert PINNED.fullmatch(service["image"]), name
        assert service["healthcheck"] if name != "memweld" else "healthcheck" not in service
        assert "no-new-privileges:true" in service["security_opt"]
        assert "privileged" not in service
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
        for other, condition in service.get("depends_on", {}).items():
            is_watched = other in SERVICES and condition["condition"] != "service_started"
            assert is_watched, (name, other)
    assert [port for service in SERVICES.values() for port in service.get("ports", ())] == ["127.0.0.1:8710:8710"]
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["neo4j"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("memweld", "migrate"):
        assert (SERVICES[name]["read_only"], SERVICES[name]["cap_drop"]) == (True, ["ALL"])


def test_options_and_variables_exist() -> None:
    for name in ("memweld", "migrate"):
        command, *words = SERVICES[name]["command"]
        assert options_of(words) <= known_options(command)
        given = {each for each in SERVICES[name]["environment"] if each.startswith("MEMWELD_")}
        assert {each.removesuffix("_FILE") for each in given} <= variables()
    (line,) = re.findall(r"^ExecStart=\S+ serve (.*)$", UNIT, re.MULTILINE)
    assert options_of(line.split()) <= known_options("serve")
    assert set(re.findall(r"MEMWELD_\w+", UNIT + DOCKERFILE)) <= variables()


def test_compose_accepts_it(tmp_path: Path) -> None:
    if not has_docker("compose", "version"):
        pytest.skip("docker compose is not installed here")
    for profile in ((), ("--profile", "graph")):
        done = run("docker", "compose", "-f", str(DEPLOY / "compose.yaml"), *profile, "config", "--quiet")
        assert done.returncode == 0, done.stderr


@pytest.fixture
def entrypoint(tmp_path: Path) -> Any:
    """The entrypoint, in front of a program that shows its arguments and passwords."""
    shown = tmp_path / "memweld"
    shown.write_text('#!/bin/sh\nprintf "%s|" "$@" "${PGPASSWORD-none}" "${MEMWELD_GRAPH_PASSWORD-none}"\n')
    shown.chmod(0o755)

    def call(**files: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **files}
        return run(str(DEPLOY / "entrypoint.sh"), "serve", "a b", env=environment)

    return call


def test_passwords_come_from_files(entrypoint: Any, tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("p$w 'x'/y\n")
    (tmp_path / "neo4j").write_text("neo4j/s3cret\n")
    done = entrypoint(PGPASSWORD_FILE=f"{tmp_path}/postgres", MEMWELD_GRAPH_PASSWORD_FILE=f"{tmp_path}/neo4j")
    assert done.stdout == "serve|a b|p$w 'x'/y|s3cret|"
    assert entrypoint().stdout == "serve|a b|none|none|"
    assert entrypoint(PGPASSWORD_FILE=f"{tmp_path}/absent").stdout == "serve|a b|none|none|"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as an instance, with this environment's program: systemd looks whether it exists."""
    instance = tmp_path / "memweld@8711.service"
    program = Path(sys.executable).parent / "memweld"
    text = UNIT.replace("/opt/memweld/bin/memweld", str(program))
    instance.write_text(text.replace("EnvironmentFile=/etc", "EnvironmentFile=-/etc"))
    return instance


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed here")
def test_systemd_accepts_the_unit_and_its_exposure_is_low(unit: Path) -> None:
    verified = run("systemd-analyze", "verify", str(unit))
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    # Of 100: 20 is what systemd calls "OK".
    found = run("systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit))
    assert found.returncode == 0, found.stdout[-300:]
