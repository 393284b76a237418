"""The Grafana dashboard asks only for metrics and labels that the API exposes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rowguard.settings import PROJECT_ROOT
from tests.db.console.conftest import Browser, Console, running_console
from tests.fix_database import Workspace

DASHBOARD = json.loads((PROJECT_ROOT / "deploy" / "grafana" / "rowguard.json").read_text())
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
# Words of PromQL in the expressions; everything else that looks like a name must be a metric or a label.
FUNCTIONS = {"sum", "max", "by", "rate", "histogram_quantile"}


@pytest.fixture(scope="module")
def served(
    server_url: str, scored_template: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    with running_console(server_url, scored_template, tmp_path_factory.mktemp("grafana")) as console:
        yield console


@pytest.fixture(scope="module")
def exposed(served: Console) -> dict[str, set[str]]:
    """Name of each sample → the names of its labels."""
    client = Browser(served.portal, served.app)
    assert client.request("POST", "/transactions", json={"user_id": 1, "amount": 5}).status_code == 201
    result: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            result.setdefault(sample.name, set()).update(sample.labels)
    return result


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"][:60])
def test_every_expression_names_exposed_metrics(exposed: dict[str, set[str]], target: dict[str, str]) -> None:
    expression = re.sub(r"\[[^]]*\]", "", target["expr"])
    metrics = set(re.findall(r"\browguard_\w+", expression))
    assert metrics and metrics <= exposed.keys()
    labels = set.union(*(exposed[name] for name in metrics))
    without_values = re.sub(r'"[^"]*"', "", expression)
    used = set(re.findall(r"\b[a-z_]+\b", without_values)) - metrics - FUNCTIONS
    used |= set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    assert used <= labels
    assert without_values.count("(") == without_values.count(")")


def test_panels_share_no_id_and_no_place() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) and len(set(places)) == len(places)
