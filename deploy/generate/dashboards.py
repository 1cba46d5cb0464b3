"""Grafana dashboards and docs/metrics.md, from the table of metrics: one dashboard an area, one panel a metric."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from chassis.telemetry import METRICS, Metric

FOLDER = "deploy/observe/dashboards"
TITLES = {
    "flow": "Events: lag, outbox, batches",
    "database": "Database",
    "budgets": "Budgets",
    "parking": "Parked and replayed",
    "process": "Processes",
}
GRAFANA_UNIT = {"seconds": "s", "time": "s"}
"""A time is shown as the seconds since."""
SOURCE = {"type": "prometheus", "uid": "${source}"}
QUANTILES = (0.5, 0.99)
WIDTH, HEIGHT, COLUMNS = 12, 8, 2


def files() -> dict[str, str]:
    """Path from the root -> text."""
    made = {f"{FOLDER}/{area}.json": json.dumps(_dashboard(area), indent=1) + "\n" for area in TITLES}
    return made | {"docs/metrics.md": text()}


def _dashboard(area: str) -> dict[str, Any]:
    metrics = [m for m in METRICS.values() if m.area == area]
    return {
        "uid": f"tributary-{area}",
        "title": f"Tributary: {TITLES[area]}",
        "tags": ["tributary", "generated"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(n, metric) for n, metric in enumerate(metrics)],
    }


def _panel(n: int, metric: Metric) -> dict[str, Any]:
    unit = "ops" if metric.kind == "counter" else GRAFANA_UNIT.get(metric.unit, "short")
    return {
        "id": n + 1,
        "type": "timeseries",
        "title": metric.name.removeprefix("tributary_"),
        "description": f"{metric.help} ({_per(metric)}).",
        "datasource": SOURCE,
        "gridPos": {"x": n % COLUMNS * WIDTH, "y": n // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}},
        "targets": list(_targets(metric)),
    }


def _per(metric: Metric) -> str:
    if metric.kind == "counter":
        return f"{metric.unit} a second"
    return "seconds since" if metric.unit == "time" else metric.unit


def _targets(metric: Metric) -> Iterator[dict[str, Any]]:
    by = ", ".join(metric.labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind == "counter":
        yield _target("A", f"sum by ({by}) (rate({metric.name}[$__rate_interval]))", legend)
    elif metric.kind == "gauge":
        since = "time() - " if metric.unit == "time" else ""
        yield _target("A", f"{since}max by ({by}) ({metric.name})", legend)
    else:
        rates = f"sum by ({', '.join(['le', *metric.labels])}) (rate({metric.name}_bucket[$__rate_interval]))"
        for ref, quantile in zip("AB", QUANTILES, strict=True):
            yield _target(ref, f"histogram_quantile({quantile}, {rates})", f"p{quantile * 100:g} {legend}".strip())


def _target(ref: str, expression: str, legend: str) -> dict[str, Any]:
    return {"refId": ref, "expr": expression, "legendFormat": legend, "datasource": SOURCE}


HEAD = """# Metrics

Generated from `chassis/telemetry.py` by `make generate`. Do not edit.

Every process serves them at `/metrics` for Prometheus. Labels are bounded: no id, no person, nothing that was sent.
Readings that need SQL or the broker are taken every ten seconds by one task a service (`chassis/observe.py`), never on
a scrape. What to do when one is wrong: [runbook.md](runbook.md). The alert rules, and Grafana dashboards of all of
these: `deploy/observe`.
"""


def text() -> str:
    lines = [HEAD]
    for area, metrics in groupby(METRICS.values(), key=lambda m: m.area):
        lines += [f"## {TITLES[area]}\n", "| metric | kind | labels | what |", "|---|---|---|---|"]
        lines += [_row(metric) for metric in metrics]
        lines.append("")
    return "\n".join(lines)


def _row(metric: Metric) -> str:
    edges = f"; edges {' '.join(f'{b:g}' for b in metric.buckets)}" if metric.buckets else ""
    labels = ", ".join(metric.labels) or "none"
    return f"| `{metric.name}` | {metric.kind}, {metric.unit}{edges} | {labels} | {metric.help} |"
