"""What takes several rooms: migrate, train, deploy, retrain. The command line and the nightly DAG call these."""

from rowguard.pipeline._lifecycle import deploy, migrate, retrain, rollback, train

__all__ = ["deploy", "migrate", "retrain", "rollback", "train"]
