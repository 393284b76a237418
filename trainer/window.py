"""How the time of a training window is divided, and its rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from rowguard.database import connect, fetch_one
from rowguard.errors import TrainingDataError
from trainer.dataset import QUERIES, Dataset, read_dataset, read_time_range

_log = logging.getLogger(__name__)

DEFAULT_WINDOW = timedelta(days=60)
MIN_FRAUDS_TO_FIT = 20
MIN_FRAUDS_TO_EVALUATE = 5
VALIDATION_FRACTION = 0.2


@dataclass(frozen=True)
class TrainingWindow:
    """Fit on [start, fit_end), evaluate on [validation_start, end), with labels known at `label_cutoff`.

    Between fit_end and validation_start lies the label delay: at validation_start the labels of those days were
    unknown, so a model of that day could not learn from them. `end` is a label delay before `label_cutoff`.
    """

    start: datetime
    fit_end: datetime
    validation_start: datetime
    end: datetime
    label_cutoff: datetime


@dataclass(frozen=True)
class LabelCoverage:
    """How complete the labels of a window are. Both kinds of rows count as legitimate until they have a label.

    Attributes:
        unlabeled_rows: Rows without a label at the label cutoff.
        known_frauds: Rows that were labeled as fraud by then.
        late_frauds: Known frauds whose first such label came after the label delay.
    """

    unlabeled_rows: int
    known_frauds: int
    late_frauds: int

    def describe(self, label_delay: timedelta) -> str:
        """Return the coverage as one sentence."""
        late_rate = self.late_frauds / max(self.known_frauds, 1)
        return (
            f"{self.unlabeled_rows:,} rows of the training window have no label and count as legitimate; "
            f"{late_rate:.0%} of {self.known_frauds:,} known frauds were labeled after the label delay of "
            f"{label_delay.days} days (ROWGUARD_LABEL_DELAY_DAYS)"
        )


@dataclass(frozen=True)
class TrainingRows:
    """The rows of a window.

    Attributes:
        window: How the time is divided.
        earlier: Rows before fit_end, with the labels known at validation_start.
        later: Rows from validation_start on, with the labels known at the label cutoff.
        everything: All rows, with the labels known at the label cutoff.
        labels: How complete these labels are.
    """

    window: TrainingWindow
    earlier: Dataset
    later: Dataset
    everything: Dataset
    labels: LabelCoverage


def min_window(label_delay: timedelta) -> timedelta:
    """Return the length that a training window must exceed, label delay before its cutoff included."""
    return label_delay / (1 - VALIDATION_FRACTION) + label_delay


def plan_window(
    first: datetime, last: datetime, label_delay: timedelta, start: datetime | None, cutoff: datetime | None
) -> TrainingWindow:
    """Divide the time between `start` and `cutoff`.

    Args:
        first: Event time of the first row.
        last: Event time of the last row.
        label_delay: Time until most frauds are reported.
        start: First event time of the window; by default 60 days before its end.
        cutoff: Label cutoff; by default just after the last row.

    Returns:
        The window.

    Raises:
        TrainingDataError: The history is too short for the label delay.
    """
    label_cutoff = cutoff or last + timedelta(microseconds=1)
    end = label_cutoff - label_delay
    begin = start or max(first, end - DEFAULT_WINDOW)
    validation_start = end - (end - begin) * VALIDATION_FRACTION
    fit_end = validation_start - label_delay
    if begin >= fit_end:
        needed = min_window(label_delay)
        raise TrainingDataError(
            f"the window from {begin:%Y-%m-%d} to {label_cutoff:%Y-%m-%d} is too short: with labels that are "
            f"known after {label_delay.days} days it takes more than {needed.total_seconds() / 86400:.0f} days "
            "(the training set holds transactions up to the last build of the features; run: rowguard features)"
        )
    return TrainingWindow(begin, fit_end, validation_start, end, label_cutoff)


def read_window(
    url: str, label_delay: timedelta, start: datetime | None, cutoff: datetime | None
) -> TrainingRows:
    """Plan the window and read its rows; arguments as in `plan_window`.

    Raises:
        TrainingDataError: The features are not built, or with another label delay; or too few frauds are labeled.
    """
    with connect(url) as connection:
        first, last, _ = read_time_range(connection)
        window = plan_window(first, last, label_delay, start, cutoff)
        *counts, built_delay_days = fetch_one(
            connection,
            QUERIES["label_coverage"],
            {
                "label_delay": label_delay,
                "label_cutoff": window.label_cutoff,
                "start_at": window.start,
                "end_at": window.end,
            },
        )
    if built_delay_days not in (None, label_delay.days):
        raise TrainingDataError(
            f"the features were built with a label delay of {built_delay_days} days, ROWGUARD_LABEL_DELAY_DAYS is "
            f"{label_delay.days}; run: rowguard features"
        )
    earlier = read_dataset(url, window.start, window.fit_end, window.validation_start)
    everything = read_dataset(url, window.start, window.end, window.label_cutoff)
    later = everything.between(window.validation_start, window.end)
    if earlier.frauds < MIN_FRAUDS_TO_FIT or later.frauds < MIN_FRAUDS_TO_EVALUATE:
        raise TrainingDataError(
            f"too few labeled frauds: {earlier.frauds} from {window.start:%Y-%m-%d} to {window.fit_end:%Y-%m-%d} "
            f"to fit on (at least {MIN_FRAUDS_TO_FIT}), {later.frauds} from {window.validation_start:%Y-%m-%d} to "
            f"{window.end:%Y-%m-%d} to evaluate on (at least {MIN_FRAUDS_TO_EVALUATE})"
        )
    labels = LabelCoverage(*counts)
    if labels.unlabeled_rows or labels.late_frauds:
        _log.warning(labels.describe(label_delay))
    return TrainingRows(window, earlier, later, everything, labels)
