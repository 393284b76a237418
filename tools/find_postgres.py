"""Print the folder of the newest installed PostgreSQL, next to the embedded one; exit 1 without any."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("initdb", "pg_ctl", "postgres")


def main() -> int:
    """Search Debian's versioned folders and PATH."""
    # Debian's wrappers on PATH may not include every program.
    folders = [*Path("/usr/lib/postgresql").glob("*/bin")]
    if pg_ctl := shutil.which("pg_ctl"):
        folders.append(Path(pg_ctl).resolve().parent)
    complete = [folder for folder in folders if all((folder / name).exists() for name in PROGRAMS)]
    if not complete:
        print("no PostgreSQL is installed on this machine", file=sys.stderr)
        return 1
    print(max(complete, key=major_version))
    return 0


def major_version(folder: Path) -> int:
    """Return the major version of the server in a folder, 0 if it shows none."""
    command = [str(folder / "postgres"), "--version"]
    version = re.search(r"(\d+)", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return int(version[1]) if version else 0


if __name__ == "__main__":
    sys.exit(main())
