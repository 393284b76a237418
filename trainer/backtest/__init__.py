"""Backtests: the protocol of the fraud-detection handbook, run through the SQL function."""
