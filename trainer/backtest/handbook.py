"""The handbook's 15 features, computed from transactions and labels, independent of the feature list.

Source: Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection:
Practical Handbook" (ULB), its feature transformation: windows end with the transaction itself; a merchant's end a
label delay before it, and a merchant without transactions in its window has risk 0.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainer.backtest.protocol import BacktestPlan
from trainer.dataset import QUERIES, read_dataset, to_datetime64

WINDOWS_DAYS = (1, 7, 30)
DAY = 86_400_000_000  # microseconds


def handbook_features(
    user_id: NDArray[np.int64],
    merchant_id: NDArray[np.int64],
    occurred_at: NDArray[np.datetime64],
    amount: NDArray[np.float64],
    is_fraud: NDArray[np.bool_],
    *,
    delay_days: int = 7,
) -> NDArray[np.float64]:
    """Compute the features of every row.

    Args:
        user_id: Shape (rows,).
        merchant_id: Shape (rows,); below 0 is no merchant.
        occurred_at: Event times, shape (rows,).
        amount: Shape (rows,).
        is_fraud: Newest labels, shape (rows,).
        delay_days: Label delay in days.

    Returns:
        Shape (rows, 15): amount, weekend, night; count and mean amount of the user over 1, 7 and 30 days; count and
        fraud rate of the merchant over 1, 7 and 30 days.
    """
    times = occurred_at.astype("datetime64[us]").astype(np.int64)
    days = times // DAY
    weekday = (days + 3) % 7  # the first of January 1970 was a Thursday
    columns: list[NDArray[Any]] = [amount, weekday >= 5, (times % DAY) // 3_600_000_000 <= 6]
    for window in WINDOWS_DAYS:
        count, total = _trailing(user_id, times, amount, window * DAY, 0)
        columns += [count, total / count]
    for window in WINDOWS_DAYS:
        count, frauds = _trailing(merchant_id, times, is_fraud.astype(float), window * DAY, delay_days * DAY)
        count = np.where(merchant_id < 0, 0, count)
        columns += [count, np.divide(frauds, count, out=np.zeros(len(count)), where=count > 0)]
    return np.column_stack(columns).astype(np.float64)


def read_handbook_features(url: str, plan: BacktestPlan) -> NDArray[np.float64]:
    """Compute the features of a fold's rows, in the order of `read_dataset`.

    Args:
        url: Address of the database.
        plan: The fold.

    Returns:
        Shape (rows, 15).
    """
    before = plan.start - timedelta(days=max(WINDOWS_DAYS) + plan.delay_days)
    rows = read_dataset(url, before, plan.test_end)
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(QUERIES["handbook_columns"], parameters=(before, plan.test_end))
        columns = cursor.fetch_arrow_table()
    features = handbook_features(
        rows.user_id,
        pc.fill_null(columns["merchant_id"], -1).to_numpy(),
        rows.occurred_at,
        columns["amount"].to_numpy(),
        rows.is_fraud,
        delay_days=plan.delay_days,
    )
    return features[np.searchsorted(rows.occurred_at, to_datetime64(plan.start)) :]


def _trailing(
    key: NDArray[np.int64],
    times: NDArray[np.int64],
    value: NDArray[np.float64],
    window: int,
    delay: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return count and sum of `value` over the rows of the same key in (t - delay - window, t - delay]."""
    order = np.lexsort((times, key))
    _, group = np.unique(key[order], return_inverse=True)
    since = times[order] - times.min()
    # One line for all keys, spaced so that no window covers two keys.
    span = int(since.max()) + window + delay + 1
    line = group * span + since
    sums = np.concatenate([[0.0], np.cumsum(value[order])])
    first = np.searchsorted(line, np.maximum(line - delay - window, group * span - 1), side="right")
    last = np.searchsorted(line, np.maximum(line - delay, group * span - 1), side="right")
    count, total = np.empty(len(key)), np.empty(len(key))
    count[order] = last - first
    total[order] = sums[last] - sums[first]
    return count, total
