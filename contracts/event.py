"""What every event is: a past-tense fact with its version last, carried as CloudEvents 1.0.

An `Event` subclass names its type and its topic once, in the class line. Binary mode on the log: `ce_` headers, and
the value is exactly the payload's JSON. Nothing in an event names a person: `person_ref` is a pseudonym, and facts
go out one copy per reader (`audience`), each holding only what that reader needs and may lawfully see.
"""

from datetime import datetime
from functools import cache, lru_cache
from typing import Any, ClassVar, Self
from uuid import UUID

import msgspec

from contracts.ids import derived_id, new_id, opaque_id, payload_hash, read_id

__all__ = ["EVENTS", "Envelope", "Event", "derived_id", "new_id", "opaque_id", "payload_hash"]

SOURCE_PREFIX = "/tributary/"
SPEC_VERSION = b"1.0"

EVENTS: dict[str, type["Event"]] = {}
"""Event type -> class, filled as the contract modules are imported."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A payload. `person_ref` is the partition key: everything about one person stays in order."""

    type: ClassVar[str] = ""
    """Reverse-DNS, past tense, version last: `uk.tributary.budget.proposed.v1`."""
    addressed: ClassVar[bool] = False
    """Whether each reader has a topic of its own."""

    person_ref: UUID

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        EVENTS[cls.type] = cls

    def identity(self) -> tuple[object, ...]:
        """All that makes this fact new, its revision included: the same fact told again gets the same event id."""
        raise NotImplementedError

    @classmethod
    def topic(cls, audience: str = "") -> str:
        """The topic of this event; an addressed event has one topic per reader, so that access can be per reader."""
        return _topic(cls.type, audience if cls.addressed else "")

    @classmethod
    def dataschema(cls) -> str:
        return f"https://tributary.example/schemas/{cls.type}.json"

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        found: Self = _decoder(cls).decode(payload)
        return found


@cache
def _topic(kind: str, audience: str) -> str:
    stem, _, version = kind.removeprefix("uk.").rpartition(".")
    return f"{stem}.{audience}.{version}" if audience else f"{stem}.{version}"


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The CloudEvents attributes of one event. `time` is UTC; ids are UUIDs."""

    id: UUID
    type: str
    source: str
    subject: UUID
    time: datetime
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str = ""

    def headers(self) -> list[tuple[str, bytes]]:
        """CloudEvents Kafka binding, binary mode."""
        subject = str(self.subject).encode()
        found = [
            *_of_kind(self.type, self.source),
            ("ce_id", str(self.id).encode()),
            ("ce_subject", subject),
            ("ce_time", _time(self.time)),
            ("ce_partitionkey", subject),
            ("ce_correlationid", str(self.correlation_id).encode()),
        ]
        if self.causation_id is not None:
            found.append(("ce_causationid", str(self.causation_id).encode()))
        if self.traceparent:
            found.append(("traceparent", self.traceparent.encode()))
        return found

    @classmethod
    def parse(cls, headers: dict[str, bytes]) -> "Envelope":
        """Raises ValueError or KeyError where a required attribute is missing or malformed."""
        cause = headers.get("ce_causationid")
        return cls(
            id=read_id(headers["ce_id"].decode()),
            type=headers["ce_type"].decode(),
            source=headers["ce_source"].decode(),
            subject=read_id(headers["ce_subject"].decode()),
            time=datetime.fromisoformat(headers["ce_time"].decode()),
            correlation_id=read_id(headers["ce_correlationid"].decode()),
            causation_id=read_id(cause.decode()) if cause else None,
            traceparent=headers.get("traceparent", b"").decode("ascii", "replace"),
        )


@cache
def _of_kind(kind: str, source: str) -> tuple[tuple[str, bytes], ...]:
    """The headers that all events of a type from one source share."""
    return (
        ("ce_specversion", SPEC_VERSION),
        ("ce_type", kind.encode()),
        ("ce_source", source.encode()),
        ("ce_dataschema", EVENTS[kind].dataschema().encode()),
        ("content-type", b"application/json"),
    )


@lru_cache(maxsize=256)
def _time(at: datetime) -> bytes:
    """All events of one transaction have the same."""
    return at.isoformat().encode()
