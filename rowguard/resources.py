"""Folders that ship with rowguard: top folders of a checkout, in the wheel below `rowguard/shipped`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

PROJECT_ROOT = Path(__file__).resolve().parent.parent
IS_CHECKOUT = (PROJECT_ROOT / "pyproject.toml").is_file()


def dbt_project() -> Path:
    """Return the folder of the dbt project. It is never written to."""
    # The wheel avoids the name `dbt`, which is dbt-core's package.
    return PROJECT_ROOT / "dbt" if IS_CHECKOUT else _shipped("dbt_project")


def migrations() -> Path:
    """Return the folder of the migrations; its parent must be on Alembic's path."""
    return PROJECT_ROOT / "migrations" if IS_CHECKOUT else _shipped("migrations")


def working_folder() -> Path:
    """Return the folder of `.env` and `.rowguard`: the checkout, or where an installed rowguard runs."""
    return PROJECT_ROOT if IS_CHECKOUT else Path.cwd()


def _shipped(name: Literal["dbt_project", "migrations"]) -> Path:
    return Path(str(files("rowguard"))) / "shipped" / name
