"""A search of forests by nested prequential validation: what is picked for a week is picked on weeks before it.

Every trial is judged on every fold of the backtest's protocol. A fold's pick is the trial with the best mean average
precision over the inner folds, whose test days, labels included, were past when the fold's own test days began. The
figure to believe is that of the picks: no fold has a say in its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from rowguard.errors import SettingsError, TrainingDataError
from sql_scoring.engine import forest_shape
from trainer.backtest import BacktestPlan, BacktestResult, judge, rows_to_test
from trainer.dataset import Dataset, read_dataset
from trainer.forest import ForestParameters, fit_forest, fraud_probability

DEFAULT_TRIAL = "default"
# Trees and leaves go together: 2 * leaves - 1 nodes a tree, 8,000 in all. Small forests as well: each INSERT pays for
# every tree and leaf.
MAX_NODES = 8_000
SHAPES = ((20, 32), (25, 32), (50, 32), (25, 64), (50, 64), (83, 48), (40, 96), (31, 128))
FEATURES_PER_SPLIT = (0.2, 0.3, 0.4, 0.5, 0.7)
ROWS_PER_LEAF = (5, 10, 20, 30, 40, 60)
FRAUD_WEIGHTS = (1.0, 2.0, 4.0, 8.0)
ROWS_PER_TREE = (15_000, 30_000, 250_000)
_EVERYTHING_KNOWN = timedelta(days=3650)


@dataclass(frozen=True)
class Trial:
    """What is tried: a forest's parameters on some of the list's features."""

    name: str
    parameters: ForestParameters
    features: tuple[str, ...]


@dataclass(frozen=True)
class Tried:
    """A trial and its result of each fold, inner folds first."""

    trial: Trial
    results: tuple[BacktestResult, ...]


@dataclass(frozen=True)
class Pick:
    """An outer fold: which trial its inner folds chose, and how that one did on it."""

    trial: Trial
    result: BacktestResult
    inner_average_precision: float


@dataclass(frozen=True)
class Found:
    """What a search found; `outer` is the place of the first outer fold among the results of a trial."""

    tried: tuple[Tried, ...]
    picks: tuple[Pick, ...]
    outer: int


def draw_trials(
    groups: Mapping[str, str], count: int, *, seed: int = 0, each_group: bool = True
) -> list[Trial]:
    """The default, the default without each group of features, and forests drawn at random, `count` in all.

    Raises:
        SettingsError: `count` is too small for what is always tried.
    """
    names = tuple(groups)
    trials = [Trial(DEFAULT_TRIAL, ForestParameters(), names)]
    for group in dict.fromkeys(groups.values()) if each_group else ():
        if group != "transaction":
            kept = tuple(name for name, of in groups.items() if of != group)
            trials.append(Trial(f"without {group}", ForestParameters(), kept))
    if count < len(trials):
        raise SettingsError(f"at least {len(trials)} trials are needed: the default, and without each group")
    random = np.random.default_rng(seed)
    while len(trials) < count:
        trees, leaves = SHAPES[random.integers(len(SHAPES))]
        parameters = replace(
            ForestParameters(),
            trees=trees,
            max_leaves=leaves,
            features_per_split=float(random.choice(FEATURES_PER_SPLIT)),
            min_rows_per_leaf=int(random.choice(ROWS_PER_LEAF)),
            fraud_weight=float(random.choice(FRAUD_WEIGHTS)),
            max_rows_per_tree=int(random.choice(ROWS_PER_TREE)),
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
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Found:
    """Try all on `first`, the first outer fold, those a week later each, and the inner folds before them.

    Raises:
        TrainingDataError: a fold has no frauds to learn from, or nothing to rank.
    """
    gap = weeks_between(first)
    plans = [first.shifted(week) for week in range(1 - gap - inner_folds, outer_folds)]
    results: dict[str, list[BacktestResult]] = {trial.name: [] for trial in trials}
    done = 0
    for plan, train, rows in _read(url, plans):
        tested = rows_to_test(plan, rows)
        for trial in trials:
            progress(f"{plan.start:%Y-%m-%d}: {trial.name}", done, len(plans) * len(trials))
            places = [list(names).index(name) for name in trial.features]
            forest = fit_forest(train.features[:, places], train.is_fraud, trial.parameters)
            scores = fraud_probability(forest, rows.features[tested][:, places])
            results[trial.name].append(judge(plan, scores, rows, tested, forest_shape(forest).nodes))
            done += 1
    tried = tuple(Tried(trial, tuple(results[trial.name])) for trial in trials)
    return nested(tried, inner_folds=inner_folds, gap=gap)


def nested(tried: Sequence[Tried], *, inner_folds: int, gap: int) -> Found:
    """Pick for each outer fold by the `inner_folds` weeks that end `gap` weeks before it."""
    outer = inner_folds + gap - 1
    picks = []
    for fold in range(outer, len(tried[0].results)):
        inner = slice(fold - gap - inner_folds + 1, fold - gap + 1)
        means = [float(np.mean([one.average_precision for one in each.results[inner]])) for each in tried]
        best = int(np.argmax(means))
        picks.append(Pick(tried[best].trial, tried[best].results[fold], means[best]))
    return Found(tuple(tried), tuple(picks), outer)


def weeks_between(plan: BacktestPlan) -> int:
    """How many weeks before a fold the newest one began whose test days and labels are known when its own test days
    begin; the label delay is that of the plan."""
    weeks = 1
    while plan.shifted(-weeks).test_end + timedelta(days=plan.delay_days) > plan.test_start:
        weeks += 1
    return weeks


def _read(url: str, plans: Sequence[BacktestPlan]) -> Iterator[tuple[BacktestPlan, Dataset, Dataset]]:
    """The rows of each fold: to train on with the labels of the time, and all of them with all labels. What is final
    is read once; of it a fold is a slice."""
    end = plans[-1].test_end
    everything = read_dataset(url, plans[0].start, end, end + _EVERYTHING_KNOWN)
    for plan in plans:
        train = read_dataset(url, plan.start, plan.train_end, plan.test_start)
        if not train.frauds:
            raise TrainingDataError(f"no frauds of the week from {plan.start:%Y-%m-%d} were known in time")
        yield plan, train, _between(everything, plan)


def _between(rows: Dataset, plan: BacktestPlan) -> Dataset:
    ends = [np.datetime64(instant.replace(tzinfo=None)) for instant in (plan.start, plan.test_end)]
    start, end = np.searchsorted(rows.occurred_at, np.array(ends, "datetime64[us]"))
    part: NDArray[np.bool_] = rows.is_fraud[start:end]
    return Dataset(rows.features[start:end], part, rows.user_id[start:end], rows.occurred_at[start:end])


def _name(parameters: ForestParameters) -> str:
    return (
        f"{parameters.trees} x {parameters.max_leaves}, split {parameters.features_per_split:g}, "
        f"leaf {parameters.min_rows_per_leaf}, weight {parameters.fraud_weight:g}, "
        f"rows {parameters.max_rows_per_tree:,}"
    )
