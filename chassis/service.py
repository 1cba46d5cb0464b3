"""A service is a value: a name, handlers, an API, tables, and the events it publishes. A handler takes a batch."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from contracts.event import Envelope, Event

if TYPE_CHECKING:
    from fastapi import APIRouter
    from prometheus_client import Gauge

    from chassis.database import Database
    from chassis.transaction import Transaction

E = TypeVar("E", bound=Event)


class Clock(Protocol):
    def now(self) -> datetime:
        """UTC, with its zone."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Received(NamedTuple, Generic[E]):
    """One event as it came, with its envelope; `payload` is its JSON, for keeping it without encoding it again."""

    event: E
    envelope: Envelope
    payload: bytes


Handler = Callable[[list[Received[Any]], "Transaction"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one handler reads. `audience` is set for addressed events: the reader's own copies."""

    events: tuple[type[Event], ...]
    audience: str
    handler: Handler

    def topics(self) -> list[str]:
        return [event.topic(self.audience) for event in self.events]


class Handlers:
    """`@handlers.on(A, B)`: one batch may hold both; per person the order is the publisher's."""

    def __init__(self) -> None:
        self.subscriptions: list[Subscription] = []

    def on(self, *events: type[Event], audience: str = "") -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.subscriptions.append(Subscription(events, audience, handler))
            return handler

        return register

    def topics(self) -> list[str]:
        return [topic for s in self.subscriptions for topic in s.topics()]

    async def handle(self, batch: "Iterable[Received[Any]]", tx: "Transaction") -> None:
        """Hand the events to their handlers, grouped by handler, the order per person kept."""
        grouped: dict[int, list[Received[Any]]] = {}
        for received in batch:
            for n, subscription in enumerate(self.subscriptions):
                if type(received.event) in subscription.events:
                    grouped.setdefault(n, []).append(received)
        for n, some in sorted(grouped.items()):
            await self.subscriptions[n].handler(some, tx)


@dataclass(frozen=True, slots=True)
class Deps:
    """What an API or a timer of a service works with."""

    database: "Database"
    clock: Clock
    pepper: bytes
    """Secret that pseudonyms are made with."""
    transactions: "Callable[[], Any]"
    """`async with deps.transactions() as tx`: state and outbox in one commit, and the relay woken after it."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Work done every `seconds`, by one process at a time."""

    name: str
    seconds: float
    work: Callable[["Transaction"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Command:
    """Something that came by the API or a timer and not as an event, as the service's own tables remember it."""

    at: datetime
    run: Callable[["Transaction"], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Service:
    """`name` is the consumer group and the source of its events; `schema` its PostgreSQL schema and role.

    `publishes` names each event with the readers it goes to (`everybody`, or the readers of an addressed event): for
    topics, access lists and documents. It is asked when needed, so that importing a service reads no file.
    """

    name: str
    schema: str
    title: str
    migrations: Path
    publishes: tuple[tuple[type[Event], Callable[[], tuple[str, ...]]], ...]
    handlers: Handlers = field(default_factory=Handlers)
    router: "Callable[[Deps], APIRouter] | None" = None
    timers: tuple[Timer, ...] = ()
    makes_pseudonyms: bool = False
    """Whether it is given the secret that pseudonyms are made with. One service is."""
    sampled: "tuple[tuple[Gauge, str], ...]" = ()
    """Gauges of its own (label `service`), each with the statement that reads its one number every few seconds."""
    commands: "Callable[[Transaction], Awaitable[list[Command]]] | None" = None
    """Reads what came otherwise than as events, so that a replay of the events can do it again in its place."""
    insert_only: tuple[str, ...] = ()
    """Tables of its own that the service's role may not UPDATE or DELETE."""
    derived: tuple[str, ...] = ()
    """`table.column` that follow from the rest of their row, kept to be read quickly: no state of their own."""

    def topics_written(self) -> list[str]:
        return [event.topic(audience) for event, audiences in self.publishes for audience in audiences()]

    def topics(self) -> list[str]:
        return sorted({*self.handlers.topics(), *self.topics_written()})


def everybody() -> tuple[str, ...]:
    """One topic, read by whoever subscribes."""
    return ("",)


def all_topics(services: Iterable[Service]) -> list[str]:
    return sorted({topic for service in services for topic in service.topics()})
