"""Reads a boosted model from its library's own file, without the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sql_scoring.engine._catboost import load_catboost_document
from sql_scoring.engine._lightgbm import load_lightgbm_text
from sql_scoring.engine._tree_model import TreeModel
from sql_scoring.engine._ubjson import read_ubjson
from sql_scoring.engine._xgboost import load_xgboost_document
from sql_scoring.engine.errors import UnsupportedModelError

_UBJSON_STARTS = (b"{L", b"{i", b"{$", b"{#", b"{U")


def load_model_file(path: Path) -> TreeModel:
    """Read a model file of XGBoost (JSON, UBJ), LightGBM (text) or CatBoost (JSON).

    The content decides, not the name. Nothing in the file is run.

    Args:
        path: The file.

    Returns:
        The model.

    Raises:
        UnsupportedModelError: The file is none of them, is cut off, or holds an unsupported model.
    """
    data = path.read_bytes()
    if not data:
        raise UnsupportedModelError(f"{path.name} is empty")
    if data.startswith((b"tree\n", b"tree\r\n")):
        return load_lightgbm_text(_text(path, data).replace("\r\n", "\n"))
    if data.startswith(_UBJSON_STARTS):
        return load_xgboost_document(_document(path, read_ubjson(data)))
    if data.lstrip()[:1] == b"{":
        try:
            document = json.loads(data)
        except ValueError as error:
            raise UnsupportedModelError(f"{path.name} is cut off or is no JSON: {error}") from None
        document = _document(path, document)
        return (
            load_catboost_document(document)
            if "features_info" in document
            else load_xgboost_document(document)
        )
    if data.startswith((b"binf", b"CBM1")):
        raise UnsupportedModelError(
            f"{path.name} is in a binary format; save the model as JSON: "
            "XGBoost save_model('model.json'), CatBoost save_model('model.json', format='json')"
        )
    raise UnsupportedModelError(
        f"{path.name} is no model file that is known here: XGBoost JSON or UBJ, LightGBM text, CatBoost JSON"
    )


def _text(path: Path, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UnsupportedModelError(f"{path.name} is damaged: it is not UTF-8") from None


def _document(path: Path, document: Any) -> dict[str, Any]:
    if isinstance(document, dict) and ("learner" in document or "features_info" in document):
        return document
    raise UnsupportedModelError(f"{path.name} is JSON, but neither of XGBoost nor of CatBoost")
