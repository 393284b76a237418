"""The command line. Commands import what they need inside, so that `--help` is fast."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from rowguard.cli import (
    _backtest,
    _console,
    _data,
    _demo,
    _deploy,
    _explain,
    _features,
    _inspect,
    _lists,
    _models,
    _operations,
    _policy,
    _register,
    _reviews,
    _roles,
    _rules,
    _serve,
    _stack,
    _tradeoff,
    _tune,
)
from rowguard.errors import RowguardError

app = typer.Typer(
    name="rowguard",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_given: bool) -> None:
    from importlib.metadata import version

    if is_given:
        print(f"rowguard {version('rowguard')}")
        raise typer.Exit


# Group → commands, in the order of `rowguard --help`.
GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Start": (_demo.demo, _stack.up, _stack.down, _stack.status, _stack.migrate, _stack.psql),
    "Data": (_inspect.inspect, _data.import_file, _data.simulate, _features.features, _operations.archive),
    "Models": (
        *(
            _models.retrain,
            _models.train,
            _register.register,
            _models.models,
            _deploy.deploy,
            _deploy.promote,
        ),
        *(_deploy.retire_challenger, _deploy.rollback, _deploy.roll_forward, _register.threshold),
    ),
    "Evaluation": (_backtest.backtest, _tune.tune, _tradeoff.tradeoff),
    "Operations": (
        *(_operations.monitor, _operations.doctor, _policy.unscored, _operations.rescore),
        *(_explain.explain, _explain.reasons),
        *(_policy.failure_policy, _policy.control_rate, _roles.roles),
    ),
    "HTTP": (_serve.serve, _serve.token, _console.console),
}
_NAMES = {"import_file": "import"}
for group, commands in GROUPS.items():
    for command in commands:
        passes_on = (
            {"allow_extra_args": True, "ignore_unknown_options": True} if command is _stack.psql else {}
        )
        name = _NAMES.get(command.__name__, command.__name__.replace("_", "-"))
        app.command(name, rich_help_panel=group, context_settings=passes_on)(command)
app.add_typer(_rules.app, name="rules", rich_help_panel="Outcomes")
app.add_typer(_lists.app, name="lists", rich_help_panel="Outcomes")
app.add_typer(_reviews.app, name="reviews", rich_help_panel="Outcomes")


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Fraud scoring inside PostgreSQL. Without DATABASE_URL the embedded server is used."""


def main() -> None:
    """Run a command. An error is one line on standard error and exit code 1 (usage: 2)."""
    try:
        app()
    except RowguardError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted", code=130)
    except BrokenPipeError:
        # The reader of our output ended, as in `rowguard models | head`.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        sys.exit(0)
    except Exception as error:
        if os.environ.get("ROWGUARD_DEBUG"):
            raise
        # SQLAlchemy appends the whole statement, drivers append the line.
        text = str(getattr(error, "orig", None) or error).strip().partition("\n")[0] or "no message"
        _fail(f"{type(error).__name__}: {text} (ROWGUARD_DEBUG=1 shows the traceback)")


def _fail(message: str, code: int = 1) -> None:
    print(f"rowguard: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
