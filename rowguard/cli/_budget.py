"""budget."""

from __future__ import annotations

from typing import Annotated

import typer

from rowguard.cli._output import Json, next_steps, out, parse_time, print_json, steps, table
from rowguard.cli._target import database_url


def register(app: typer.Typer) -> None:
    app.command()(budget)


def budget(
    us: Annotated[
        float | None, typer.Option("--us", help="Microseconds that one call in its own transaction may take.")
    ] = None,
    mb: Annotated[
        float | None, typer.Option("--mb", help="Megabytes that the function may hold in each connection.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="First day of the training window.")] = None,
    cutoff: Annotated[
        str | None, typer.Option("--to", help="Cut-off: only labels known by then are used.")
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Fit the chosen forest and register it as a candidate.")
    ] = False,
    as_json: Json = False,
) -> None:
    """The forest with the best average precision that a cost allows, and what more or less would buy.

    Fits forests of many sizes on the earlier rows, judges them on the later ones, predicts their cost.

    Example: rowguard budget --us 30 --mb 10 --train
    """
    from dataclasses import asdict
    from datetime import timedelta

    from rowguard.settings import settings
    from trainer import budget as budgets
    from trainer import training
    from trainer.evaluation import AlertBudget

    if us is None and mb is None:
        raise typer.BadParameter("give --us, --mb or both")
    limit = budgets.Budget(us, mb)
    begin, end = parse_time(start, "--from"), parse_time(cutoff, "--to")
    url, config = database_url(), settings()
    delay = timedelta(days=config.label_delay_days)
    with steps(quiet=as_json) as step:
        found = budgets.search(url, limit, label_delay=delay, start=begin, cutoff=end, progress=step)
        plot = budgets.draw(found, limit, config.state_dir / "budget" / "tradeoff.png")
        candidate = None
        if train:
            candidate = training.train(
                url,
                state_dir=config.state_dir,
                label_delay=delay,
                rule=AlertBudget(config.alert_budget),
                start=begin,
                cutoff=end,
                parameters=found.parameters,
                progress=step,
            )
    if as_json:
        print_json(
            {
                "best": asdict(found.best),
                "candidates": [asdict(one) for one in found.candidates],
                "rows": found.rows,
                "frauds": found.frauds,
                "plot": str(plot),
                "version": candidate.version if candidate else None,
            }
        )
        return
    rows = [
        (
            one.trees,
            one.max_leaves,
            one.average_precision,
            round(one.microseconds, 1),
            round(one.megabytes, 1),
            "★" if one == found.best else "yes" if one.fits else "no",
        )
        for one in found.candidates
    ]
    columns = ["trees", "leaves", "average precision", "µs a call", "MB a connection", "fits"]
    title = f"Judged on {found.rows:,} later rows, {found.frauds:,} frauds; cost is predicted"
    out.print(table(columns, rows, title=title))
    out.print(f"plot: {plot}")
    if candidate:
        next_steps(f"rowguard deploy {candidate.version}")
    else:
        next_steps("the same with --train      fits the ★ and registers it")
