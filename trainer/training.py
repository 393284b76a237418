"""From the training set to a registered candidate: split by time, fit, threshold, transpile, card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from rowguard.database import connect
from rowguard.errors import TrainingDataError
from sql_scoring import registry, transpile
from sql_scoring.engine import forest_shape
from trainer.artifact import artifact_path, evaluation_path, save_artifact
from trainer.dataset import Dataset, FeatureList, read_dataset, read_feature_list, read_span
from trainer.evaluation import Evaluation, ThresholdRule, evaluate
from trainer.forest import ForestParameters, fit_forest, fraud_probability
from trainer.model_card import write_model_card
from trainer.reference import reference_distribution

DEFAULT_WINDOW = timedelta(days=60)
LAYOUT: Final = "bitmask"
MIN_FRAUDS_TO_FIT = 20
MIN_FRAUDS_TO_EVALUATE = 5
VALIDATION_SHARE = 0.2
_HASHED_NAME = "scoring.model"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TrainingWindow:
    """Fit on [start, fit_end), evaluate on [validation_start, end), with labels known at `known_at`.

    Between fit_end and validation_start lies the label delay: at validation_start nobody knew the labels of
    those days, so a model of that day could not have learnt from them. `end` lies a label delay before
    `known_at` for the same reason.
    """

    start: datetime
    fit_end: datetime
    validation_start: datetime
    end: datetime
    known_at: datetime


@dataclass(frozen=True)
class TrainingResult:
    """The candidate, its evaluation on later rows, and where its card stands.

    `is_new` is false when exactly this model was registered before.
    """

    version: str
    is_new: bool
    evaluation: Evaluation
    threshold: float
    record: registry.ModelRecord
    card: Path


def plan_window(
    first: datetime, last: datetime, label_delay: timedelta, start: datetime | None, cutoff: datetime | None
) -> TrainingWindow:
    """Divide the time between `start` and `cutoff`; by default the last 60 days up to the last transaction.

    Raises:
        TrainingDataError: the history is too short for the label delay.
    """
    known_at = cutoff or last + timedelta(microseconds=1)
    end = known_at - label_delay
    begin = start or max(first, end - DEFAULT_WINDOW)
    validation_start = end - (end - begin) * VALIDATION_SHARE
    fit_end = validation_start - label_delay
    if begin >= fit_end:
        needed = label_delay / (1 - VALIDATION_SHARE) + label_delay
        raise TrainingDataError(
            f"the window from {begin:%Y-%m-%d} to {known_at:%Y-%m-%d} is too short: with labels that are "
            f"known after {label_delay.days} days it takes more than {needed.total_seconds() / 86400:.0f} days "
            "(history loaded since the last build of the features is not in it; rowguard retrain builds them)"
        )
    return TrainingWindow(begin, fit_end, validation_start, end, known_at)


def train(
    url: str,
    *,
    state_dir: Path,
    label_delay: timedelta,
    rule: ThresholdRule,
    start: datetime | None = None,
    cutoff: datetime | None = None,
    parameters: ForestParameters = ForestParameters(),
    progress: Progress = lambda step: None,
) -> TrainingResult:
    """Fit a forest, register it as a candidate, and write its card.

    Two forests are fitted: one on the earlier rows only, which is evaluated on the later ones and gives the
    threshold, and the candidate on all of them.

    Raises:
        TrainingDataError: the features are not built, or there is too little labelled data.
        UnsupportedModelError: the forest is too large to be written as SQL.
    """
    with connect(url) as connection:
        features = read_feature_list(connection)
        first, last, _ = read_span(connection)
    window = plan_window(first, last, label_delay, start, cutoff)

    progress("reading the training set")
    known_early = read_dataset(url, window.start, window.fit_end, window.validation_start)
    everything = read_dataset(url, window.start, window.end, window.known_at)
    boundary = np.datetime64(window.validation_start.astimezone(UTC).replace(tzinfo=None))
    later = everything.occurred_at >= boundary
    require_frauds(known_early.frauds, int(everything.is_fraud[later].sum()), window)

    progress("fitting on the earlier rows, evaluating on the later")
    earlier_forest = fit_forest(known_early.features, known_early.is_fraud, parameters)
    scores = fraud_probability(earlier_forest, everything.features[later])
    threshold = rule.choose(scores, everything.is_fraud[later])
    evaluation = evaluate(scores, everything.is_fraud[later], threshold)

    progress("fitting on all rows")
    forest = fit_forest(everything.features, everything.is_fraud, parameters)

    progress("writing SQL")
    record = _record(forest, features, everything, window, threshold, str(rule), evaluation, parameters)
    with connect(url) as connection:
        known_version = registry.find_version_by_sql(connection, record.sql_sha256, record.feature_hash)
        if known_version is not None:
            known = registry.get_model(connection, known_version)
            card = _card(state_dir, known_version)
            # Another machine may have registered it, or the files were lost: the same data give them again.
            if not artifact_path(state_dir, known_version).exists():
                save_artifact(forest, artifact_path(state_dir, known_version))
            if not card.exists():
                write_model_card(card, known, evaluation, forest, scores, everything.is_fraud[later])
            return TrainingResult(known_version, False, evaluation, known.threshold, known, card)
    path = artifact_path(state_dir, record.version)
    record = replace(
        record,
        artifact_sha256=save_artifact(forest, path),
        metrics={
            **record.metrics,
            "evaluation_artifact_sha256": save_artifact(
                earlier_forest, evaluation_path(state_dir, record.version)
            ),
        },
        reference=reference_distribution(features.names, everything.features, forest),
    )
    with connect(url) as connection:
        registry.register_model(connection, record)
    card = _card(state_dir, record.version)
    write_model_card(card, record, evaluation, forest, scores, everything.is_fraud[later])
    return TrainingResult(record.version, True, evaluation, threshold, record, card)


def _card(state_dir: Path, version: str) -> Path:
    return state_dir / "models" / version / "model_card.md"


def require_frauds(to_fit: int, to_evaluate: int, window: TrainingWindow) -> None:
    """Raise TrainingDataError when a window has too few known frauds to learn from or to judge by."""
    if to_fit < MIN_FRAUDS_TO_FIT or to_evaluate < MIN_FRAUDS_TO_EVALUATE:
        raise TrainingDataError(
            f"too few labelled frauds: {to_fit} from {window.start:%Y-%m-%d} to {window.fit_end:%Y-%m-%d} to "
            f"fit on (at least {MIN_FRAUDS_TO_FIT}), {to_evaluate} from {window.validation_start:%Y-%m-%d} to "
            f"{window.end:%Y-%m-%d} to evaluate on (at least {MIN_FRAUDS_TO_EVALUATE})"
        )


def _record(
    forest: RandomForestClassifier,
    features: FeatureList,
    rows: Dataset,
    window: TrainingWindow,
    threshold: float,
    rule: str,
    evaluation: Evaluation,
    parameters: ForestParameters,
) -> registry.ModelRecord:
    trained_at = datetime.now(UTC)

    def text(name: str) -> str:
        return transpile(
            forest, feature_names=features.names, function_name=name, layout=LAYOUT, arguments="real_array"
        )

    # The name holds the date; the hash must not, so that the same model is recognised on another day. The
    # same forest with another threshold decides differently: it is another model.
    identity = f"{text(_HASHED_NAME)}\n-- threshold {threshold!r}\n"
    body_sha256 = hashlib.sha256(identity.encode()).hexdigest()
    version = f"rf_{trained_at:%Y%m%d}_{body_sha256[:8]}"
    sql_text = text(f"scoring.{version}")
    shape = forest_shape(forest)
    return registry.ModelRecord(
        version=version,
        model_kind=type(forest).__name__,
        layout=LAYOUT,
        function_name=f"scoring.{version}",
        feature_names=list(features.names),
        feature_hash=features.hash,
        trained_at=trained_at,
        train_from=window.start,
        train_to=window.end,
        label_cutoff=window.known_at,
        row_count=len(rows),
        fraud_count=rows.frauds,
        threshold=threshold,
        threshold_rule=rule,
        metrics={
            **evaluation.as_dict(),
            "fit_until": window.fit_end.isoformat(),
            "evaluated_from": window.validation_start.isoformat(),
            "parameters": parameters.as_dict(),
        },
        tree_count=shape.trees,
        node_count=shape.nodes,
        sql_bytes=len(sql_text.encode()),
        sql_sha256=body_sha256,
        artifact_sha256="",
        library_versions={
            name: library_version(name) for name in ("rowguard", "scikit-learn", "numpy", "m2cgen")
        },
        sql_text=sql_text,
    )
