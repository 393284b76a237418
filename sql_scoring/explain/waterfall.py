"""A waterfall of one explanation as SVG: from the base value, feature by feature, to the score.

It reads the document of the SQL function `explanation` and needs nothing else, so that every caller draws the same
picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

SHOWN_FEATURES = 9
WIDTH, LABEL_WIDTH, ROW_HEIGHT, HEADER_HEIGHT, MARGIN = 760, 300, 26, 44, 12
RAISES, LOWERS, TOTAL = "#c0392b", "#2471a3", "#4d5656"


@dataclass(frozen=True)
class _Bar:
    label: str
    start: float
    end: float
    color: str
    text: str


def render_waterfall(document: Mapping[str, Any]) -> str:
    """Draw an explanation.

    Args:
        document: As `explanation` returns it, with all features.

    Returns:
        One SVG element; the same document gives the same text.
    """
    bars = _bars(document)
    low = min(0.0, *(min(bar.start, bar.end) for bar in bars))
    high = max(bar.end if bar.end > bar.start else bar.start for bar in bars)
    scale = (WIDTH - LABEL_WIDTH - 80) / ((high - low) or 1.0)
    height = HEADER_HEIGHT + ROW_HEIGHT * len(bars) + MARGIN

    def at(value: float) -> float:
        return LABEL_WIDTH + (value - low) * scale

    title = (
        f"{document['model_version']}: {document['output']} {bars[-1].end:.4f}, base {document['base_value']:.4f} "
        f"({document['base']})"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="24" font-size="13" fill="#1c2833">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        top = HEADER_HEIGHT + ROW_HEIGHT * number
        left, width = at(min(bar.start, bar.end)), max(abs(bar.end - bar.start) * scale, 1.0)
        middle = top + ROW_HEIGHT / 2 + 1
        parts += [
            f'<text x="{LABEL_WIDTH - 8}" y="{middle}" text-anchor="end" fill="#1c2833">{escape(bar.label)}</text>',
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW_HEIGHT - 8}" fill="{bar.color}"/>',
            f'<text x="{left + width + 5:.1f}" y="{middle}" fill="{bar.color}">{escape(bar.text)}</text>',
        ]
        if number + 1 < len(bars):
            x = at(bar.end)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + ROW_HEIGHT - 8}" y2="{top + ROW_HEIGHT}" '
                'stroke="#aab7b8"/>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bars(document: Mapping[str, Any]) -> list[_Bar]:
    contributions = sorted(document["contributions"], key=lambda row: row["rank"])
    level = float(document["base_value"])
    bars = [_Bar("base value", 0.0, level, TOTAL, f"{level:.4f}")]
    steps = [
        (f"{row['feature']} = {_number(row['value'])}", float(row["contribution"]))
        for row in contributions[:SHOWN_FEATURES]
    ]
    if rest := contributions[SHOWN_FEATURES:]:
        steps.append((f"{len(rest)} other features", sum(float(row["contribution"]) for row in rest)))
    for label, step in steps:
        color = RAISES if step >= 0 else LOWERS
        bars.append(_Bar(label, level, level + step, color, f"{step:+.4f}"))
        level += step
    return [*bars, _Bar("score", 0.0, level, TOTAL, f"{level:.4f}")]


def _number(value: float | None) -> str:
    return "missing" if value is None else f"{value:.4g}"
