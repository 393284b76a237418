"""The command line. Commands import what they need inside, so that `--help` is quick."""

from __future__ import annotations

import os
import sys

import typer

from rowguard.cli import (
    _backtest,
    _budget,
    _data,
    _demo,
    _deploy,
    _doctor,
    _models,
    _monitor,
    _policy,
    _rescore,
    _retain,
    _search,
    _serve,
    _stack,
)
from rowguard.errors import RowguardError

app = typer.Typer(
    name="rowguard",
    help="Fraud scoring inside PostgreSQL. Without DATABASE_URL the embedded server of this checkout is used.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    _stack,
    _data,
    _models,
    _deploy,
    _backtest,
    _search,
    _doctor,
    _monitor,
    _budget,
    _policy,
    _rescore,
    _retain,
    _serve,
    _demo,
):
    module.register(app)


def main() -> None:
    """Run a command; what goes wrong is one line on standard error, and exit code 1 (usage: 2)."""
    try:
        app()
    except RowguardError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted", code=130)
    except BrokenPipeError:
        # The reader of our output has gone (`rowguard models | head`); there is nobody to tell.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        sys.exit(0)
    except Exception as error:
        engine = sys.modules.get("sql_scoring.engine")  # loads scikit-learn, so only commands that need it do
        if engine and isinstance(error, engine.UnsupportedModelError):
            _fail(str(error))
        if os.environ.get("ROWGUARD_DEBUG"):
            raise
        # SQLAlchemy adds the whole statement, which may be a migration, and drivers add the line of it.
        text = str(getattr(error, "orig", None) or error).strip().partition("\n")[0] or "no message"
        _fail(f"{type(error).__name__}: {text} (ROWGUARD_DEBUG=1 shows where)")


def _fail(message: str, code: int = 1) -> None:
    print(f"rowguard: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
