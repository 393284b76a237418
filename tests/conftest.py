"""Shared fixtures live in plugins named by what they provide."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fix_database"]

# The same examples every time, however slow the machine: a run fails when something is broken and not by chance.
# `--hypothesis-profile=explore` looks for new ones.
_SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)
settings.register_profile(
    "pinned", derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW, print_blob=True
)
settings.register_profile("explore", deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.load_profile("pinned")
