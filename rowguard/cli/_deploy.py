"""deploy, promote, retire-challenger, rollback, roll-forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rowguard.cli._next import print_next
from rowguard.cli._output import Json, out, print_json, steps
from rowguard.cli._target import database_url, resolve_version
from rowguard.errors import NoOtherChampionError

if TYPE_CHECKING:
    from sql_scoring.deployment import Deployment

Force = Annotated[bool, typer.Option("--force", help="Overrule the gates; recorded in the registry.")]
Steps = Annotated[int, typer.Option("--steps", help="Number of champions.", min=1)]


def deploy(
    version: Annotated[
        str, typer.Argument(help="A registered version, or how it or its hash starts.", show_default=False)
    ],
    role: Annotated[
        Literal["champion", "challenger"],
        typer.Option("--as", help="champion: it decides. challenger: its score is only stored."),
    ] = "champion",
    canary: Annotated[
        float,
        typer.Option(help="With --as challenger: percent of users whom it decides.", min=0, max=100),
    ] = 0.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Deploy a model by a migration, after the gates and the parity check in the database.

    Example: rowguard deploy rf_20261101_1a2b3c4d --as challenger --canary 5
    """
    from rowguard.settings import settings
    from trainer.retrain import deploy as run

    if canary and role == "champion":
        raise typer.BadParameter(
            "only a challenger has a canary; give --as challenger", param_hint="--canary"
        )
    url = database_url()
    version = resolve_version(url, version)
    with steps(quiet=as_json) as step:
        deployment = run(
            url, settings(), version, role=role, canary_percent=canary, force=force, progress=step
        )
    _report(deployment, as_json)
    if as_json:
        return
    if role == "challenger":
        compare = 'rowguard psql -c "SELECT * FROM features.monitoring_challenger_daily"'
        print_next(url, (compare, "how it compares"))
    else:
        print_next(url)


def promote(force: Force = False, as_json: Json = False) -> None:
    """Make the challenger the champion.

    Example: rowguard promote
    """
    from rowguard.settings import settings
    from trainer.retrain import promote as run

    url = database_url()
    with steps(quiet=as_json) as step:
        deployment = run(url, settings(), force=force, progress=step)
    _report(deployment, as_json)


def retire_challenger(as_json: Json = False) -> None:
    """End the challenger's shadow deployment; its shadow scores stay on the rows.

    Example: rowguard retire-challenger
    """
    from rowguard.settings import settings
    from trainer.retrain import retire_challenger as run

    _report(run(database_url(), settings()), as_json)


def rollback(
    steps: Steps = 1,
    to: Annotated[str | None, typer.Option(help="A former champion by name, instead of --steps.")] = None,
    as_json: Json = False,
) -> None:
    """Go back to the previous champion; repeated calls keep going back.

    Example: rowguard rollback --steps 3
    """
    from rowguard.settings import settings
    from trainer.retrain import rollback as run

    if to is not None and steps != 1:
        raise typer.BadParameter("give either --steps or --to")
    try:
        url = database_url()
        deployment = run(url, settings(), steps=steps, to=to and resolve_version(url, to))
    except NoOtherChampionError as error:
        _report_unmoved(error, steps, as_json)
        return
    _report(deployment, as_json)


def roll_forward(steps: Steps = 1, as_json: Json = False) -> None:
    """Go forward again to the champion that was rolled back.

    Example: rowguard roll-forward --steps 2
    """
    from rowguard.settings import settings
    from trainer.retrain import roll_forward as run

    try:
        deployment = run(database_url(), settings(), steps=steps)
    except NoOtherChampionError as error:
        _report_unmoved(error, steps, as_json)
        return
    _report(deployment, as_json)


def print_deployment(deployment: Deployment) -> None:
    """Print a deployment as one line.

    Args:
        deployment: What changed.
    """
    parity, version = deployment.parity, deployment.version
    compared = f"; {parity.rows:,} rows compared, {parity.differences} differ" if parity else ""
    if version != deployment.previous:
        out.print(f"{version} is champion, the previous one was {deployment.previous or 'none'}{compared}")
    elif deployment.challenger:
        percent = deployment.canary_percent
        role = f"decides for {percent:g} % of users" if percent else "is only compared"
        out.print(f"{deployment.challenger} is challenger and {role}; {version} is champion{compared}")
    else:
        out.print(f"{version} is champion; there is no challenger")


def _report_unmoved(error: NoOtherChampionError, steps: int, as_json: bool) -> None:
    """Say that there is nothing to go to, which is no fault unless more than one step was asked for."""
    if steps != 1:
        raise error
    if as_json:
        print_json({"champion": error.champion, "previous": error.champion, "note": str(error)})
    else:
        out.print(f"nothing changed: {error}", markup=False)


def _report(deployment: Deployment, as_json: bool) -> None:
    if as_json:
        print_json(deployment.as_document())
    else:
        print_deployment(deployment)
