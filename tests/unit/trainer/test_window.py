"""How the time is divided between fitting, waiting for labels, and evaluating."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rowguard.errors import TrainingDataError
from trainer.window import plan_window

FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 30, tzinfo=UTC)
WEEK, DAY = timedelta(days=7), timedelta(days=1)


def test_by_default_the_last_60_days_whose_labels_are_known() -> None:
    window = plan_window(FIRST, LAST, WEEK, None, None)
    assert window.label_cutoff == LAST + timedelta(microseconds=1)
    assert window.end == window.label_cutoff - WEEK
    assert window.start == window.end - 60 * DAY
    assert window.validation_start == window.end - 12 * DAY


def test_a_short_history_is_used_from_its_first_row() -> None:
    window = plan_window(LAST - 40 * DAY, LAST, WEEK, None, None)
    assert window.start == LAST - 40 * DAY


def test_between_fitting_and_evaluating_lies_the_label_delay() -> None:
    for delay in (timedelta(0), DAY, WEEK):
        window = plan_window(FIRST, LAST, delay, None, None)
        assert window.validation_start - window.fit_end == delay
        assert window.start < window.fit_end <= window.validation_start < window.end
        assert window.label_cutoff - window.end == delay


def test_start_and_cut_off_can_be_given() -> None:
    start, cutoff = FIRST + 10 * DAY, FIRST + 67 * DAY
    window = plan_window(FIRST, LAST, WEEK, start, cutoff)
    assert (window.start, window.end, window.label_cutoff) == (start, cutoff - WEEK, cutoff)
    assert window.validation_start == window.end - 10 * DAY


@pytest.mark.parametrize(
    ("first", "start", "cutoff"),
    [
        (LAST - 15 * DAY, None, None),
        (LAST, None, None),
        (FIRST, LAST - 10 * DAY, None),
        (FIRST, FIRST + 50 * DAY, FIRST + 40 * DAY),
        (FIRST, None, FIRST - DAY),
    ],
)
def test_a_window_too_short_for_the_label_delay_is_refused(
    first: datetime, start: datetime | None, cutoff: datetime | None
) -> None:
    with pytest.raises(TrainingDataError, match="too short: .* after 7 days it takes more than 16 days"):
        plan_window(first, LAST, WEEK, start, cutoff)


def test_just_longer_than_needed_is_enough() -> None:
    needed = WEEK / 0.8 + WEEK
    assert plan_window(LAST - needed - DAY, LAST, WEEK, None, None).fit_end > LAST - needed - DAY
    with pytest.raises(TrainingDataError):
        plan_window(LAST - needed + timedelta(seconds=1), LAST, WEEK, None, None)
