"""deploy, promote, withdraw, rollback, forward, let-through: who decides, and what is let through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rowguard.cli._output import Json, err, next_steps, out, print_json, steps
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from sql_scoring.deployment import Deployment

Force = Annotated[bool, typer.Option("--force", help="Overrule the gates; recorded in the registry.")]
Steps = Annotated[int, typer.Option("--steps", help="How many champions.", min=1)]


def register(app: typer.Typer) -> None:
    for command in (deploy, promote, withdraw, rollback, forward):
        app.command()(command)
    app.command("let-through")(let_through)


def deploy(
    version: Annotated[
        str, typer.Argument(help="A registered version; see: rowguard models", show_default=False)
    ],
    role: Annotated[
        Literal["champion", "challenger"],
        typer.Option("--as", help="It decides, or is tried beside the one that does."),
    ] = "champion",
    canary: Annotated[
        float,
        typer.Option(help="With --as challenger: percent of users whom it decides.", min=0, max=100),
    ] = 0.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Judge a model by the gates, then write and apply the migration that makes it decide.

    Its function is compared with scikit-learn bit for bit inside the database before the commit.

    Example: rowguard deploy rf_20261101_1a2b3c4d --as challenger --canary 5
    """
    from trainer.retrain import deploy
    from rowguard.settings import settings

    if canary and role == "champion":
        raise typer.BadParameter("a canary is a challenger's; give --as challenger", param_hint="--canary")
    url = database_url()
    with steps(quiet=as_json) as step:
        done = deploy(url, settings(), version, role=role, canary_percent=canary, force=force, progress=step)
    _report(done, as_json)
    if as_json:
        return
    if role == "challenger":
        next_steps(
            'rowguard psql -c "SELECT * FROM features.challenger_days"      how it compares',
            "rowguard promote               it decides for everybody",
            "rowguard withdraw              end the trial",
        )
    else:
        next_steps("rowguard simulate --live      watch it decide", "rowguard rollback             go back")


def promote(force: Force = False, as_json: Json = False) -> None:
    """The challenger becomes the champion.

    Example: rowguard promote
    """
    from trainer.retrain import promote
    from rowguard.settings import settings

    url = database_url()
    with steps(quiet=as_json) as step:
        done = promote(url, settings(), force=force, progress=step)
    _report(done, as_json)


def withdraw(as_json: Json = False) -> None:
    """End the challenger's trial; what it said stays on the rows.

    Example: rowguard withdraw
    """
    from trainer.retrain import retire_challenger
    from rowguard.settings import settings

    _report(retire_challenger(database_url(), settings()), as_json)


def rollback(
    steps: Steps = 1,
    to: Annotated[
        str | None, typer.Option(help="A former champion by name, instead of a number of steps.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Back to the champion before; repeated calls keep going back.

    Example: rowguard rollback --steps 3
    """
    from trainer.retrain import rollback
    from rowguard.settings import settings

    if to is not None and steps != 1:
        raise typer.BadParameter("give either --steps or --to")
    _report_walk(rollback(database_url(), settings(), steps=steps, to=to), as_json)


def forward(steps: Steps = 1, as_json: Json = False) -> None:
    """Forward again to the champion that was rolled back.

    Example: rowguard forward --steps 2
    """
    from trainer.retrain import roll_forward
    from rowguard.settings import settings

    _report_walk(roll_forward(database_url(), settings(), steps=steps), as_json)


def let_through(
    share: Annotated[
        float | None, typer.Argument(help="From 0 to 1; without it the present one is shown.", min=0, max=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a random share of alerts through: what is always stopped is never labelled.

    Such rows keep their fraud_probability; fraud_flag says LEGITIMATE and is_let_through is true.

    Example: rowguard let-through 0.02
    """
    from dataclasses import asdict

    from rowguard.operations.control_group import control_rate

    found = control_rate(database_url(), share)
    if as_json:
        print_json(asdict(found))
    else:
        out.print(
            f"{found.share:.2%} of alerts are let through; in the last 30 days {found.let_through:,} "
            f"of {found.alerts:,}"
        )
        if found.held_by:
            err.print(f"  {found.held_by}")


def deployment_document(done: Deployment) -> dict[str, Any]:
    """A deployment as JSON."""
    return {
        "champion": done.version,
        "previous": done.previous,
        "challenger": done.challenger,
        "canary_percent": done.canary_percent,
        "revision": done.revision,
        "parity_rows": done.parity.rows if done.parity else None,
        "parity_differences": done.parity.differences if done.parity else None,
    }


def print_deployment(done: Deployment) -> None:
    """A deployment in one line."""
    compared = (
        f"; {done.parity.rows:,} rows compared, {done.parity.differences} differ" if done.parity else ""
    )
    if done.version != done.previous:
        out.print(f"{done.version} decides now (before: {done.previous or 'none'}){compared}")
    elif done.challenger:
        share = (
            f"decides for {done.canary_percent:g} % of users" if done.canary_percent else "decides nothing"
        )
        out.print(f"{done.challenger} is tried beside {done.version} and {share}{compared}")
    else:
        out.print(f"{done.version} decides for everybody; there is no challenger any more")


def _report(done: Deployment, as_json: bool) -> None:
    if as_json:
        print_json(deployment_document(done))
    else:
        print_deployment(done)


def _report_walk(done: Deployment, as_json: bool) -> None:
    if as_json:
        print_json(deployment_document(done))
    else:
        out.print(f"{done.version} decides again, instead of {done.previous}")
