"""Logs and metrics. A log line is an event name and ids; people do not appear in it."""

import logging
import sys
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

HANDLED = Counter("tributary_events_handled_total", "Events handled", ["service"])
DUPLICATES = Counter("tributary_inbox_duplicates_total", "Events that came again with the same body", ["service"])
PARKED = Counter("tributary_parked_total", "Messages parked", ["service", "reason"])
RETRIES = Counter("tributary_batch_retries_total", "Batches tried again after a transient fault", ["service", "fault"])
FENCED = Counter("tributary_fenced_total", "Batches dropped: another session owns the partition", ["service"])
SENT = Counter("tributary_outbox_sent_total", "Outbox rows sent", ["service"])
CONSUMER_STOPPED = Gauge(
    "tributary_consumer_stopped", "1 while a consumer has stopped itself; nothing is parked", ["group", "reason"]
)
BATCH_SECONDS = Histogram(
    "tributary_handler_batch_seconds",
    "One batch: inbox, handler, outbox and commit",
    ["service"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15),
)


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
