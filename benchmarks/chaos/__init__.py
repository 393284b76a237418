"""Faults under load, and counts of lost, duplicated and changed payments. `make chaos` runs all of it."""
