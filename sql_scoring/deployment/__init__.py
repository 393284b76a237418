"""A model's life in the database: every change of champion or challenger is a generated migration.

Everything happens in one transaction: the function is created, compared with scikit-learn inside the database, the
facade repointed, the registry written. Replacing a function takes no lock that an INSERT waits for. The files are
written to the models folder after the commit; a crash between the two loses nothing, because the registry holds them
and `restore_missing_files` writes them again.
"""

from sql_scoring.deployment._champion import deploy, retire_challenger
from sql_scoring.deployment._parity import Parity, check_parity
from sql_scoring.deployment._prune import prune
from sql_scoring.deployment._revision import ROLLED_BACK
from sql_scoring.deployment._rollback import move_champion
from sql_scoring.deployment.migrate import migrate_schema
from sql_scoring.deployment.revision_files import restore_missing_files
from sql_scoring.deployment.session import Deployment

__all__ = [
    "ROLLED_BACK",
    "Deployment",
    "Parity",
    "check_parity",
    "deploy",
    "migrate_schema",
    "move_champion",
    "prune",
    "restore_missing_files",
    "retire_challenger",
]
