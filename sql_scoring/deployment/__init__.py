"""A model's life in the database: every change of who decides is a generated migration.

Everything happens in one transaction: the function is created, compared with scikit-learn inside the database,
the facade repointed, the registry written. Callers are never locked out: replacing a function takes no lock that an
insert waits for. The files are written to the models folder after the commit; a crash between the two loses nothing,
because the registry holds them and `restore_lost_files` writes them again.
"""

from sql_scoring.deployment._bindings import bind_anew, unbound
from sql_scoring.deployment._changes import (
    Deployment,
    deploy_challenger,
    deploy_champion,
    withdraw_challenger,
)
from sql_scoring.deployment._files import migrate_models, migrate_schema, restore_lost_files
from sql_scoring.deployment._parity import Parity, check_parity
from sql_scoring.deployment._prune import prune
from sql_scoring.deployment._revision import ROLLED_BACK
from sql_scoring.deployment._walk import go_forward, go_to, roll_back

__all__ = [
    "ROLLED_BACK",
    "Deployment",
    "Parity",
    "bind_anew",
    "check_parity",
    "deploy_challenger",
    "deploy_champion",
    "go_forward",
    "go_to",
    "migrate_models",
    "migrate_schema",
    "prune",
    "restore_lost_files",
    "roll_back",
    "unbound",
    "withdraw_challenger",
]
