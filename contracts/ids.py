"""Ids: a UUID type that is quick to read, hash and print, and the ids that events make.

asyncpg's UUID is a subclass of `uuid.UUID`, equal to it and with the same hash, written in C: reading one from text
takes a tenth of the time, and an event carries four.
"""

import hashlib
import os
from collections.abc import Callable
from datetime import datetime
from typing import cast
from uuid import UUID

from asyncpg.pgproto import pgproto

read_id = cast("Callable[[str | bytes], UUID]", pgproto.UUID)
"""From text, or from 16 bytes. Raises ValueError."""


def opaque_id(digest: bytes) -> UUID:
    """UUIDv8 of the first 16 bytes of a digest."""
    return _as_version(int.from_bytes(digest[:16], "big"), 8)


def _as_version(value: int, version: int) -> UUID:
    value = value & ~(0xF << 76) | (version << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return read_id(value.to_bytes(16, "big"))


def named_id(namespace: UUID, name: str) -> UUID:
    """UUIDv5: what `uuid.uuid5` gives, in a third of the time."""
    digest = hashlib.sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return _as_version(int.from_bytes(digest[:16], "big"), 5)


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


def payload_hash(payload: bytes) -> bytes:
    """16 bytes that tell one body from another under the same event id."""
    return hashlib.blake2b(payload, digest_size=16).digest()
