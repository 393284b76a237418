"""What takes several rooms: migrate, train, deploy, retrain. The command line and the nightly DAG call these."""

from rowguard.operations.control_group import LetThrough, let_through
from rowguard.operations.doctor import Check, DoctorLimits, DoctorReport, diagnose
from rowguard.operations.monitor import MonitoringResult, monitor
from rowguard.operations.rescore import Rescoring, rescore
from sql_scoring.deployment.verify import VerifyReport, verify
from trainer.gates import GateReport, gate
from trainer.lifecycle import (
    Migration,
    Retraining,
    deploy,
    forward,
    migrate,
    promote,
    retrain,
    rollback,
    train,
    withdraw,
)
from trainer.sql_backtest import Contender, backtest, compare

__all__ = [
    "Check",
    "Contender",
    "DoctorLimits",
    "DoctorReport",
    "GateReport",
    "LetThrough",
    "Migration",
    "MonitoringResult",
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
