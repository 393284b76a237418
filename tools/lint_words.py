"""Find words that the glossary replaces, in code, tests and docs; exit 1 if there are any."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {"CHANGELOG.md", "tools/lint_words.py"}
# As whole words or, with a trailing underscore, as the start of a name.
WORDS = (
    "reckon", "reckoned", "anew", "felt_", "second opinion", "second_opinion", "let through", "let_through",
    "made up for", "lose_patience", "doomed", "untotalled", "mend", "mended", "turned away", "turned_away",
    "from nothing", "whoever", "under way", "seen_rows", "knows_last_row", "decide_insert", "score_candidate",
    "score_basic", "forget_totals", "fold_late_row", "keep_history_undecided", "set_aside", "unreplayable",
    "LeanRoute", "withdraw_challenger", "amount_units", "distribute(",
)  # fmt: skip
PATTERN = re.compile(
    "|".join(r"\b" + re.escape(word) + (r"\b" if word[-1].isalpha() else "") for word in WORDS), re.IGNORECASE
)


def main() -> int:
    """Print each place as file:line: word."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    places = 0
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if name in SKIPPED or path.suffix in (".svg", ".png") or name.startswith("requirements/"):
            continue
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            for match in PATTERN.finditer(line):
                places += 1
                print(f"{name}:{number}: {match[0]}")
    return bool(places)


if __name__ == "__main__":
    sys.exit(main())
