"""The documentation names only files, commands, options, settings and targets that exist, in the project's words."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import typer

from rowguard.cli import app
from rowguard.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md")
    for path in ROOT.glob(pattern)
    if not path.name.startswith(".")
)
GUIDES = [page for page in PAGES if not page.startswith("docs/notes/")]
SOURCES = ["api", "benchmarks", "dags", "dbt", "rowguard", "simulator", "sql_scoring", "tools", "trainer"]
MAX_DECISION_LINES = 12
MAX_SENTENCE_WORDS = 25
# Read by the code from the environment, before or without Settings.
OTHER_VARIABLES = {
    "ROWGUARD_BENCHMARK_DATA",
    "ROWGUARD_DEBUG",
    "ROWGUARD_PGBOUNCER_BIN",
    "ROWGUARD_POSTGRES_BIN",
}
FORBIDDEN_WORDS = """
    reckon(ed|s)? | anew | felt_\\w+ | second\\ opinions? | let(s|ting)?\\ through | made\\ up\\ for | mend(ed|s)?
    | turned\\ away | from\\ nothing | whoever | under\\ way | judge[ds]? | answers | stands | stood | hears | told
    | somebody | nobody | beside | of\\ (its|their)\\ own | by\\ itself | by\\ themselves | refuse[ds]? | refusals?
    | undecided | instants? | labelled | colours? | neighbours? | cancelled | favourites? | log-ins? | cut-offs?
    | set-ups? | look-ups? | time-outs? | seldom | mostly | by\\ chance | at\\ once | once\\ more | whole\\ or\\ not
    | to\\ the\\ last\\ bit | the\\ champion\\ before | what\\ is | so\\ many | that\\ many | people
"""
FORBIDDEN = re.compile(rf"\b({FORBIDDEN_WORDS})\b", re.VERBOSE | re.IGNORECASE)

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^\s*```.*?^\s*```[ ]*$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<![\w/.-])rowguard ([a-z][a-z-]*)([^\n`;|#)&]*)")
VARIABLE = re.compile(r"\bROWGUARD_[A-Z][A-Z0-9_]*[A-Z0-9]\b")
TARGET = re.compile(r"^make ([a-z][a-z-]*)", re.MULTILINE)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code(page: str) -> str:
    """The fenced blocks and code spans of a page; of other files every line."""
    text = read(page)
    return (
        "\n".join(FENCE.findall(text) + re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))
        if ".md" in page
        else text
    )


def prose(page: str) -> str:
    """The text of a page without code, tables' code spans and link targets."""
    text = FENCE.sub("", read(page))
    text = re.sub(r"`[^`\n]*`", "CODE", text)
    return re.sub(r"\]\([^)]*\)", "]", text)


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def command_options() -> dict[str, set[str]]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        name: {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        | {"--help"}
        for name, command in commands.items()
    }


@cache
def setting_variables() -> set[str]:
    prefix = str(Settings.model_config["env_prefix"])
    return {
        str(field.validation_alias or f"{prefix}{name}".upper())
        for name, field in Settings.model_fields.items()
    }


def sentences(page: str) -> list[str]:
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose(page))
    text = [block for block in blocks if not block.lstrip().startswith(("|", "#", "!"))]
    joined = [re.sub(r"\s+", " ", block) for block in text]
    return [sentence for block in joined for sentence in re.split(r"(?<=[.!?:;])\s+", block)]


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page: str) -> None:
    dead = []
    for target in LINK.findall(FENCE.sub("", read(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (
            anchor and anchor not in anchors(file.resolve().relative_to(ROOT).as_posix())
        ):
            dead.append(target)
    assert not dead


@pytest.mark.parametrize("room", SOURCES)
def test_sources_name_existing_pages(room: str) -> None:
    files = [path for path in (ROOT / room).rglob("*") if path.suffix in {".py", ".sql", ".yml", ".yaml"}]
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in re.findall(r"(?<!/)\bdocs/[a-z][\w/-]*(?:\.md)?", path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    }
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_exist(page: str) -> None:
    missing = set()
    for name, arguments in COMMAND.findall(code(page)):
        if name not in command_options():
            missing.add(f"rowguard {name}")
        elif name != "psql":
            options = set(re.findall(r"(?<!\S)--[a-z-]+", arguments))
            missing |= {f"rowguard {name} {option}" for option in options - command_options()[name]}
    assert not missing


def test_the_command_reference_is_complete() -> None:
    rows = re.findall(
        r"^\| `rowguard ([a-z-]+)[^`]*` \|[^|]*\|([^|]*)\|$", read("docs/reference/cli.md"), re.MULTILINE
    )
    differing = {name for name, _ in rows} ^ set(command_options())
    assert not differing
    missing = {
        f"rowguard {name} {option}"
        for name, options in rows
        for option in re.findall(r"`(--[a-z-]+)", options)
        if option not in command_options()[name]
    }
    assert not missing


@pytest.mark.parametrize("page", [*PAGES, ".env.example"])
def test_settings_exist(page: str) -> None:
    missing = set(VARIABLE.findall(read(page))) - setting_variables() - OTHER_VARIABLES
    assert not missing


@pytest.mark.parametrize("page", ["docs/reference/settings.md", ".env.example"])
def test_every_setting_is_documented(page: str) -> None:
    missing = {name for name in setting_variables() if name not in read(page)}
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    missing = set(TARGET.findall(code(page))) - set(
        re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE)
    )
    assert not missing


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/adr/")])
def test_decision_records_are_short(page: str) -> None:
    assert len(read(page).splitlines()) <= MAX_DECISION_LINES


@pytest.mark.parametrize("page", PAGES)
def test_words(page: str) -> None:
    words = {match.group(0) for match in FORBIDDEN.finditer(prose(page))}
    assert not words


@pytest.mark.parametrize("page", GUIDES)
def test_sentences_are_short(page: str) -> None:
    long = [sentence for sentence in sentences(page) if len(sentence.split()) > MAX_SENTENCE_WORDS]
    assert not long


def test_the_index_names_every_page() -> None:
    index = read("docs/index.md")
    pages = [
        page.removeprefix("docs/")
        for page in GUIDES
        if page.startswith("docs/") and not page.startswith("docs/adr/") and page != "docs/index.md"
    ]
    missing = [page for page in pages if f"({page})" not in index]
    assert not missing
