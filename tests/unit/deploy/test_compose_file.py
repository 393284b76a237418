"""Every path, command and variable in deploy/compose.yaml exists."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from rowguard.cli import app
from rowguard.settings import PROJECT_ROOT, Settings

FILE = PROJECT_ROOT / "deploy" / "compose.yaml"
VARIABLE = re.compile(r"\$\{(\w+)(:[-?][^}]*)?\}")
OURS = ("migrate", "logins", "api", "trainer", "airflow")
QUOTED = re.compile(r"`(rowguard [^`\n]+)`|compose run .*?\b(rowguard [^#\n]+)")

# https://hub.docker.com/_/postgres, "Environment Variables"
POSTGRES_IMAGE = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS"}


@cache
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return document


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def services() -> list[str]:
    return list(compose()["services"])


def variables_used() -> dict[str, set[str]]:
    """Each `${NAME…}` outside comments with what follows the name."""
    text = "\n".join(line for line in FILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    found: dict[str, set[str]] = {}
    for match in VARIABLE.finditer(text):
        found.setdefault(match[1], set()).add(match[2] or "")
    return found


def dockerfile(name: str) -> tuple[Path, Path]:
    """The recipe of a service's image and the directory that is sent along."""
    build = service(name)["build"]
    context = (FILE.parent / build["context"]).resolve()
    return context / build["dockerfile"], context


