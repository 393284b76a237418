"""Old transactions leave the database: archived to Parquet, then deleted in small steps, their labels with them."""

from rowguard.operations.archive._retain import Retention, min_keep_days, retain

__all__ = ["Retention", "min_keep_days", "retain"]
