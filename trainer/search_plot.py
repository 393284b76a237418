"""The plot of a search: average precision of the outer folds, of the picks and of the default."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from trainer.search import DEFAULT_TRIAL, Found


def plot_search(found: Found, path: Path) -> None:
    """Writes an SVG: each trial a faint line, the default and the picks bold."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    starts = range(len(found.picks))
    for tried in found.tried:
        values = [one.average_precision for one in tried.results[found.outer :]]
        is_default = tried.trial.name == DEFAULT_TRIAL
        axes.plot(
            starts,
            values,
            "o-" if is_default else "-",
            color="tab:blue" if is_default else "lightgrey",
            label="default" if is_default else None,
            zorder=2 if is_default else 1,
        )
    picked = [pick.result.average_precision for pick in found.picks]
    axes.plot(starts, picked, "s--", color="tab:orange", label="picked by the weeks before", zorder=3)
    axes.set(title="Average precision of weeks that had no say in the pick", xlabel="training from")
    axes.set_xticks(starts, [f"{pick.result.start:%d %b}" for pick in found.picks])
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
