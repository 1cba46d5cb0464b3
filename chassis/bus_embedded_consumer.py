"""A member of a consumer group of the embedded bus.

A background task renews the leases, so that a long handler does not lose them. Members agree without talking:
each works out the same fair split from the same list of live members, gives up the rest and claims its share.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from chassis import bus_embedded_sql as sql
from chassis.bus import BusUnavailable, Consumer, Record
from chassis.bus_embedded_store import Store
from chassis.bus_records import key_hash

Part = tuple[str, int]
_log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(list[tuple[str, str]]).decode


@dataclass(slots=True, eq=False)
class _Held:
    """A partition this member owns; offsets are of the next record."""

    epoch: int
    position: int
    committed: int
    leaving_since: float | None = None


class Wakeups:
    """Who in this process wants to know of new records of a topic, and of changes in a group."""

    def __init__(self) -> None:
        self._records: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._groups: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def register(self, group: str, topics: Iterable[str], records: asyncio.Event, changes: asyncio.Event) -> None:
        self._groups[group].add(changes)
        for topic in topics:
            self._records[topic].add(records)

    def forget(self, group: str, topics: Iterable[str], records: asyncio.Event, changes: asyncio.Event) -> None:
        self._groups[group].discard(changes)
        for topic in topics:
            self._records[topic].discard(records)

    def sent(self, topics: Iterable[str]) -> None:
        for topic in topics:
            _set_all(self._records[topic])

    def changed(self, group: str, by: asyncio.Event) -> None:
        _set_all(self._groups[group] - {by})


class EmbeddedConsumer(Consumer):
    """Made by EmbeddedBus.consumer. `counts`: partitions per topic; `idle_poll`, `lease` in seconds."""

    def __init__(
        self,
        store: Store,
        wakeups: Wakeups,
        group: str,
        counts: Mapping[str, int],
        idle_poll: float,
        lease: float,
    ) -> None:
        self._store, self._wakeups, self._counts = store, wakeups, counts
        self._who = {"grp": group, "member": uuid.uuid4().hex}
        self._idle_poll = self._idle = idle_poll
        self._lease = lease
        self._lease_ends = 0.0
        self._held: dict[Part, _Held] = {}
        self._moves = 0
        self._settled = False
        self._turn = 0
        self._trouble: BusUnavailable | None = None
        self._records, self._changes = asyncio.Event(), asyncio.Event()
        self._writing = asyncio.Lock()  # a beat and a commit at once would lock the same rows
        self._task: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Become a member and claim its share where nobody else holds it. Raises BusUnavailable."""
        await self._beat()
        self._wakeups.register(self._who["grp"], self._counts, self._records, self._changes)
        self._wakeups.changed(self._who["grp"], by=self._changes)
        self._task = asyncio.create_task(self._keep(), name=f"bus member of {self._who['grp']}")

    @property
    def assigned(self) -> bool:
        return self._settled and self._leased

    @property
    def generation(self) -> object:
        return self._moves

    @property
    def _leased(self) -> bool:
        return time.monotonic() < self._lease_ends

    async def poll(self, max_records: int, wait: float) -> list[Record]:
        """As the port says. Raises BusUnavailable when the database still did not answer after `wait` s."""
        deadline = time.monotonic() + wait
        while True:
            if self._task is not None and self._task.done():
                self._task.result()  # it only ends by a bug: show it here
            self._records.clear()  # before reading, so that a send during the read is not slept over
            trouble = self._trouble
            try:
                if records := await self._fetch(max_records):
                    self._idle = self._idle_poll
                    return records
            except BusUnavailable as error:
                trouble = error
            left = deadline - time.monotonic()
            if left <= 0:
                if trouble is not None:
                    raise BusUnavailable(str(trouble)) from trouble
                return []
            await self._doze(min(left, self._idle))

    async def _doze(self, seconds: float) -> None:
        """Until a send of this process, or `seconds`; the longer nothing comes, the longer the next time."""
        if await _waited(self._records, seconds):
            self._idle = self._idle_poll
        else:
            self._idle = min(self._idle * 1.25, self._idle_poll * 5)

    async def _fetch(self, max_records: int) -> list[Record]:
        open_ = [(part, held) for part, held in self._held.items() if held.leaving_since is None]
        if not open_ or not self._leased:
            return []
        # LIMIT favours the first partitions: let each be first in turn
        self._turn = (self._turn + 1) % len(open_)
        open_ = open_[self._turn :] + open_[: self._turn]
        rows = await self._store.rows(
            sql.POLL,
            topic=[topic for (topic, _), _ in open_],
            part=[part for (_, part), _ in open_],
            off=[held.position for _, held in open_],
            n=max_records,
        )
        return self._accept(open_, rows)

    def _accept(self, read: Sequence[tuple[Part, _Held]], rows: Sequence[Any]) -> list[Record]:
        """The records of partitions still ours after the read; the position moves with what is returned."""
        records = []
        for index, offset, key, value, headers in rows:
            (topic, partition), held = read[index - 1]
            current = self._held.get((topic, partition))
            if current is None or current is not held or current.leaving_since is not None:
                continue
            records.append(Record(topic, partition, offset, key, value, _headers(headers)))
            current.position = offset + 1
        return records

    async def commit(self) -> None:
        """As the port says; when the database does not answer, the next commit makes up for it."""
        done = {part: (h, h.position) for part, h in self._held.items() if h.position > h.committed}
        if not done:
            return
        async with self._writing:
            try:
                fenced = {part: (held.epoch, at) for part, (held, at) in done.items()}
                kept = await self._write_held(sql.COMMIT, fenced)
            except BusUnavailable as error:
                _log.warning("commit of group %s left for later: %s", self._who["grp"], error)
                return
        for part, (held, position) in done.items():
            if part in kept:
                held.committed = max(held.committed, position)
            elif self._held.get(part) is held:
                del self._held[part]
        if any(held.leaving_since for held in self._held.values()) or len(kept) < len(done):
            self._changes.set()

    async def standing(self) -> dict[Part, tuple[int, int]]:
        heads = await self._store.rows(sql.HEADS, topics=list(self._counts))
        ends = {(topic, part): following for topic, part, following in heads}
        return {part: (held.committed, ends[part]) for part, held in self._held.items()}

    async def close(self) -> None:
        """Leave the group; others get the partitions now, or after the lease if the database is gone."""
        if self._task is None:
            return
        async with self._writing:  # not in the middle of a beat, whose claims would stay unknown
            self._task.cancel()
        self._task = None
        self._wakeups.forget(self._who["grp"], self._counts, self._records, self._changes)
        with contextlib.suppress(BusUnavailable):
            await self._release(list(self._held))
            await self._store.count(sql.LEAVE, **self._who)
        self._held.clear()
        self._settled = False
        self._wakeups.changed(self._who["grp"], by=self._changes)

    async def _keep(self) -> None:
        while True:
            await _waited(self._changes, self._lease / 5)
            self._changes.clear()
            try:
                await self._beat()
                self._trouble = None
            except BusUnavailable as error:
                self._trouble = error
                await asyncio.sleep(0.1)

    async def _beat(self) -> None:
        """Renew, then move towards the fair share. What went wrong half way is put right by the next beat."""
        async with self._writing:
            started = time.monotonic()
            rows = await self._store.rows(sql.BEAT, **self._who, topics=sorted(self._counts), lease=self._lease)
            mine = (row for row in rows if row.kind == "mine")
            self._adopt({(r.topic, r.part): _Held(r.epoch, r.next_off, r.next_off) for r in mine})
            self._lease_ends = started + self._lease
            share = self._share((r.topic, r.member) for r in rows if r.kind == "member")
            moved = await self._give_up(share) + await self._claim(share)
            self._settled = share <= self._held.keys()
        if moved:
            self._records.set()
            self._wakeups.changed(self._who["grp"], by=self._changes)

    def _adopt(self, mine: Mapping[Part, _Held]) -> None:
        """Forget what another member took; take over what is ours by a claim whose answer never came."""
        lost = [p for p, held in self._held.items() if p not in mine or mine[p].epoch != held.epoch]
        self._moves += bool(lost) or not mine.keys() <= self._held.keys()
        for part in lost:
            del self._held[part]
        for part, held in mine.items():
            self._held.setdefault(part, held)

    def _share(self, alive: Iterable[tuple[str, str]]) -> set[Part]:
        """The partitions that should be ours; the hash spreads the odd ones of several topics."""
        readers: defaultdict[str, set[str]] = defaultdict(set)
        for topic, member in alive:
            readers[topic].add(member)
        share: set[Part] = set()
        for topic, count in self._counts.items():
            ranked = sorted(readers[topic] | {self._who["member"]})
            mine, first = ranked.index(self._who["member"]), key_hash(topic.encode())
            share.update((topic, part) for part in range(count) if (part + first) % len(ranked) == mine)
        return share

    async def _give_up(self, share: set[Part]) -> int:
        """Release others' partitions once they are committed, so that nobody repeats, or after a lease."""
        now = time.monotonic()
        ready = []
        for part, held in self._held.items():
            if part in share:
                held.leaving_since = None
                continue
            held.leaving_since = held.leaving_since or now
            if held.position == held.committed or now - held.leaving_since > self._lease:
                ready.append(part)
        await self._release(ready)
        return len(ready)

    async def _release(self, parts: Sequence[Part]) -> None:
        self._moves += bool(parts)
        if parts:
            await self._write_held(sql.RELEASE, {part: (self._held[part].epoch, 0) for part in parts})
        for part in parts:
            self._held.pop(part, None)

    async def _claim(self, share: set[Part]) -> int:
        if not (wanted := sorted(share - self._held.keys())):
            return 0
        rows = await self._store.rows(sql.CLAIM, **self._who, **_parts(wanted), lease=self._lease)
        self._moves += bool(rows)
        for row in rows:
            self._held[row.topic, row.part] = _Held(row.epoch, row.next_off, row.next_off)
        return len(rows)

    async def _write_held(self, template: str, epochs_offsets: Mapping[Part, tuple[int, int]]) -> set[Part]:
        rows = await self._store.rows(
            template,
            **self._who,
            **_parts(epochs_offsets),
            epoch=[epoch for epoch, _ in epochs_offsets.values()],
            off=[offset for _, offset in epochs_offsets.values()],
        )
        return {(topic, part) for topic, part in rows}


def _parts(parts: Iterable[Part]) -> dict[str, list[Any]]:
    listed = list(parts)
    return {"topic": [topic for topic, _ in listed], "part": [part for _, part in listed]}


def _headers(stored: str) -> tuple[tuple[str, bytes], ...]:
    if stored == "[]":
        return ()
    return tuple((name, value.encode("latin-1")) for name, value in _decode(stored))


def _set_all(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        event.set()


async def _waited(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
