"""Reasons that the trigger stores on an unscored row, for the rooms that read them."""

LOCK_TIMEOUT_REASON = "%while another transaction holds the lock of user%"
"""LIKE pattern of a row that was stored without its user's lock (sql/functions/score_on_insert.sql)."""
