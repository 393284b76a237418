"""A model that was fitted elsewhere becomes a candidate: matched by name, compared, evaluated, with a card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from rowguard.database import connect
from rowguard.errors import FeatureMismatchError, TrainingDataError
from rowguard.progress import Progress, silent
from rowguard.settings import Settings
from sql_scoring.engine import TreeModel, UnsupportedModelError, as_form
from trainer.candidate import build_record, compare_with_form
from trainer.dataset import read_feature_list
from trainer.evaluation import AlertBudget, ThresholdRule, evaluate
from trainer.forest import predict_fraud_probability
from trainer.model_files import ModelFileError, load_with_library, read_model
from trainer.training import TrainingResult, store_candidate
from trainer.window import MIN_FRAUDS_TO_EVALUATE, read_window


@dataclass(frozen=True)
class Registration:
    """The candidate, features of the list that the model does not use, and notes on how the file was read."""

    training: TrainingResult
    unused_features: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FixedThreshold:
    """A threshold that was given as a number."""

    value: float

    def __str__(self) -> str:
        return "given"

    def choose(self, scores: np.ndarray, is_fraud: np.ndarray) -> float:
        """Return the threshold; the arguments are not used."""
        return self.value


def register_file(
    url: str,
    settings: Settings,
    path: Path,
    *,
    features: Sequence[str] = (),
    rule: ThresholdRule | FixedThreshold | None = None,
    fitted_until: datetime | None = None,
    allow_pickle: bool = False,
    progress: Progress = silent,
) -> Registration:
    """Register a fitted model from a file as a candidate.

    Args:
        url: Address of the database.
        settings: Folder of artifacts and cards, and the label delay.
        path: The file; see `read_model`.
        features: Names of the model's features in its order, where the file does not know them.
        rule: Chooses the threshold; by default the alert budget of the settings.
        fitted_until: End of the model's training data: only later rows evaluate it.
        allow_pickle: See `read_model`.
        progress: Called with each step.

    Returns:
        The candidate.

    Raises:
        ModelFileError: The file cannot be read, or holds a model that is not supported.
        FeatureMismatchError: The names are unknown, or the built list lacks some.
        ParityError: The library's own scores differ from the model as read here.
        TrainingDataError: Too few labeled rows evaluate it.
    """
    try:
        return _register(url, settings, path, features, rule, fitted_until, allow_pickle, progress)
    except UnsupportedModelError as error:
        raise ModelFileError(f"{path.name}: {error}") from None


def _register(
    url: str,
    settings: Settings,
    path: Path,
    features: Sequence[str],
    rule: ThresholdRule | FixedThreshold | None,
    fitted_until: datetime | None,
    allow_pickle: bool,
    progress: Progress,
) -> Registration:
    progress("reading the model")
    fitted = read_model(path, allow_pickle=allow_pickle)
    form = as_form(fitted)
    with connect(url) as connection:
        built = read_feature_list(connection)
    notes = form.notes
    if isinstance(fitted, TreeModel):
        fitted_by_library, note = load_with_library(path, form)
        fitted, notes = fitted_by_library or fitted, (*notes, note)
    form = _named(form, features)
    unknown = [name for name in form.feature_names_in_ if name not in built.names]
    if unknown:
        raise FeatureMismatchError(
            f"the model has features that the list lacks: {', '.join(unknown)}; "
            f"the list has: {', '.join(built.names)}"
        )
    progress("reading the training set")
    rows = read_window(url, timedelta(days=settings.label_delay_days), None, None)
    columns = [built.names.index(name) for name in form.feature_names_in_]
    if fitted is not form and not isinstance(fitted, TreeModel):
        progress("comparing with the library")
        compare_with_form(fitted, form, rows.later.features[:, columns])
    model = form.matched(built.names)
    if not form.accepts_missing and (
        missing := int(np.isnan(rows.later.features[:, columns]).any(axis=1).sum())
    ):
        notes = (
            *notes,
            f"{form.kind} takes no missing values, and {missing:,} of {len(rows.later):,} rows have some: "
            "there they count as large",
        )

    progress("evaluating on later rows")
    start = rows.window.validation_start
    if fitted_until is not None:
        fitted_until = fitted_until if fitted_until.tzinfo else fitted_until.replace(tzinfo=UTC)
        start = max(start, fitted_until)
        rows = replace(rows, later=rows.everything.between(start, rows.window.end))
    if rows.later.frauds < MIN_FRAUDS_TO_EVALUATE:
        raise TrainingDataError(
            f"only {rows.later.frauds} labeled frauds from {start:%Y-%m-%d} to {rows.window.end:%Y-%m-%d} evaluate "
            f"the model, at least {MIN_FRAUDS_TO_EVALUATE} are needed"
        )
    scores = predict_fraud_probability(model, rows.later.features)
    rule = rule or AlertBudget(settings.alert_budget)
    threshold = rule.choose(scores, rows.later.is_fraud)
    evaluation = evaluate(scores, rows.later.is_fraud, threshold)
    metrics = {
        **asdict(evaluation),
        "labels": asdict(rows.labels),
        "fit_until": (fitted_until or rows.window.label_cutoff).isoformat(),
        "evaluated_from": start.isoformat(),
        "parameters": {},
        "source": path.name,
        "fitted_until": fitted_until.isoformat() if fitted_until else None,
    }
    progress("writing SQL")
    record = build_record(
        model,
        built,
        rows,
        threshold=threshold,
        rule=str(rule),
        metrics=metrics,
        cut_model=_cut_model(fitted, model),
    )
    training = store_candidate(url, settings, record, model, model, rows, built, evaluation, scores)
    used = set(form.feature_names_in_)
    return Registration(training, tuple(name for name in built.names if name not in used), notes)


def _named(form: TreeModel, names: Sequence[str]) -> TreeModel:
    known = form.feature_names_in_
    if not names and not known:
        raise FeatureMismatchError(
            f"the file does not know the names of its {form.n_features_in_} features: give --features with their "
            "names in the model's order, separated by commas"
        )
    if names and len(names) != form.n_features_in_:
        raise FeatureMismatchError(
            f"the model has {form.n_features_in_} features, --features names {len(names)}"
        )
    if names and known and list(names) != list(known):
        raise FeatureMismatchError(
            f"the file names its features itself: {', '.join(known)}; leave out --features"
        )
    chosen = tuple(names or known)
    if len(set(chosen)) != len(chosen):
        raise UnsupportedModelError("a feature name occurs twice")
    return replace(form, feature_names_in_=chosen)


def _cut_model(fitted: object, model: TreeModel) -> object:
    """What gives the cut: the library's own object, as its probability decides elsewhere."""
    return model if isinstance(fitted, TreeModel) or not model.is_margin else fitted
