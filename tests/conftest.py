"""Shared fixtures are in plugins named by what they provide."""

import os

from hypothesis import HealthCheck, settings

from tests.user_keys import features_of_this_run

pytest_plugins = ["tests.fix_server", "tests.fix_database"]

# The caller's settings of colors, libpq and rowguard must not change a test; those of programs, data and seeds may.
_COLORS = {"FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
_ALLOWED = {"POSTGRES_BIN", "PGBOUNCER_BIN", "BENCHMARK_DATA", "TEST_SEED", "TEST_ROUNDS"}
for _name in list(os.environ):
    _is_setting = _name.startswith("ROWGUARD_") and _name.removeprefix("ROWGUARD_") not in _ALLOWED
    if _is_setting or _name in _COLORS or _name.startswith("PG"):
        del os.environ[_name]

# The key type of this run, for this process and the programs that it starts.
if _features := features_of_this_run():
    os.environ["ROWGUARD_FEATURES"] = str(_features)

# The same examples every time, on any machine. `--hypothesis-profile=explore` searches for new ones.
_SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)
settings.register_profile(
    "pinned", derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW, print_blob=True
)
settings.register_profile("explore", deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.load_profile("pinned")
