"""Shared fixtures live in plugins named by what they provide."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fix_database"]

# What the caller's environment says of colours (CI services set it), of libpq and of rowguard is not for the tests; what
# chooses programs, data and seeds is.
_COLOURS = {"FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
_KEPT = {"POSTGRES_BIN", "PGBOUNCER_BIN", "BENCHMARK_DATA", "TEST_SEED", "TEST_ROUNDS"}
for _name in list(os.environ):
    _is_ours = _name.startswith("ROWGUARD_") and _name.removeprefix("ROWGUARD_") not in _KEPT
    if _is_ours or _name in _COLOURS or _name.startswith("PG"):
        del os.environ[_name]

# The same examples every time, however slow the machine: a run fails when something is broken and not by chance.
# `--hypothesis-profile=explore` looks for new ones.
_SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)
settings.register_profile(
    "pinned", derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW, print_blob=True
)
settings.register_profile("explore", deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.load_profile("pinned")
