"""The waterfall picture."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rowguard.resources import PROJECT_ROOT
from sql_scoring.explain.waterfall import SHOWN_FEATURES, render_waterfall

EXAMPLE = Path(__file__).with_name("golden") / "explanation.json"
PICTURE = PROJECT_ROOT / "docs" / "images" / "reasons-waterfall.svg"
SVG = "{http://www.w3.org/2000/svg}"


def _document(contributions: list[float]) -> dict[str, Any]:
    return {
        "model_version": "rf_<1>",
        "output": "probability",
        "base": "average score over the training rows",
        "base_value": 0.1,
        "contributions": [
            {
                "rank": rank,
                "feature": f"feature_{rank}",
                "value": None if rank == 1 else 2.5,
                "contribution": value,
            }
            for rank, value in enumerate(contributions, start=1)
        ],
    }


def test_bars_lead_from_the_base_to_the_score() -> None:
    values = [0.5, -0.2, 0.1]
    root = ElementTree.fromstring(render_waterfall(_document(values)))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[1::2] == ["base value", "feature_1 = missing", "feature_2 = 2.5", "feature_3 = 2.5", "score"]
    assert texts[2::2] == ["0.1000", "+0.5000", "-0.2000", "+0.1000", "0.5000"]
    bars = [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in list(root.iter(f"{SVG}rect"))[1:]]
    ends = [x + width for x, width in bars]
    assert abs(ends[0] - bars[1][0]) < 0.2 and abs(ends[1] - ends[2]) < 0.2
    assert abs(bars[3][0] - bars[2][0]) < 0.2 and abs(ends[3] - ends[4]) < 0.2


def test_the_rest_is_one_bar_and_texts_are_escaped() -> None:
    values = [0.01] * (SHOWN_FEATURES + 3)
    picture = render_waterfall(_document(values))
    assert "3 other features" in picture and "+0.0300" in picture
    assert "rf_&lt;1&gt;" in picture and not re.search(r"rf_<", picture)
    assert picture == render_waterfall(_document(values))


def test_the_picture_of_the_documentation_is_current() -> None:
    """`WRITE_PICTURES=1` writes it, as `make golden` does."""
    picture = render_waterfall(json.loads(EXAMPLE.read_text()))
    if os.environ.get("WRITE_PICTURES"):
        PICTURE.write_text(picture)
    assert PICTURE.read_text() == picture
