"""Alert rules, their unit tests, the runbook and the dashboards speak of the same things, and of things there are.
That the rules fire when they should is for promtool: `make alerts`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.telemetry import METRICS
from deploy.generate import dashboards

ROOT = Path(__file__).parents[2]
RULES: dict[str, Any] = {
    rule["alert"]: rule
    for group in yaml.safe_load((ROOT / "deploy/observe/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
TESTS = [
    case
    for test in yaml.safe_load((ROOT / "deploy/observe/alerts_test.yml").read_text())["tests"]
    for case in test["alert_rule_test"]
]
ENTRIES = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", (ROOT / "docs/runbook.md").read_text(), re.M | re.S))
BOARDS = {path: json.loads(text) for path, text in dashboards.files().items() if path.endswith(".json")}
PANELS = [panel for board in BOARDS.values() for panel in board["panels"]]


def metrics_in(expression: str) -> set[str]:
    """Names of metrics of ours, without what a histogram adds."""
    names = set(re.findall(r"\btributary_\w+", expression))
    return {name if name in METRICS else re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


@pytest.mark.parametrize("alert", sorted(RULES))
def test_every_alert_can_be_acted_on(alert: str) -> None:
    rule = RULES[alert]
    severity = rule["labels"]["severity"]
    assert severity in {"page", "ticket", "warn"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"].endswith(f"/runbook#{alert.lower()}")
    entry = ENTRIES[alert]
    assert entry.strip().startswith(f"*{severity}.*"), "the runbook says another severity"
    parts = re.findall(r"\*\*(\w+):\*\*", entry)
    assert parts == ["Means", "Affected", "Look", "Do", "Worry"]


def test_the_runbook_has_the_alerts_entries_in_their_order_and_no_others() -> None:
    assert list(ENTRIES) == list(RULES)


@pytest.mark.parametrize("alert", sorted(RULES))
def test_every_alert_has_a_unit_test_in_which_it_fires(alert: str) -> None:
    """What does not fire stands beside it: promtool compares the whole list, so a series too many fails it."""
    assert any(case["exp_alerts"] for case in TESTS if case["alertname"] == alert)
    if "for" in RULES[alert]:
        assert any(not case["exp_alerts"] for case in TESTS if case["alertname"] == alert), "not before its time"


@pytest.mark.parametrize("alert", sorted(RULES))
def test_an_alert_asks_for_metrics_there_are(alert: str) -> None:
    assert metrics_in(RULES[alert]["expr"]) <= set(METRICS)


def test_the_runbook_names_metrics_there_are() -> None:
    told = set(re.findall(r"`(\w+_(?:total|seconds|backlog|keys|records))`", (ROOT / "docs/runbook.md").read_text()))
    assert told
    assert {f"tributary_{name}" for name in told} <= set(METRICS)


def test_every_metric_is_on_one_panel_and_every_panel_has_a_metric() -> None:
    shown = [metrics_in(" ".join(target["expr"] for target in panel["targets"])) for panel in PANELS]
    assert all(len(names) == 1 for names in shown)
    assert sorted(name for names in shown for name in names) == sorted(METRICS)


@pytest.mark.parametrize("path", sorted(BOARDS))
def test_a_dashboard_is_one_grafana_takes(path: str) -> None:
    board = BOARDS[path]
    assert board["panels"], "an area without metrics"
    assert {"uid", "title", "schemaVersion", "templating"} <= set(board)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]]
    assert len(set(places)) == len(places)
    for panel in board["panels"]:
        assert panel["type"] == "timeseries"
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert [t["refId"] for t in panel["targets"]] == ["A", "B"][: len(panel["targets"])]
        assert panel["datasource"]["uid"] == "${source}"


def test_a_counter_is_shown_as_a_rate_a_histogram_by_its_quantiles() -> None:
    for panel in PANELS:
        metric = METRICS[f"tributary_{panel['title']}"]
        for target in panel["targets"]:
            assert ("rate(" in target["expr"]) is (metric.kind != "gauge")
            assert ("histogram_quantile(" in target["expr"]) is (metric.kind == "histogram")
            assert all(label in target["expr"] for label in metric.labels)
