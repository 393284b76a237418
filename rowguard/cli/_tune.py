"""tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._backtest import headed, means
from rowguard.cli._output import Json, counted_steps, next_steps, out, parse_day, print_json, print_table
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from trainer.tuning import SearchResult, TrialResult


def tune(
    train_start: Annotated[
        Any, typer.Option(parser=parse_day, metavar="DAY", help="First training day of the first outer fold.")
    ],
    folds: Annotated[int, typer.Option(help="Number of outer folds, a week later each.", min=1)] = 4,
    inner_folds: Annotated[int, typer.Option(help="Earlier weeks that select for each of them.", min=1)] = 4,
    trials: Annotated[int, typer.Option(help="Number of forests.", min=1)] = 24,
    seed: Annotated[int, typer.Option(help="Seed of the random trials.")] = 0,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Family to draw: forest, hist, xgboost, lightgbm, or all that are installed. Repeatable.",
            show_default="forest",
        ),
    ] = None,
    max_us: Annotated[
        float | None,
        typer.Option(
            "--max-us", help="Select only models of at most these microseconds per call.", show_default=False
        ),
    ] = None,
    max_mb: Annotated[
        float | None,
        typer.Option("--max-mb", help="Select only models of at most these megabytes.", show_default=False),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Short form: 1 fold, 2 inner folds, 8 trials.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Write an SVG plot of the folds.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Tune family, parameters and feature groups by nested validation, at most 8,000 nodes per forest.

    A week's trial is selected by average precision on weeks whose labels were known before it, so the line "selected"
    shows metrics of unseen weeks. Nothing is deployed; the defaults are in trainer/forest.py.

    Example: rowguard tune --train-start 2018-06-06 --folds 5 --trials 30 --plot tuning.svg
    """
    from rowguard.database import connect
    from trainer.backtest.protocol import BacktestPlan
    from trainer.dataset import read_feature_groups
    from trainer.plots import plot_tuning
    from trainer.tradeoff import CostLimit
    from trainer.tuning import draw_trials, search, weeks_between

    plan = BacktestPlan(train_start)
    if quick:
        folds, inner_folds, trials = 1, 2, 8
    url = database_url()
    with connect(url) as connection:
        groups = read_feature_groups(connection)
    families = _families(model or ["forest"])
    limit = CostLimit(max_us, max_mb) if max_us is not None or max_mb is not None else None
    drawn = draw_trials(groups, trials, seed=seed, families=families)
    weeks = folds + inner_folds + weeks_between(plan) - 1
    with counted_steps(
        "fits", weeks * len(drawn), quiet=as_json, hint="" if quick else "; shorter: --quick"
    ) as step:
        result = search(
            url,
            plan,
            drawn,
            list(groups),
            outer_folds=folds,
            inner_folds=inner_folds,
            limit=limit,
            progress=step,
        )
    if plot is not None:
        plot_tuning(result, plot)
    if as_json:
        print_json(_document(result))
        return
    _print(result)
    if plot is not None:
        out.print(f"plot: {plot}")
    next_steps(("rowguard tradeoff --max-us 30", "what a smaller forest would cost in precision"))


def _document(result: SearchResult) -> dict[str, Any]:
    return {
        "selected": {
            **means([selection.result for selection in result.selections]),
            "folds": [
                {
                    "trial": selection.trial.name,
                    "inner_average_precision": selection.inner_average_precision,
                    **vars(selection.result),
                }
                for selection in result.selections
            ],
        },
        "trials": [
            {
                **vars(trial.trial),
                "cost": trial.cost,
                "is_within_limit": trial.is_within_limit,
                "inner": trial.results[: result.outer],
                "outer": trial.results[result.outer :],
            }
            for trial in result.trials
        ],
    }


def _print(result: SearchResult) -> None:
    selected = [selection.result for selection in result.selections]
    rows: list[dict[str, Any]] = [
        {"trial": "selected", **headed(means(selected)), "nodes": None, "times selected": None}
    ]
    default, *others = result.trials
    outer = {trial.trial.name: means(trial.results[result.outer :]) for trial in result.trials}
    others.sort(key=lambda trial: -outer[trial.trial.name]["average_precision"])
    for trial in (default, *others):
        rows.append(
            {
                "trial": trial.trial.name,
                **headed(outer[trial.trial.name]),
                "nodes": max(fold.nodes for fold in trial.results),
                **_cost(trial),
                "times selected": sum(selection.trial == trial.trial for selection in result.selections),
            }
        )
    print_table(rows, "Means over the outer folds")
    for line in _reasons(result):
        out.print(line, markup=False)
    folds = [
        {
            "train from": f"{selection.result.start:%Y-%m-%d}",
            "selected": selection.trial.name,
            **headed(vars(selection.result)),
        }
        for selection in result.selections
    ]
    print_table(folds, "Selections")


def _families(names: list[str]) -> Any:
    from trainer.families import installed_families

    installed = installed_families()
    if "all" in names:
        return installed
    for name in names:
        if name not in installed:
            raise typer.BadParameter(
                f"{name!r} is not installed; there are: {', '.join(installed)}", param_hint="--model"
            )
    return tuple(dict.fromkeys(names))


def _cost(trial: TrialResult) -> dict[str, Any]:
    if trial.cost is None:
        return {} if trial.is_within_limit else {"µs": None, "MB": None, "within the limit": False}
    return {
        "µs": trial.cost.microseconds,
        "MB": trial.cost.memory_bytes / 1e6,
        "within the limit": trial.is_within_limit,
    }


def _reasons(result: SearchResult) -> list[str]:
    """One line per family: its best trial by the inner folds, and whether the limit allows it."""
    from trainer.families import family_of

    best: dict[str, tuple[float, TrialResult]] = {}
    for trial in result.trials:
        family = family_of(trial.trial.parameters)
        precision = means(trial.results[: result.outer])["average_precision"]
        key = (trial.is_within_limit, precision)
        if family not in best or key > (best[family][1].is_within_limit, best[family][0]):
            best[family] = (precision, trial)
    if len(best) == 1:
        return []
    return [
        f"best {family}: {trial.trial.name}, average precision {precision:.4f} on the inner folds"
        + ("" if trial.is_within_limit else "; no trial of it is within the limit")
        for family, (precision, trial) in sorted(best.items(), key=lambda item: -item[1][0])
    ]
