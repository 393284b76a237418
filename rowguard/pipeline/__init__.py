"""What takes several rooms: migrate, train, deploy, retrain. The command line and the nightly DAG call these."""

from rowguard.pipeline._backtest import Contender, backtest, compare
from rowguard.pipeline._doctor import Check, Diagnosis, Limits, diagnose
from rowguard.pipeline._feedback import LetThrough, let_through
from rowguard.pipeline._gates import GateReport, gate
from rowguard.pipeline._lifecycle import (
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
from rowguard.pipeline._monitor import Monitoring, monitor
from rowguard.pipeline._rescore import Rescoring, rescore
from rowguard.pipeline._verify import VerifyReport, verify

__all__ = [
    "Check",
    "Contender",
    "Diagnosis",
    "GateReport",
    "LetThrough",
    "Limits",
    "Migration",
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
