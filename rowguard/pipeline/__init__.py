"""What takes several rooms: migrate, train, deploy, retrain. The command line and the nightly DAG call these."""

from rowguard.pipeline._backtest import backtest
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
from rowguard.pipeline._verify import VerifyReport, verify

__all__ = [
    "GateReport",
    "LetThrough",
    "Migration",
    "Monitoring",
    "Retraining",
    "VerifyReport",
    "backtest",
    "deploy",
    "forward",
    "gate",
    "let_through",
    "migrate",
    "monitor",
    "promote",
    "retrain",
    "rollback",
    "train",
    "verify",
    "withdraw",
]
