"""search."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._backtest import MEASURES
from rowguard.cli._output import Json, bar, out, parse_time, print_json, table
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from trainer.search import Found, Tried


def register(app: typer.Typer) -> None:
    app.command()(search)


def search(
    train_start: Annotated[
        str, typer.Option(help="First training day of the first outer fold.", show_default=False)
    ],
    folds: Annotated[int, typer.Option(help="Outer folds, a week later each.", min=1)] = 4,
    inner: Annotated[int, typer.Option(help="Earlier weeks that pick for each of them.", min=1)] = 4,
    trials: Annotated[int, typer.Option(help="How many forests to try.", min=1)] = 24,
    seed: Annotated[int, typer.Option(help="Draws the forests.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(help="Write a plot of the folds, an SVG.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Search forests of at most 8,000 nodes, and groups of features to do without, by nested validation.

    What is picked for a week is picked by average precision on weeks whose labels were known before it, so the
    figures of the line "picked" are those of unseen weeks. Nothing is deployed or changed; the forest's defaults
    stand in trainer/forest.py.

    Example: rowguard search --train-start 2018-06-06 --folds 5 --trials 30 --plot search.svg
    """
    from rowguard.database import connect
    from trainer.backtest.protocol import BacktestPlan
    from trainer.dataset import read_feature_groups, read_feature_list
    from trainer.search import draw_trials, weeks_between
    from trainer.search import search as run_search
    from trainer.search_plot import plot_search

    start = parse_time(train_start, "--train-start")
    assert start is not None
    plan = BacktestPlan(start.replace(hour=0, minute=0, second=0, microsecond=0))
    url = database_url()
    with connect(url) as connection:
        read_feature_list(connection)
        groups = read_feature_groups(connection)
    drawn = draw_trials(groups, trials, seed=seed)
    weeks = folds + inner + weeks_between(plan) - 1
    with bar("trials x folds", weeks * len(drawn), quiet=as_json) as advance:
        told = 0

        def progress(step: str, done: int, total: int) -> None:
            nonlocal told
            advance(done - told)
            told = done

        found = run_search(
            url, plan, drawn, list(groups), outer_folds=folds, inner_folds=inner, progress=progress
        )
        advance(weeks * len(drawn) - told)
    if plot is not None:
        plot_search(found, plot)
    if as_json:
        print_json(_document(found))
        return
    _print(found)
    if plot is not None:
        out.print(f"plot: {plot}")


def _document(found: Found) -> dict[str, Any]:
    return {
        "picked": {
            **_means([asdict(pick.result) for pick in found.picks]),
            "folds": [
                {
                    "trial": pick.trial.name,
                    "inner_average_precision": pick.inner_average_precision,
                    **asdict(pick.result),
                }
                for pick in found.picks
            ],
        },
        "trials": [
            {
                "name": tried.trial.name,
                "parameters": tried.trial.parameters.as_dict(),
                "features": list(tried.trial.features),
                "inner": [asdict(one) for one in tried.results[: found.outer]],
                "outer": [asdict(one) for one in tried.results[found.outer :]],
            }
            for tried in found.tried
        ],
    }


def _means(results: list[dict[str, Any]]) -> dict[str, float]:
    from statistics import mean

    return {measure: mean(one[measure] for one in results) for measure in MEASURES}


def _print(found: Found) -> None:
    def of_outer(tried: Tried) -> dict[str, float]:
        return _means([asdict(one) for one in tried.results[found.outer :]])

    rows: list[tuple[Any, ...]] = [
        ("picked", *_means([asdict(pick.result) for pick in found.picks]).values(), None, None)
    ]
    default = found.tried[0]
    for tried in [default, *sorted(found.tried[1:], key=lambda one: -of_outer(one)["average_precision"])]:
        picked = sum(pick.trial == tried.trial for pick in found.picks)
        nodes = max(one.nodes for one in tried.results)
        rows.append((tried.trial.name, *of_outer(tried).values(), nodes, picked))
    columns = ["trial", "AUC", "AP", "CP@100", "nodes", "times picked"]
    out.print(table(columns, rows, title="Means over the outer folds"))
    shown = [
        (f"{pick.result.start:%Y-%m-%d}", pick.trial.name, *(getattr(pick.result, name) for name in MEASURES))
        for pick in found.picks
    ]
    out.print(table(["train from", "picked", "AUC", "AP", "CP@100"], shown, title="Picks"))
