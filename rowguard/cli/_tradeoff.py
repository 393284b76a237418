"""tradeoff."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rowguard.cli._output import (
    From,
    Json,
    To,
    counted_steps,
    next_steps,
    out,
    print_json,
    print_table,
    steps,
)
from rowguard.cli._target import database_url

QUICK_GRID: dict[str, Any] = {"n_estimators": (10, 20, 35, 50), "max_leaf_nodes": (16, 32, 64)}


def tradeoff(
    max_us: Annotated[
        float | None, typer.Option("--max-us", help="Most microseconds per call in a separate transaction.")
    ] = None,
    max_mb: Annotated[
        float | None, typer.Option("--max-mb", help="Most megabytes that the function holds per connection.")
    ] = None,
    start: From = None,
    cutoff: To = None,
    train: Annotated[
        bool, typer.Option("--train", help="Fit the best forest and register it as a candidate.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Short form: up to 50 trees of 16 to 64 leaves.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find the forest with the best average precision within a cost limit, and show what other sizes give.

    Fits forests of many sizes on the earlier rows, evaluates them on the later ones, and predicts their cost.

    Example: rowguard tradeoff --max-us 30 --max-mb 10 --train
    """
    from datetime import timedelta

    from rowguard.settings import settings
    from trainer.plots import plot_tradeoff
    from trainer.tradeoff import MAX_LEAF_NODES, CostLimit, search_tradeoff
    from trainer.training import train as run

    if max_us is None and max_mb is None:
        raise typer.BadParameter("give --max-us, --max-mb or both")
    limit = CostLimit(max_us, max_mb)
    url, config = database_url(), settings()
    delay = timedelta(days=config.label_delay_days)
    plot = config.state_dir / "tradeoff" / "tradeoff.png"
    version = None
    grid: dict[str, Any] = QUICK_GRID if quick else {}
    sizes, hint = len(grid.get("max_leaf_nodes", MAX_LEAF_NODES)), "" if quick else "; shorter: --quick"
    with counted_steps("sizes", sizes, quiet=as_json, hint=hint) as step:
        result = search_tradeoff(
            url, limit, label_delay=delay, start=start, cutoff=cutoff, progress=step, **grid
        )
    plot_tradeoff(result, limit, plot)
    if train:
        with steps(quiet=as_json) as step:
            version = run(
                url, config, start=start, cutoff=cutoff, parameters=result.parameters, progress=step
            ).version
    if as_json:
        print_json({**vars(result), "plot": plot, "version": version})
        return
    rows = [
        {
            "trees": point.n_estimators,
            "leaves": point.max_leaf_nodes,
            "AP": point.average_precision,
            "µs per call": round(point.microseconds, 1),
            "MB per connection": round(point.megabytes, 1),
            "within limit": "★" if point == result.best else "yes" if point.is_within_limit else "no",
        }
        for point in result.grid
    ]
    print_table(rows, f"Evaluated on {result.rows:,} later rows, {result.frauds:,} frauds; cost is predicted")
    out.print(f"plot: {plot}", soft_wrap=True)
    next_steps(
        f"rowguard deploy {version}" if version else ("the same with --train", "fit the ★ and register it")
    )
