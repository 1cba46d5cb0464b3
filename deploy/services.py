"""Every service there is, found by looking: a folder of `services/` with migrations, and each stream of the lock."""

import importlib
from pathlib import Path

from chassis.service import Service
from contracts.lock import lock

SERVICES = Path(__file__).parents[1] / "services"


def modules() -> list[str]:
    """Dotted names of the modules that hold a `service`."""
    plain = [f"services.{path.parent.name}" for path in sorted(SERVICES.glob("*/migrations"))]
    return plain + [stream.module for stream in lock().streams]


def all_services() -> list[Service]:
    return [importlib.import_module(module).service for module in modules()]
