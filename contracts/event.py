"""What every event is: a past-tense fact with its version last, carried as CloudEvents 1.0.

An `Event` subclass names its type and its topic once, in the class line. Binary mode on the log: `ce_` headers, and
the value is exactly the payload's JSON. Nothing in an event names a person: `person_ref` is a pseudonym, and facts
go out one copy per reader (`audience`), each holding only what that reader needs and may lawfully see.
"""

import hashlib
import os
from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

import msgspec

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
        stem, _, version = cls.type.removeprefix("uk.").rpartition(".")
        return f"{stem}.{audience}.{version}" if cls.addressed else f"{stem}.{version}"

    @classmethod
    def dataschema(cls) -> str:
        return f"https://tributary.example/schemas/{cls.type}.json"

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        return msgspec.json.decode(payload, type=cls)


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
        found = [
            ("ce_specversion", SPEC_VERSION),
            ("ce_id", str(self.id).encode()),
            ("ce_type", self.type.encode()),
            ("ce_source", self.source.encode()),
            ("ce_subject", str(self.subject).encode()),
            ("ce_time", self.time.isoformat().encode()),
            ("ce_dataschema", EVENTS[self.type].dataschema().encode()),
            ("ce_partitionkey", str(self.subject).encode()),
            ("ce_correlationid", str(self.correlation_id).encode()),
            ("content-type", b"application/json"),
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
            id=UUID(headers["ce_id"].decode()),
            type=headers["ce_type"].decode(),
            source=headers["ce_source"].decode(),
            subject=UUID(headers["ce_subject"].decode()),
            time=datetime.fromisoformat(headers["ce_time"].decode()),
            correlation_id=UUID(headers["ce_correlationid"].decode()),
            causation_id=UUID(cause.decode()) if cause else None,
            traceparent=headers.get("traceparent", b"").decode("ascii", "replace"),
        )


def payload_hash(payload: bytes) -> bytes:
    """16 bytes that tell one body from another under the same event id."""
    return hashlib.blake2b(payload, digest_size=16).digest()


def opaque_id(digest: bytes) -> UUID:
    """UUIDv8 of the first 16 bytes of a digest."""
    return _as_version(int.from_bytes(digest[:16], "big"), 8)


def _as_version(value: int, version: int) -> UUID:
    value = value & ~(0xF << 76) | (version << 76)
    return UUID(int=value & ~(0x3 << 62) | (0x2 << 62))


def new_id(now: datetime) -> UUID:
    """UUIDv7 for a fact that has no cause here: 48 bits of milliseconds, the rest random."""
    value = int(now.timestamp() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    return _as_version(value, 7)


def derived_id(cause: UUID, *names: object) -> UUID:
    """An id that a retry makes again: UUIDv8 of the cause and all that makes the new fact new (its revision too).

    The first 48 bits are the cause's own (a UUIDv7 time at the root of the chain), so that ids of one chain sit
    together in an index instead of scattering over it.
    """
    digest = hashlib.sha256("|".join([str(cause), *map(str, names)]).encode()).digest()
    return _as_version((cause.int >> 80 << 80) | int.from_bytes(digest[:10], "big"), 8)
