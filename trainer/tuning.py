"""Tuning by nested prequential validation: the trial of a week is selected on earlier weeks only.

Every trial is evaluated on every fold of the backtest's protocol. A fold selects the trial with the best mean average
precision over its inner folds, whose test days and labels were known when the fold's test days started. So the
metrics of the selected trials are those of unseen weeks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from rowguard.errors import SettingsError
from rowguard.progress import Progress, silent
from sql_scoring.engine import forest_shape
from trainer.backtest.protocol import BacktestPlan, BacktestResult, Fold, evaluate_models
from trainer.backtest.runner import feature_groups
from trainer.forest import ForestParameters, fit_forest, predict_fraud_probability

DEFAULT_TRIAL = "default"
# 2 * leaves - 1 nodes per tree, at most MAX_NODES in total. Small forests too: each INSERT costs every tree and leaf.
MAX_NODES = 8_000
SHAPES = ((20, 32), (25, 32), (50, 32), (25, 64), (50, 64), (83, 48), (40, 96), (31, 128))
MAX_FEATURES = (0.2, 0.3, 0.4, 0.5, 0.7)
MIN_SAMPLES_LEAF = (5, 10, 20, 30, 40, 60)
FRAUD_CLASS_WEIGHTS = (1.0, 2.0, 4.0, 8.0)
MAX_SAMPLES = (15_000, 30_000, 250_000)


@dataclass(frozen=True)
class Trial:
    """A forest's parameters, on some of the list's features."""

    name: str
    parameters: ForestParameters
    features: tuple[str, ...]


@dataclass(frozen=True)
class TrialResult:
    """A trial and its result of each fold, inner folds first."""

    trial: Trial
    results: tuple[BacktestResult, ...]


@dataclass(frozen=True)
class FoldSelection:
    """The trial that an outer fold's inner folds selected, and its result on the outer fold."""

    trial: Trial
    result: BacktestResult
    inner_average_precision: float


@dataclass(frozen=True)
class SearchResult:
    """All trials and selections; `outer` is the position of the first outer fold among a trial's results."""

    trials: tuple[TrialResult, ...]
    selections: tuple[FoldSelection, ...]
    outer: int


def draw_trials(groups: Mapping[str, str], count: int, *, seed: int = 0) -> list[Trial]:
    """Draw trials: the default, the default without each feature group, then random forests.

    Args:
        groups: Feature → group, in model order.
        count: Number of trials.
        seed: Of the random forests.

    Returns:
        The trials.

    Raises:
        SettingsError: `count` is smaller than the number of fixed trials.
    """
    names = tuple(groups)
    trials = [Trial(DEFAULT_TRIAL, ForestParameters(), names)]
    for left_out in feature_groups(dict(groups)):
        remaining = tuple(name for name, group in groups.items() if group != left_out)
        trials.append(Trial(f"without {left_out}", ForestParameters(), remaining))
    if count < len(trials):
        raise SettingsError(f"at least {len(trials)} trials are needed: the default, and without each group")
    random = np.random.default_rng(seed)
    while len(trials) < count:
        trees, leaves = SHAPES[random.integers(len(SHAPES))]
        parameters = ForestParameters(
            n_estimators=trees,
            max_leaf_nodes=leaves,
            max_features=float(random.choice(MAX_FEATURES)),
            min_samples_leaf=int(random.choice(MIN_SAMPLES_LEAF)),
            fraud_class_weight=float(random.choice(FRAUD_CLASS_WEIGHTS)),
            max_samples=int(random.choice(MAX_SAMPLES)),
        )
        if all(trial.parameters != parameters for trial in trials):
            trials.append(Trial(_name(parameters), parameters, names))
    return trials


def search(
    url: str,
    first: BacktestPlan,
    trials: Sequence[Trial],
    names: Sequence[str],
    *,
    outer_folds: int,
    inner_folds: int,
    progress: Progress = silent,
) -> SearchResult:
    """Evaluate all trials on all folds, and select per outer fold.

    Args:
        url: Address of the database.
        first: The first outer fold; the others start a week later each, the inner ones before it.
        trials: See `draw_trials`.
        names: Feature list in model order.
        outer_folds: Number of outer folds.
        inner_folds: Number of inner folds per outer fold.
        progress: Called with each trial of each fold.

    Returns:
        The results.

    Raises:
        TrainingDataError: A fold has no frauds to learn from, or rows of one class only.
    """
    gap = weeks_between(first)
    plans = [first.shifted(week) for week in range(1 - gap - inner_folds, outer_folds)]
    models = {
        trial.name: partial(_score, [names.index(name) for name in trial.features], trial.parameters)
        for trial in trials
    }
    results = evaluate_models(url, plans, models, progress)
    evaluated = [TrialResult(trial, tuple(results[trial.name])) for trial in trials]
    return select_per_fold(evaluated, inner_folds=inner_folds, gap=gap)


def _score(columns: list[int], parameters: ForestParameters, fold: Fold) -> tuple[NDArray[np.float64], int]:
    forest = fit_forest(fold.train.features[:, columns], fold.train.is_fraud, parameters)
    scores = predict_fraud_probability(forest, fold.tested.features[:, columns])
    return scores, forest_shape(forest).nodes


def select_per_fold(trials: Sequence[TrialResult], *, inner_folds: int, gap: int) -> SearchResult:
    """Select for each outer fold by the `inner_folds` weeks that end `gap` weeks before it.

    Args:
        trials: Results of every trial on all folds.
        inner_folds: Number of inner folds.
        gap: Weeks between the last inner fold and the outer one.

    Returns:
        The trials and the selections.
    """
    outer = inner_folds + gap - 1
    selections = []
    for fold in range(outer, len(trials[0].results)):
        inner = slice(fold - gap - inner_folds + 1, fold - gap + 1)
        means = [mean(result.average_precision for result in trial.results[inner]) for trial in trials]
        best = int(np.argmax(means))
        selections.append(FoldSelection(trials[best].trial, trials[best].results[fold], means[best]))
    return SearchResult(tuple(trials), tuple(selections), outer)


def weeks_between(plan: BacktestPlan) -> int:
    """Return the weeks between a fold and the newest one whose test labels are known when its test days start."""
    weeks = 1
    while plan.shifted(-weeks).test_end + timedelta(days=plan.delay_days) > plan.test_start:
        weeks += 1
    return weeks


def _name(parameters: ForestParameters) -> str:
    return (
        f"{parameters.n_estimators} x {parameters.max_leaf_nodes}, features {parameters.max_features:g}, "
        f"leaf {parameters.min_samples_leaf}, weight {parameters.fraud_class_weight:g}, "
        f"samples {parameters.max_samples:,}"
    )
