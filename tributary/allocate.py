"""Cases in, budgets out, through the real path: assessment service → event → every stream in the roll-call → `ras` →
budget event. Nothing here decides anything."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import msgspec

from chassis.bus import BusUnavailable
from contracts.budget import BudgetProposed
from contracts.refusal import Refusal
from deploy.one_process import OneProcess
from services.assessment.commands import take_in
from services.ras.api import budget_views
from services.ras.view import BudgetView
from tributary.case_lines import BadLine, Case

CHUNK = 250
PATIENCE_SECONDS = 120.0
GROUP = "tributary-allocate"


class NotAnswered(Exception):
    """Some budgets did not become complete in time, or a message about them is parked."""


@dataclass
class Heard:
    """The newest budget event per assessment, as the bus brought it."""

    budgets: dict[UUID, BudgetProposed] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event: BudgetProposed) -> None:
        held = self.budgets.get(event.assessment_ref)
        if held is None or held.revision < event.revision:
            self.budgets[event.assessment_ref] = event
            self.news.set()

    def has(self, ref: UUID, wanted: dict[str, int]) -> bool:
        """Whether the budget is complete and rests on these revisions of decisions, or later ones."""
        budget = self.budgets.get(ref)
        if budget is None or not budget.complete:
            return False
        return all(budget.decisions.get(stream, 0) >= revision for stream, revision in wanted.items())


class Allocation:
    """A run over a deployment. Use `open_allocation`."""

    def __init__(self, deployment: OneProcess, heard: Heard) -> None:
        self.deployment, self.heard = deployment, heard
        transport = httpx.ASGITransport(deployment.app())
        self.http = httpx.AsyncClient(transport=transport, base_url="http://tributary.local", timeout=30)

    async def run(self, cases: Sequence[Case]) -> dict[int, BudgetView | BadLine]:
        """Budgets of these cases, by line number; a line refused only now carries its refusal."""
        refused = await self._take_in(cases)
        good = [c for c in cases if c.number not in refused]
        wanted: dict[UUID, dict[str, int]] = {c.ref: {} for c in good}
        await self._wait(wanted)
        for nth in range(max((len(c.notices) for c in good), default=0)):
            told = [c for c in _once(good) if len(c.notices) > nth]
            for case in told:
                refusal = await self._tell(case, nth, wanted[case.ref])
                if refusal is not None:
                    refused[case.number] = refusal
            await self._wait({c.ref: wanted[c.ref] for c in told})
        views = await self._views(list(wanted))
        return {**refused, **{c.number: views[c.ref] for c in good if c.number not in refused}}

    async def _take_in(self, cases: Sequence[Case]) -> dict[int, BadLine]:
        assessment = self.deployment.running["assessment"]

        async def work() -> dict[UUID, Refusal | None]:
            async with assessment.transactions() as tx:
                return await take_in(tx, [c.assessment for c in _once(cases)], assessment.deps.pepper)

        outcome = await assessment.database.retrying(work)
        return {c.number: BadLine(c.number, r) for c in cases if (r := outcome[c.ref]) is not None}

    async def _tell(self, case: Case, nth: int, wanted: dict[str, int]) -> BadLine | None:
        """Send one notice to its stream's API; remember the revision of the answer it led to."""
        notice = case.notices[nth]
        url = f"/streams/{notice.stream}/assessments/{case.ref}/notices"
        answer = await self.http.post(url, content=msgspec.json.encode(notice))
        if answer.status_code != 202:
            body = answer.json()
            return BadLine(case.number, Refusal(str(body["code"]), str(body["detail"])))
        wanted[notice.stream] = max(wanted.get(notice.stream, 0), int(answer.json()["revision"]))
        return None

    async def _wait(self, wanted: dict[UUID, dict[str, int]]) -> None:
        """Until every budget is complete on these decisions, heard as an event."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + PATIENCE_SECONDS
        open_refs = {ref for ref, revisions in wanted.items() if not self.heard.has(ref, revisions)}
        while open_refs:
            self.heard.news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.heard.news.wait(), 1.0)
            if not self.heard.news.is_set():
                await self._catch_up(open_refs)
            open_refs = {ref for ref in open_refs if not self.heard.has(ref, wanted[ref])}
            if open_refs and loop.time() > limit:
                raise NotAnswered(await self._why_not(open_refs))

    async def _catch_up(self, refs: Iterable[UUID]) -> None:
        """What was told before this run listened: a store that is kept knows it already."""
        ras = self.deployment.running["ras"]
        async with ras.transactions() as tx:
            from services.ras import store

            cases = await store.load(tx, refs)
        for case in cases.values():
            if case.proposed is not None:
                self.heard.hear(case.proposed)
        for running in self.deployment.running.values():
            for task in running._tasks:
                if task.done() and not task.cancelled():
                    task.result()

    async def _why_not(self, refs: set[UUID]) -> str:
        views = await self._views(list(refs))
        streams = sorted({s for v in views.values() for s in v.waiting})
        return (
            f"{len(refs)} budgets are not complete after {PATIENCE_SECONDS:.0f} seconds;"
            f" waiting for {', '.join(streams) or 'the assessment itself'}"
        )

    async def _views(self, refs: list[UUID]) -> dict[UUID, BudgetView]:
        async with self.deployment.running["ras"].transactions() as tx:
            return await budget_views(tx, refs)


def _once(cases: Iterable[Case]) -> list[Case]:
    """Each assessment once: the same line again is the same case."""
    return list({c.ref: c for c in reversed(list(cases))}.values())[::-1]


@asynccontextmanager
async def open_allocation(deployment: OneProcess) -> AsyncIterator[Allocation]:
    """Listens for budget events while the block runs."""
    heard = Heard()
    listening = asyncio.create_task(_listen(deployment, heard), name="allocate:listen")
    allocation = Allocation(deployment, heard)
    try:
        yield allocation
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await allocation.http.aclose()


async def _listen(deployment: OneProcess, heard: Heard) -> None:
    while True:
        with contextlib.suppress(BusUnavailable):
            consumer = await deployment.bus.consumer(GROUP, [BudgetProposed.topic()])
            try:
                while True:
                    for record in await consumer.poll(500, 0.5):
                        heard.hear(BudgetProposed.decode(record.value))
                    await consumer.commit()
            finally:
                await asyncio.shield(consumer.close())


def output_line(case: Case, view: BudgetView) -> bytes:
    """One line of BUDGETS.jsonl: the council's own id and version, then the budget with all it rests on."""
    body: dict[str, Any] = {
        "assessment_id": case.assessment.assessment_id,
        "version": case.assessment.version,
    }
    return msgspec.json.encode(body | msgspec.to_builtins(view)) + b"\n"
