"""What takes several rooms: migrate, train, deploy, retrain. The command line and the nightly DAG call these."""

from rowguard.operations.control_group import LetThrough, let_through
from rowguard.operations.doctor import Check, Diagnosis, Limits, diagnose
from rowguard.operations.monitor import Monitoring, monitor
from rowguard.operations.rescore import Rescoring, rescore
from sql_scoring.deployment.migrate import MigrationResult, migrate
from sql_scoring.deployment.verify import VerifyReport
from trainer.gates import GateReport, gate
from trainer.lifecycle import (
    Retraining,
    deploy,
    forward,
    promote,
    retrain,
    rollback,
    train,
    verify,
    withdraw,
)
from trainer.sql_backtest import Contender, backtest, compare

__all__ = [
    "Check",
    "Contender",
    "Diagnosis",
    "GateReport",
    "LetThrough",
    "Limits",
    "MigrationResult",
    "Monitoring",
    "Rescoring",
    "Retraining",
    "VerifyReport",
    "backtest",
    "compare",
    "deploy",
    "diagnose",
    "forward",
    "gate",
    "let_through",
    "migrate",
    "monitor",
    "promote",
    "rescore",
    "retrain",
    "rollback",
    "train",
    "verify",
    "withdraw",
]
