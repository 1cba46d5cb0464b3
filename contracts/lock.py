"""`streams.lock`: which streams there are, generated from their folders. Services read the lock and never each other.

Two services deployed a day apart cannot disagree about a roll-call: it is fixed in the assessment's event, from here.
"""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

PATH = Path(__file__).parent / "streams.lock"


class LockedRuleSet(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    id: str
    packs: tuple[str, ...]
    start: date
    end: date


class Registered(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """One stream. `facts` is what its copy of the assessment holds: field -> true, or the fields of a group.

    `own_schema` is the JSON Schema of what only it may see (`stream_only.<name>` on the form).
    """

    name: str
    title: str
    module: str
    owner: str
    statute: str
    decision_maker: str
    decides_here: bool
    shares: Literal["statutory", "consent"]
    clock_days: int
    start: date
    end: date
    ended_says: str
    gateway: bool
    needs: tuple[str, ...]
    rule_sets: tuple[LockedRuleSet, ...]
    facts: dict[str, Any]
    own_schema: dict[str, Any] | None
    pack_hash: str

    def rule_set(self, pack: str, day: date) -> LockedRuleSet | None:
        return next((r for r in self.rule_sets if pack in r.packs and r.start <= day <= r.end), None)


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """A reader of the assessment that is no stream (the allocation service)."""

    name: str
    module: str
    facts: dict[str, Any]


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    streams: tuple[Registered, ...]
    readers: tuple[Reader, ...]

    def named(self, stream: str) -> Registered | None:
        return next((s for s in self.streams if s.name == stream), None)

    def audiences(self) -> tuple[str, ...]:
        return (*(s.name for s in self.streams), *(r.name for r in self.readers))


@cache
def lock() -> Lock:
    return msgspec.json.decode(PATH.read_bytes(), type=Lock)
