"""The errors that rowguard raises on purpose.

The docstring of a class is its default message. The command line prints the message as one line and exits with 1; the
API turns it into a problem document. Any other exception is a defect.
"""

from __future__ import annotations


class RowguardError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


class SettingsError(RowguardError):
    """A setting is missing or malformed."""


class LocalStackError(RowguardError):
    """The local stack could not be started or stopped."""


class DatabaseUnavailableError(RowguardError):
    """The database cannot be reached."""


class SchemaError(RowguardError):
    """The database schema is missing or at another revision; run: rowguard migrate"""


class ImportFileError(RowguardError):
    """The file holds rows that cannot be loaded; nothing was loaded."""


class FeatureBuildError(RowguardError):
    """dbt could not build the features."""


class TrainingDataError(RowguardError):
    """There is too little labeled data to train on."""


class FeatureMismatchError(RowguardError):
    """The model was trained on another feature list than the built one; run: rowguard retrain"""


class ParityError(RowguardError):
    """The SQL function and scikit-learn differ; nothing was deployed."""


class GateError(RowguardError):
    """A gate rejected the candidate; the champion is unchanged."""


class JobLockedError(RowguardError):
    """Another session holds the lock of this job."""


class RegistryError(RowguardError):
    """The model registry does not allow this."""


class NoOtherChampionError(RegistryError):
    """There are not as many champions in that direction; the champion is unchanged."""

    def __init__(self, message: str, champion: str | None = None) -> None:
        super().__init__(message)
        self.champion = champion


class AlarmError(RowguardError):
    """A check or a monitoring metric is beyond its limit."""


class RetentionError(RowguardError):
    """Old transactions could not be archived and deleted."""


class NoModelError(RowguardError):
    """No model is deployed yet; run: rowguard retrain"""


class ExplanationError(RowguardError):
    """The model cannot be explained."""


class RuleError(RowguardError):
    """The rule set is wrong; nothing was changed."""


class ListError(RowguardError):
    """The list does not allow this; nothing was changed."""


class ReviewError(RowguardError):
    """The review case does not allow this; nothing was changed."""
