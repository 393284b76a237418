"""Faults under load: what happens to payments while the things around them break. `make chaos` runs all of it."""