def instructions(path: Path) -> list[list[str]]:
    """The lines of a Dockerfile as words, continuation lines joined, comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.strip()]


def sent_to_docker(path: str) -> bool:
    """Whether .dockerignore, which names what is wanted, lets a path through."""
    wanted = {
        line[1:] for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    return Path(path).parts[0] in wanted


def parse(command: list[str]) -> None:
    """Have the command line read a command without running it; an unknown name or option raises."""
    group = typer.main.get_command(app)
    context = group.make_context("rowguard", command[1:2], resilient_parsing=True)
    assert command[1] in group.list_commands(context), f"rowguard has no command {command[1]!r}"  # type: ignore[attr-defined]
    group.get_command(context, command[1]).make_context(command[1], command[2:])  # type: ignore[attr-defined]


def built_services() -> list[str]:
    return [name for name in services() if "build" in service(name)]


@pytest.mark.parametrize("name", built_services())
def test_recipe_is_there_and_has_the_target(name: str) -> None:
    recipe, context = dockerfile(name)
    assert context.is_dir()
    assert recipe.is_file()
    target = service(name)["build"].get("target")
    stages = [words[3] for words in instructions(recipe) if words[0] == "FROM" and len(words) == 4]
    assert target is None or target in stages


@pytest.mark.parametrize("name", built_services())
def test_recipe_copies_what_is_there(name: str) -> None:
    recipe, context = dockerfile(name)
    for words in instructions(recipe):
        if words[0] != "COPY":
            continue
        *sources, _ = [word for word in words[1:] if not word.startswith("--")]
        for source in sources:
            assert (context / source).exists(), f"{recipe}: {source} is not there"
            assert context != PROJECT_ROOT or sent_to_docker(source), f".dockerignore keeps {source} back"


def test_image_holds_every_package_of_the_wheel() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    recipe, _ = dockerfile("api")
    copied = {word for words in instructions(recipe) if words[0] == "COPY" for word in words[1:-1]}
    assert set(packages) <= copied


@pytest.mark.parametrize("name", services())
def test_volumes_are_declared_or_there(name: str) -> None:
    used = {volume.split(":")[0] for other in services() for volume in service(other).get("volumes", [])}
    assert set(compose()["volumes"]) <= used
    for volume in service(name).get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith((".", "/")):
            assert (PROJECT_ROOT / source).exists()
        else:
            assert source in compose()["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_command_exists(name: str) -> None:
    command = service(name)["command"]
    if command[0] == "rowguard":
        parse(command)
    elif command[0] == "python":
        assert (PROJECT_ROOT / command[1]).is_file()
    else:
        assert command == ["airflow", "standalone"]


def test_commands_in_its_comments_exist() -> None:
    found = [quoted or run for quoted, run in QUOTED.findall(FILE.read_text())]
    assert found
    for command in found:
        parse(re.split(r"\s{2,}", command.strip())[0].split())  # two spaces: what follows explains it


def settings_variables() -> set[str]:
    prefix = Settings.model_config["env_prefix"]
    return {
        str(field.validation_alias or f"{prefix}{name}".upper())
        for name, field in Settings.model_fields.items()
    }


def given_variables(name: str) -> set[str]:
    return set(service(name).get("environment", {}))


def read_by(script: str) -> set[str]:
    return set(re.findall(r"\b[A-Z]{2,}_[A-Z_]*PASSWORD\b", (PROJECT_ROOT / script).read_text()))


@pytest.mark.parametrize("name", ["migrate", "api", "trainer"])
def test_variables_are_settings(name: str) -> None:
    assert given_variables(name) <= settings_variables()


def test_variables_of_the_other_containers_are_read() -> None:
    assert given_variables("postgres") <= POSTGRES_IMAGE
    assert given_variables("logins") == {"DATABASE_URL"} | read_by("deploy/images/logins.py")
    assert given_variables("pgbouncer") == read_by("deploy/images/pgbouncer/entrypoint.sh")
    own = {name for name in given_variables("airflow") if not name.startswith("AIRFLOW__")}
    assert own <= settings_variables() | read_by("deploy/images/airflow/entrypoint.sh")


def test_variables_of_the_image_are_settings_or_known() -> None:
    known = {"HOME", "MPLCONFIGDIR", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "AIRFLOW_HOME"}
    recipe, _ = dockerfile("airflow")
    given = {word.split("=")[0] for words in instructions(recipe) if words[0] == "ENV" for word in words[1:]}
    ours = {name for name in given if not name.startswith(("PIP_", "DBT_", "AIRFLOW__"))}
    assert ours <= known | settings_variables()


def test_variables_are_documented() -> None:
    example = (PROJECT_ROOT / ".env.example").read_text()
    assert set(variables_used()) <= set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]*)=", example, re.MULTILINE))


def test_passwords_are_only_references_without_a_default() -> None:
    for variable, forms in variables_used().items():
        if "PASSWORD" in variable:
            assert all(form.startswith(":?") for form in forms), variable
    for name in services():
        for variable, value in service(name).get("environment", {}).items():
            if "PASSWORD" in variable:
                assert VARIABLE.fullmatch(value), f"{name}: {variable}"
            for password in re.findall(r"://\w+:(.*)@", value):
                assert VARIABLE.fullmatch(password), f"{name}: {variable}"


def test_ports_are_published_on_loopback_only() -> None:
    published = {name: port for name in services() for port in service(name).get("ports", [])}
    assert published == {
        "pgbouncer": "127.0.0.1:6432:6432",
        "api": "127.0.0.1:8001:8001",
        "airflow": "127.0.0.1:8080:8080",
    }


@pytest.mark.parametrize("name", services())
def test_containers_are_hardened_and_do_not_run_as_root(name: str) -> None:
    assert service(name)["read_only"] is True
    assert service(name)["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service(name)["security_opt"]
    if "build" not in service(name):
        assert service(name)["user"] not in ("root", "0")
        return
    users = [words[1] for words in instructions(dockerfile(name)[0]) if words[0] == "USER"]
    assert users
    assert users[-1] != "root"


@pytest.mark.parametrize("name", services())
def test_dependencies_can_be_met(name: str) -> None:
    for other, how in service(name).get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in service(other)
        else:
            assert service(other)["restart"] == "no", "a job that is restarted never completes"


@pytest.mark.parametrize(
    "script", sorted((PROJECT_ROOT / "deploy").rglob("*.sh")), ids=lambda path: path.name
)
def test_scripts_parse(script: Path) -> None:
    subprocess.run(["sh", "-n", script], check=True)
    assert os.access(script, os.X_OK)


def test_health_check_of_the_api_asks_a_real_endpoint() -> None:
    from api.app import create_app

    text = " ".join(service("api")["healthcheck"]["test"])
    path = re.search(r"http://127\.0\.0\.1:8001(/\w*)", text)
    assert path
    settings = Settings(database_url="postgresql://nowhere", _env_file=None)
    assert path[1] in create_app(settings).openapi()["paths"]


def config(environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip(
            "docker-compose is not installed (Debian's package of that name is enough; no daemon needed)"
        )
    empty = folder / "env"
    empty.touch()
    profiles = ["--profile", "airflow", "--profile", "trainer"]
    return subprocess.run(
        [program, "--env-file", str(empty), "--file", str(FILE), *profiles, "config", "--quiet"],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def required() -> dict[str, str]:
    used = variables_used().items()
    return {name: "0123abcd" for name, forms in used if any(form.startswith(":?") for form in forms)}


def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    done = config(required(), tmp_path)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize("missing", sorted(required()))
def test_docker_compose_names_a_missing_password(missing: str, tmp_path: Path) -> None:
    done = config({name: value for name, value in required().items() if name != missing}, tmp_path)
    assert done.returncode != 0
    assert missing in done.stderr
