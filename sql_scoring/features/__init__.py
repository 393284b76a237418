"""The feature project: building it with dbt, and the running totals it reads."""
