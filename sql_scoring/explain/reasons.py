"""The words of explanations: catalogs by language, checked against the feature list before a model carries them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rowguard.declaration import Reason
from rowguard.errors import ExplanationError
from rowguard.resources import dbt_project

REQUIRED_LANGUAGE = "en"
_FILE = re.compile(r"reasons\.([a-z]{2}(?:_[A-Z]{2})?)\.yml")
_PLACEHOLDER = re.compile(r"%(?:\d\$)?s|%")
# How many values each text takes.
_PLACEHOLDERS = {"base": 1, "usual": 2, "unusual": 4, "combination": 1}

Text = Annotated[str, Field(min_length=1)]
Code = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Texts(_Part):
    base: Text
    usual: Text
    unusual: Text
    combination: Text


class _Reason(_Part):
    theme: Code
    label: Text
    unit: str
    high: Text
    low: Text
    missing: Text


class _Catalog(_Part):
    version: int
    texts: _Texts
    themes: dict[Code, Text]
    features: dict[str, _Reason]


def load_catalogs(
    feature_names: Sequence[str],
    folder: Path | None = None,
    declared: Mapping[str, Reason] = MappingProxyType({}),
) -> dict[str, Any]:
    """Read the catalogs, with the texts of these features only.

    Args:
        feature_names: The feature list of the model.
        folder: Folder of the files; by default the dbt project.
        declared: Words by feature of features.yml. They come before those of the English file; another language has
            them where its file lacks the feature.

    Returns:
        Catalogs by language; each has a version, of its file's version and a hash of its texts.

    Raises:
        ExplanationError: A file lacks a feature, a phrase or a text, or English is missing; names it.
    """
    folder = folder or dbt_project()
    catalogs = {}
    for path in sorted(folder.glob("reasons.*.yml")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise ExplanationError(f"{path}: the name is not reasons.<language>.yml, such as reasons.en.yml")
        catalogs[match[1]] = _read(path, match[1], feature_names, declared)
    if REQUIRED_LANGUAGE not in catalogs:
        raise ExplanationError(f"{folder}: reasons.{REQUIRED_LANGUAGE}.yml is missing")
    return catalogs


def _read(
    path: Path, language: str, feature_names: Sequence[str], declared: Mapping[str, Reason]
) -> dict[str, Any]:
    try:
        catalog = _Catalog.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ExplanationError(f"{path}: no catalog: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise ExplanationError(f"{path}: `{where}`: {first['msg'].lower()}") from None
    for name, count in _PLACEHOLDERS.items():
        marks = _PLACEHOLDER.findall(getattr(catalog.texts, name))
        if "%" in marks or len(marks) != count:
            raise ExplanationError(
                f"{path}: `texts.{name}`: it takes %s for {count} value(s), not {len(marks)}"
            )
    words = {name: reason.model_dump() for name, reason in catalog.features.items()}
    own_words = {name: reason.model_dump() for name, reason in declared.items()}
    words = words | own_words if language == REQUIRED_LANGUAGE else own_words | words
    if missing := [name for name in feature_names if name not in words]:
        raise ExplanationError(
            f"{path}: `features`: it lacks {', '.join(missing)}; give theme, label, unit, high, low and missing, "
            "here or as `reason` of the feature in features.yml"
        )
    features = {name: words[name] for name in feature_names}
    # A theme of features.yml needs no entry in the file.
    themes = {entry["theme"]: entry["theme"].replace("_", " ").capitalize() for entry in own_words.values()}
    themes |= catalog.themes
    for name, entry in features.items():
        if entry["theme"] not in themes:
            raise ExplanationError(f"{path}: `features.{name}.theme`: there is no theme {entry['theme']!r}")
    used = {entry["theme"] for entry in features.values()}
    content = {
        "texts": catalog.texts.model_dump(),
        "themes": {code: label for code, label in themes.items() if code in used},
        "features": features,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {"version": f"{language}-{catalog.version}-{digest[:8]}", **content}
