"""Reads a model that was fitted elsewhere, without running what is in its file unless that is allowed."""

from __future__ import annotations

import logging
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rowguard.errors import RowguardError
from sql_scoring.engine import TreeModel, UnsupportedModelError, load_model_file
from trainer.boosting import import_library

_log = logging.getLogger(__name__)
# First bytes of pickle, and of what joblib compresses.
_PICKLE_STARTS = (b"\x80", b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00", b"\x04\x22\x4d\x18", b"ZF")
# What skops does not know, and what the supported models consist of.
_SAFE_TYPES = (
    "sklearn.ensemble._hist_gradient_boosting.",
    "sklearn._loss.",
    "xgboost.",
    "lightgbm.",
    "catboost.",
)


class ModelFileError(RowguardError):
    """A model file cannot be read; the message states why and what to do."""


def read_model(path: Path, *, allow_pickle: bool = False) -> Any:
    """Read a model file: XGBoost JSON or UBJ, LightGBM text, CatBoost JSON or cbm, skops, or a pickle.

    Args:
        path: The file.
        allow_pickle: Load pickles and joblib files, which run code of their author.

    Returns:
        The fitted model: of a library's own file the engine's form, else the object.

    Raises:
        ModelFileError: The file is missing, damaged, of another kind, or a pickle that is not allowed.
        UnsupportedModelError: It holds a model that is not supported.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from None
    if start.startswith(b"CBM1"):
        return _read_cbm(path)
    if start.startswith(b"PK") and zipfile.is_zipfile(path):
        return last_step(_read_skops(path))
    if start.startswith(_PICKLE_STARTS):
        return last_step(_read_pickle(path, allow_pickle))
    return load_model_file(path)


def load_with_library(path: Path, form: TreeModel) -> tuple[Any | None, str]:
    """Load a library's own file with that library, to compare its scores with the model as read here.

    Args:
        path: A file that `read_model` read without the library.
        form: What it read.

    Returns:
        The library's object, or None where there is none to compare with; and a note that states which.
    """
    name = form.library.split()[0].rstrip(",")
    if name == "catboost":
        return (
            None,
            "not compared with catboost, whose reader of JSON changes bits: register a .cbm file to compare",
        )
    if find_spec(name) is None:
        return None, f"not compared with {name}, which is not installed here: pip install 'rowguard[{name}]'"
    library = import_library(name)
    try:
        if name == "lightgbm":
            model = library.Booster(model_file=str(path))
        else:
            model = library.XGBClassifier()
            model.load_model(str(path))
    except Exception as error:  # the library's own error class, or a part of the file that it does not accept
        return (
            None,
            f"not compared with {name} {library.__version__}, which cannot load the file: {_line(error)}",
        )
    return model, f"compared with {name} {library.__version__}: margins are equal bit for bit"


def last_step(model: Any) -> Any:
    """Return the last step of a pipeline that changes nothing before it; any other model as it is.

    Raises:
        UnsupportedModelError: An earlier step changes the inputs.
    """
    if type(model).__name__ != "Pipeline":
        return model
    *earlier, (_, last) = model.steps
    changing = [name for name, step in earlier if step not in (None, "passthrough")]
    if changing:
        raise UnsupportedModelError(
            f"the pipeline changes its inputs in {', '.join(changing)}: fit the model on the features themselves, or "
            "add them to the feature list"
        )
    names = getattr(model, "feature_names_in_", None)
    if names is not None and not hasattr(last, "feature_names_in_"):
        last.feature_names_in_ = names
    return last


def _read_cbm(path: Path) -> Any:
    model = import_library("catboost").CatBoostClassifier()
    try:
        return model.load_model(str(path))
    except Exception as error:  # CatBoostError of a library that may not be installed
        raise ModelFileError(f"{path.name} cannot be read: {_line(error)}") from None


def _read_skops(path: Path) -> Any:
    skops = import_library("skops.io")
    try:
        unknown = skops.get_untrusted_types(file=path)
        foreign = [name for name in unknown if not name.startswith(_SAFE_TYPES)]
        if foreign:
            raise ModelFileError(
                f"{path.name} holds types that are not known to be safe: {', '.join(sorted(foreign))}; "
                "nothing was loaded"
            )
        return skops.load(path, trusted=unknown)
    except ModelFileError:
        raise
    except Exception as error:  # a damaged file raises errors of many kinds
        raise ModelFileError(f"{path.name} cannot be read by skops: {_line(error)}") from None


def _read_pickle(path: Path, allow_pickle: bool) -> Any:
    if not allow_pickle:
        raise ModelFileError(
            f"{path.name} is a pickle, which runs code of its author when it is loaded: save the model in its "
            "library's format or with skops, or give --allow-pickle if you trust the file"
        )
    import joblib

    _log.warning("%s is loaded as a pickle: it may run any code with your rights", path.name)
    try:
        return joblib.load(path)
    except Exception as error:  # unpickling raises whatever the file makes it raise
        raise ModelFileError(f"{path.name} cannot be loaded: {_line(error)}") from None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
