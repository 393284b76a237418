"""What takes several rooms: migrate, train, deploy, retrain. The command line and the nightly DAG call these."""

from rowguard.pipeline._backtest import backtest
from rowguard.pipeline._gates import GateReport, VerifyReport, gate, verify
from rowguard.pipeline._lifecycle import Migration, Retraining, deploy, migrate, retrain, rollback, train
from rowguard.pipeline._rescore import Rescoring, rescore

__all__ = [
    "GateReport",
    "Migration",
    "Rescoring",
    "Retraining",
    "VerifyReport",
    "backtest",
    "deploy",
    "gate",
    "migrate",
    "rescore",
    "retrain",
    "rollback",
    "train",
    "verify",
]
