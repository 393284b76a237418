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

from rowguard.errors import SettingsError, TrainingDataError
from rowguard.progress import Progress, silent
from sql_scoring.engine import BitmaskCost, UnsupportedModelError, bitmask_cost, forest_shape
from trainer.backtest.protocol import BacktestPlan, BacktestResult, Fold, evaluate_models
from trainer.backtest.runner import feature_groups
from trainer.boosting import BoostingParameters, Family
from trainer.families import ModelFamily, ModelParameters, default_parameters, fit_model
from trainer.forest import ForestParameters, predict_fraud_probability
from trainer.tradeoff import CostLimit

DEFAULT_TRIAL = "default"
# 2 * leaves - 1 nodes per tree, at most MAX_NODES in total. Small forests too: each INSERT costs every tree and leaf.
MAX_NODES = 8_000
SHAPES = ((20, 32), (25, 32), (50, 32), (25, 64), (50, 64), (83, 48), (40, 96), (31, 128))
MAX_FEATURES = (0.2, 0.3, 0.4, 0.5, 0.7)
MIN_SAMPLES_LEAF = (5, 10, 20, 30, 40, 60)
FRAUD_CLASS_WEIGHTS = (1.0, 2.0, 4.0, 8.0)
MAX_SAMPLES = (15_000, 30_000, 250_000)
BOOSTED_TREES = (50, 100, 200, 300)
BOOSTED_LEAVES = (4, 8, 16, 31)
LEARNING_RATES = (0.03, 0.06, 0.1)
L2_REGULARIZATIONS = (1.0, 5.0, 20.0)


@dataclass(frozen=True)
class Trial:
    """A model's parameters, on some of the list's features."""

    name: str
    parameters: ModelParameters
    features: tuple[str, ...]


@dataclass(frozen=True)
class TrialResult:
    """A trial and its result of each fold, inner folds first.

    `cost` is the predicted one of its first fold's model, where a limit needs it; `is_within_limit` compares them.
    """

    trial: Trial
    results: tuple[BacktestResult, ...]
    cost: BitmaskCost | None = None
    is_within_limit: bool = True


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


def draw_trials(
    groups: Mapping[str, str],
    count: int,
    *,
    seed: int = 0,
    families: Sequence[ModelFamily] = ("forest",),
) -> list[Trial]:
    """Draw trials: the default, the default without each feature group, each family's default, then random ones.

    Args:
        groups: Feature → group, in model order.
        count: Number of trials.
        seed: Of the random trials.
        families: What is drawn, in turn.

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
    trials += [Trial(family, default_parameters(family), names) for family in families if family != "forest"]
    if count < len(trials):
        raise SettingsError(
            f"at least {len(trials)} trials are needed: the default, without each group, and each other family's"
        )
    random = np.random.default_rng(seed)
    while len(trials) < count:
        family = families[len(trials) % len(families)]
        if family != "forest":
            boosted = _draw_boosted(family, random)
            if all(trial.parameters != boosted for trial in trials):
                trials.append(Trial(_boosted_name(boosted), boosted, names))
            continue
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
    limit: CostLimit | None = None,
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
        limit: Trials beyond it are evaluated, but never selected.
        progress: Called with each trial of each fold.

    Returns:
        The results.

    Raises:
        TrainingDataError: A fold has no frauds to learn from, or rows of one class only; or no trial is within
            the limit.
    """
    costs: dict[str, BitmaskCost | None] = {}
    gap = weeks_between(first)
    plans = [first.shifted(week) for week in range(1 - gap - inner_folds, outer_folds)]
    models = {
        trial.name: partial(
            _score, trial, [names.index(name) for name in trial.features], costs if limit else None
        )
        for trial in trials
    }
    results = evaluate_models(url, plans, models, progress)
    evaluated = [
        TrialResult(
            trial,
            tuple(results[trial.name]),
            costs.get(trial.name),
            limit is None or _is_within(limit, costs[trial.name]),
        )
        for trial in trials
    ]
    return select_per_fold(evaluated, inner_folds=inner_folds, gap=gap)


def _score(
    trial: Trial, columns: list[int], costs: dict[str, BitmaskCost | None] | None, fold: Fold
) -> tuple[NDArray[np.float64], int]:
    model = fit_model(fold.train.features[:, columns], fold.train.is_fraud, trial.parameters)
    if costs is not None and trial.name not in costs:
        try:
            costs[trial.name] = bitmask_cost(model)
        except UnsupportedModelError:  # too large to be written
            costs[trial.name] = None
    scores = predict_fraud_probability(model, fold.tested.features[:, columns])
    return scores, forest_shape(model).nodes


def _is_within(limit: CostLimit, cost: BitmaskCost | None) -> bool:
    return cost is not None and limit.allows(cost)


def _draw_boosted(family: Family, random: np.random.Generator) -> BoostingParameters:
    return BoostingParameters(
        family=family,
        n_estimators=int(random.choice(BOOSTED_TREES)),
        max_leaf_nodes=int(random.choice(BOOSTED_LEAVES)),
        learning_rate=float(random.choice(LEARNING_RATES)),
        min_samples_leaf=int(random.choice(MIN_SAMPLES_LEAF)),
        l2_regularization=float(random.choice(L2_REGULARIZATIONS)),
        fraud_class_weight=float(random.choice(FRAUD_CLASS_WEIGHTS)),
    )


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
        allowed = [
            value if trial.is_within_limit else -1.0 for value, trial in zip(means, trials, strict=True)
        ]
        best = int(np.argmax(allowed))
        if not trials[best].is_within_limit:
            raise TrainingDataError("no trial is within the cost limit: raise --max-us or --max-mb")
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


def _boosted_name(parameters: BoostingParameters) -> str:
    return (
        f"{parameters.family} {parameters.n_estimators} x {parameters.max_leaf_nodes}, "
        f"rate {parameters.learning_rate:g}, leaf {parameters.min_samples_leaf}, "
        f"l2 {parameters.l2_regularization:g}, weight {parameters.fraud_class_weight:g}"
    )
