"""The HTTP contracts, frozen from the applications themselves: one document a service, and one of all together."""

from collections.abc import Iterable
from typing import Any, cast

from chassis.database import Database
from chassis.operations import routers_of
from chassis.service import Deps, Service, SystemClock
from chassis.web import build_app
from deploy.services import all_services

COMBINED = "tributary"
"""What `deploy.one_process` serves."""


def documents() -> dict[str, dict[str, Any]]:
    """Name -> OpenAPI 3.1 document, as the service answers it at /openapi.json."""
    services = all_services()
    found = {service.name: _document(service.title, [service]) for service in services}
    return {**found, COMBINED: _document("Tributary", services)}


def _document(title: str, services: Iterable[Service]) -> dict[str, Any]:
    routers = [router for service in services for router in routers_of(service, _NOTHING)]
    return build_app(title, routers, _never_ready).openapi()


async def _never_ready() -> dict[str, bool]:
    return {}


def _no_transactions() -> Any:
    raise AssertionError("an application that is only described serves nothing")


# A router only keeps these for its requests, and there are none.
_NOTHING = Deps(cast(Database, None), SystemClock(), b"", _no_transactions)
