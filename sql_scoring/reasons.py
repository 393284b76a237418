"""What the trigger writes as the reason of a row that it could not decide, for those who read it."""

WITHOUT_LOCK = "%while another transaction holds the lock of user%"
"""LIKE pattern of a row that was stored without its user's lock (sql/functions/score_on_insert.sql)."""
