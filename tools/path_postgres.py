"""Prints the folder of the newest PostgreSQL that is installed beside the embedded one; exit 1 without any."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Debian's versioned folders first: its wrappers on PATH may not hold every program."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin")]
    on_path = shutil.which("pg_ctl")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    complete = [
        folder
        for folder in folders
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "postgres"))
    ]
    if not complete:
        print("no PostgreSQL is installed on this machine", file=sys.stderr)
        return 1
    print(max(complete, key=version))
    return 0


def version(folder: Path) -> int:
    """Major version of the server in a folder."""
    text = subprocess.run(
        [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"(\d+)", text)
    return int(found.group(1)) if found else 0


if __name__ == "__main__":
    sys.exit(main())
