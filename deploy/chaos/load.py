"""Assessments made over HTTP as an impatient client makes them: again and again, until somebody says yes."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from deploy.chaos.fleet import Fleet
from deploy.chaos.people import Person

AT_ONCE = 6
PATIENCE_SECONDS = 120.0
REQUEST_SECONDS = 6.0
NOT_YET = 425
"""Our own word for a budget that waits for an answer still."""


class NotAcknowledged(Exception):
    """Nobody said yes for PATIENCE_SECONDS, or the answer was a refusal that trying again cannot change."""


@dataclass
class Load:
    """`acknowledged`: assessments whose finalising was answered 202; `right`: what each of their budgets must be."""

    fleet: Fleet
    rng: random.Random
    repeat: float = 0.1
    """How likely a request that was answered is sent once more."""
    acknowledged: set[UUID] = field(default_factory=set)
    notices: set[tuple[UUID, str]] = field(default_factory=set)
    right: dict[UUID, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)

    async def make(self, people: Sequence[Person], seconds: float = 0.0) -> None:
        """Assess everybody, a few at once, spread over about `seconds`; returns when all are acknowledged."""
        few = asyncio.Semaphore(AT_ONCE)
        # one person's versions come in order, and with different people in between
        starts = {id(p): self.rng.uniform(0, seconds) for p in people}

        async def one(person: Person) -> None:
            await asyncio.sleep(starts[id(person)])
            async with few:
                await self.finalise(person)
            for notice in person.notices:
                await self.tell(person, notice)

        done = await asyncio.gather(*(one(person) for person in people), return_exceptions=True)
        for fault in done:
            if isinstance(fault, BaseException):
                raise fault

    async def finalise(self, person: Person) -> None:
        url = self.fleet.members["assessment"].url
        await self._until(202, lambda: self._post_both(url, person))
        self.acknowledged.add(person.ref)
        self.right[person.ref] = person.right

    async def _post_both(self, url: str, person: Person) -> httpx.Response:
        made = await self._post(f"{url}/assessments", person.form)
        if made.status_code not in (200, 201):
            return made
        return await self._post(f"{url}/assessments/{person.ref}/finalise", None)

    async def tell(self, person: Person, notice: dict[str, Any]) -> None:
        """Once the budget stands on everybody's first answer, as a body that decides would."""
        ras = self.fleet.members["ras"].url
        await self._until(200, lambda: self._complete(f"{ras}/assessments/{person.ref}/budget"))
        stream = notice["stream"]
        url = f"{self.fleet.members[stream].url}/streams/{stream}/assessments/{person.ref}/notices"
        await self._until(202, lambda: self._post(url, notice))
        self.notices.add((person.ref, stream))

    async def _complete(self, url: str) -> httpx.Response:
        answer = await self.fleet.http.get(url, timeout=REQUEST_SECONDS)
        if answer.status_code == 404 or (answer.status_code == 200 and not answer.json()["complete"]):
            return httpx.Response(NOT_YET)
        return answer

    async def _post(self, url: str, body: Any) -> httpx.Response:
        answer = await self.fleet.http.post(url, json=body, timeout=REQUEST_SECONDS)
        if answer.status_code < 300 and self.rng.random() < self.repeat:
            self.counted["requests repeated"] += 1
            answer = await self.fleet.http.post(url, json=body, timeout=REQUEST_SECONDS)
        return answer

    async def _until(self, wanted: int, request: Any) -> None:
        pause, limit = 0.1, asyncio.get_running_loop().time() + PATIENCE_SECONDS
        said = ""
        while asyncio.get_running_loop().time() < limit:
            try:
                answer = await request()
            except httpx.HTTPError as fault:
                self.counted["requests without an answer"] += 1
                said = type(fault).__name__
            else:
                if answer.status_code == wanted:
                    return
                said = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code < 500 and answer.status_code != NOT_YET:
                    raise NotAcknowledged(said)
                self.counted["answers not now"] += answer.status_code == 503
                self.counted["faults answered"] += answer.status_code == 500
            await asyncio.sleep(self.rng.uniform(pause / 2, pause))
            pause = min(pause * 1.6, 1.0)
        raise NotAcknowledged(said)
