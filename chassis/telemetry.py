"""Logs and metrics. A log line is an event name and ids; people do not appear in it.

Every metric is one entry of METRICS: docs/metrics.md and the Grafana dashboards are generated from it. Labels are
bounded: no id, no person and nothing that was sent becomes one.
"""

import logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from prometheus_client import Counter, Gauge, Histogram

Kind = Literal["counter", "gauge", "histogram"]
PREFIX = "tributary_"
METRICS: "dict[str, Metric]" = {}
"""Full name -> metric, in the order of the dashboards."""


@dataclass(frozen=True)
class Metric:
    """`unit`: seconds, records, … `area`: the dashboard it is on. `labels` may hold only names of bounded sets."""

    name: str
    kind: Kind
    area: str
    unit: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


def _known(metric: Metric) -> Metric:
    if metric.name in METRICS:
        raise ValueError(f"{metric.name} is defined twice")
    METRICS[metric.name] = metric
    return metric


def counter(area: str, name: str, unit: str, help: str, *labels: str) -> Counter:  # noqa: A002 - Prometheus' word
    """Only ever grows; its name ends in _total."""
    metric = _known(Metric(PREFIX + name, "counter", area, unit, help, labels))
    return Counter(metric.name, metric.help, metric.labels)


def gauge(area: str, name: str, unit: str, help: str, *labels: str) -> Gauge:  # noqa: A002
    metric = _known(Metric(PREFIX + name, "gauge", area, unit, help, labels))
    return Gauge(metric.name, metric.help, metric.labels)


def histogram(area: str, name: str, help: str, *labels: str, buckets: Iterable[float]) -> Histogram:  # noqa: A002
    """In seconds. A bucket's edge stands exactly at each aim (SLO), and one above the worst that can be borne."""
    metric = _known(Metric(PREFIX + name, "histogram", area, "seconds", help, labels, tuple(buckets)))
    return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets)


_BATCH = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15)
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_AGE = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_BUDGET = (0.1, 0.3, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 14400, 86400)
_PART = ("group", "topic", "partition")

HANDLED = counter("flow", "events_handled_total", "events", "Events handled", "service")
BATCH_SECONDS = histogram(
    "flow", "handler_batch_seconds", "One batch: inbox, handler, outbox and commit", "service", buckets=_BATCH
)
EVENT_AGE = histogram(
    "flow", "event_e2e_seconds", "Age of a batch's oldest event when it is done", "service", buckets=_AGE
)
DUPLICATES = counter("flow", "inbox_duplicates_total", "events", "Events that came again, same body", "service")
FENCED = counter("flow", "fenced_total", "batches", "Batches dropped: another session owns the partition", "service")
LAG_RECORDS = gauge("flow", "consumer_lag_records", "records", "Records not yet committed", *_PART)
LAG_SECONDS = gauge("flow", "consumer_lag_seconds", "seconds", "Age of the next record not yet committed", *_PART)
COMMITTED = gauge("flow", "consumer_committed_offset", "offset", "Offset of the next record to commit", *_PART)
LAST_POLL = gauge("flow", "consumer_last_poll_timestamp_seconds", "time", "When records were last asked for", "group")
LAST_PROGRESS = gauge(
    "flow", "consumer_last_progress_timestamp_seconds", "time", "When all that was taken was last done", "group"
)
REBALANCES = counter("flow", "rebalance_total", "times", "Partitions were given anew", "group")
WITHOUT_OFFSETS = counter(
    "flow", "group_without_offsets_total", "times", "Assignments with records and no committed offset", "group"
)
CONSUMER_STOPPED = gauge("flow", "consumer_stopped", "yes or no", "1 while a consumer has stopped itself", "group",
                         "reason")  # fmt: skip
SENT = counter("flow", "outbox_sent_total", "events", "Outbox rows sent", "service")
OUTBOX_OLDEST = gauge(
    "flow", "outbox_oldest_unpublished_seconds", "seconds", "Age of the oldest event told and not sent", "service"
)
OUTBOX_BACKLOG = gauge("flow", "outbox_backlog", "events", "Events told and not sent", "service")
RELAY_SECONDS = histogram("flow", "relay_send_seconds", "One send of the relay, receipts included", "service",
                          buckets=_SHORT)  # fmt: skip
PRODUCER_REBUILDS = counter("flow", "producer_rebuild_total", "times", "A producer given up for a new one", "service")

TX_SECONDS = histogram("database", "db_tx_seconds", "One transaction, its commit included", "service", buckets=_SHORT)
RETRIES = counter("database", "db_retry_total", "times", "Work done again after a passing fault", "service", "reason")
AMBIGUOUS = counter("database", "db_ambiguous_total", "times", "Connections lost: commit or not unknown", "service")
OLDEST_TX = gauge("database", "db_oldest_transaction_seconds", "seconds", "Age of the role's oldest transaction",
                  "service")  # fmt: skip
POOL_IN_USE = gauge("database", "db_pool_in_use", "connections", "Connections in use", "service")
POOL_SIZE = gauge("database", "db_pool_limit", "connections", "Connections there may be", "service")

BUDGET_AGE = histogram("budgets", "pm_age_seconds", "From assessment finalised to budget proposed", "service",
                       buckets=_BUDGET)  # fmt: skip
OLDEST_OPEN = gauge("budgets", "pm_oldest_open_seconds", "seconds", "Age of the oldest assessment without a budget",
                    "service")  # fmt: skip

PARKED = counter("parking", "parked_total", "messages", "Messages parked", "service", "reason")
PARKED_KEYS = gauge("parking", "parked_keys", "people", "People whose messages are parked", "service")
PARKED_OLDEST = gauge("parking", "parked_oldest_seconds", "seconds", "Age of the oldest parked message", "service")
REPLAYED = counter("parking", "replay_total", "messages", "Messages replayed by an operator", "service", "mode")

SAMPLES_FAILED = counter("process", "samples_failed_total", "times", "A reading could not be taken", "service", "what")
LOOP_LAG_SECONDS = histogram("process", "event_loop_lag_seconds", "How late the event loop was",
                     buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15))  # fmt: skip


def retried(service: str, reason: str, *, unknown: bool) -> None:
    """Work is done again. `unknown`: the connection went, and with it whether the commit had happened."""
    RETRIES.labels(service, reason).inc()
    if unknown:
        AMBIGUOUS.labels(service).inc()


def set_up_logs(*, level: str = "INFO", as_json: bool = True) -> None:
    """Structured lines on stderr, so that stdout stays data."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def logger(service: str) -> Any:
    return structlog.get_logger().bind(service=service)
