"""Cases in, budgets out, through the real path: assessment service → event → every stream in the roll-call → `ras` →
budget event. Nothing here decides anything."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from chassis.audit import operator
from chassis.bus import BusUnavailable
from contracts.budget import BudgetProposed
from contracts.facts import Notice
from contracts.refusal import FieldFault, Refusal
from deploy.one_process import OneProcess
from services.assessment.commands import take_in
from services.ras import store
from services.ras.api import budget_views
from services.ras.view import BudgetView
from streamkit.store import kept_otherwise
from tributary.case_lines import BadLine, Case, prefixed

CHUNK = 250
PATIENCE_SECONDS = 120.0
GROUP = "tributary-allocate"
NOTICES_AT_ONCE = 6


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
        self.http = deployment.client()

    async def run(self, cases: Sequence[Case]) -> dict[int, BudgetView | BadLine]:
        """Budgets of these cases, by line number; a line refused or stuck only now carries its refusal."""
        fates: dict[UUID, Refusal] = await self._take_in(cases)
        distinct = _once(cases)
        wanted: dict[UUID, dict[str, int]] = {c.ref: {} for c in distinct if c.ref not in fates}
        fates |= await self._wait(wanted)
        fates |= await self._refuse_other_notices([c for c in distinct if c.ref not in fates])
        for nth in range(max((len(c.notices) for c in distinct), default=0)):
            told = [c for c in distinct if len(c.notices) > nth and c.ref not in fates]
            fates |= await self._tell(told, nth, wanted)
            fates |= await self._wait({c.ref: wanted[c.ref] for c in told if c.ref not in fates})
        views = await self._views([ref for ref in wanted if ref not in fates])
        return {c.number: BadLine(c.number, fates[c.ref]) if c.ref in fates else views[c.ref] for c in cases}

    async def _take_in(self, cases: Sequence[Case]) -> dict[UUID, Refusal]:
        assessment = self.deployment.running["assessment"]

        async def work() -> dict[UUID, Refusal | None]:
            async with assessment.transactions() as tx:
                return await take_in(tx, [c.assessment for c in _once(cases)], assessment.deps.pepper, operator())

        outcome = await assessment.database.retrying(work)
        return {ref: prefixed(refusal, "/assessment") for ref, refusal in outcome.items() if refusal is not None}

    async def _refuse_other_notices(self, cases: list[Case]) -> dict[UUID, Refusal]:
        """A line with a notice that a kept store holds otherwise is refused whole, before any notice is sent."""
        sent: dict[str, list[tuple[UUID, Notice]]] = {}
        for case in cases:
            for notice in case.notices:
                sent.setdefault(notice.stream, []).append((case.ref, notice))
        found: dict[UUID, Refusal] = {}
        for stream, notices in sent.items():
            async with self.deployment.running[stream].transactions() as tx:
                for ref in await kept_otherwise(tx, notices):
                    detail = "Another notice with this reference says something else. Use a new reference."
                    nth = next(n for c in cases if c.ref == ref for n, x in enumerate(c.notices) if x.stream == stream)
                    faults = [FieldFault(f"/notices/{nth}/reference", "notice_conflict", detail)]
                    found[ref] = Refusal("notice_conflict", detail, faults)
        return found

    async def _tell(self, cases: list[Case], nth: int, wanted: dict[UUID, dict[str, int]]) -> dict[UUID, Refusal]:
        """Send each case's nth notice to its stream's API, a few at a time."""
        few = asyncio.Semaphore(NOTICES_AT_ONCE)

        async def tell(case: Case) -> Refusal | None:
            async with few:
                return await self._tell_one(case, nth, wanted[case.ref])

        answers = await asyncio.gather(*(tell(case) for case in cases))
        return {c.ref: answer for c, answer in zip(cases, answers, strict=True) if answer is not None}

    async def _tell_one(self, case: Case, nth: int, wanted: dict[str, int]) -> Refusal | None:
        """Remember the revision of the answer the notice led to."""
        notice = case.notices[nth]
        url = f"/streams/{notice.stream}/assessments/{case.ref}/notices"
        answer = await self.http.post(url, content=msgspec.json.encode(notice))
        body = answer.json()
        if answer.status_code != 202:
            code, detail = str(body["code"]), str(body["detail"])
            field = "/reference" if code == "notice_conflict" else ""
            return Refusal(code, detail, [FieldFault(f"/notices/{nth}{field}", code, detail)])
        wanted[notice.stream] = max(wanted.get(notice.stream, 0), int(body["revision"]))
        return None

    async def _wait(self, wanted: dict[UUID, dict[str, int]]) -> dict[UUID, Refusal]:
        """Until every budget is complete on these decisions, heard as an event. Returns those that got stuck."""
        loop = asyncio.get_running_loop()
        limit = loop.time() + PATIENCE_SECONDS
        stuck: dict[UUID, Refusal] = {}
        open_refs = {ref for ref, revisions in wanted.items() if not self.heard.has(ref, revisions)}
        while open_refs:
            self.heard.news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.heard.news.wait(), 1.0)
            if not self.heard.news.is_set():
                stuck |= await self._catch_up(open_refs)
            open_refs = {ref for ref in open_refs - stuck.keys() if not self.heard.has(ref, wanted[ref])}
            if loop.time() > limit:
                return stuck | await self._not_answered(open_refs)
        return stuck

    async def _catch_up(self, refs: set[UUID]) -> dict[UUID, Refusal]:
        """No news for a while: look for what was told before this run listened, and for what is parked."""
        self.deployment.raise_if_crashed()
        ras = self.deployment.running["ras"]
        async with ras.transactions() as tx:
            cases = await store.load(tx, refs)
        for case in cases.values():
            if case.proposed is not None:
                self.heard.hear(case.proposed)
        parked = await self.deployment.parked_people()
        return {
            ref: Refusal("parked", f"A message about this person is parked at {parked[case.person_ref]}: see its log.")
            for ref, case in cases.items()
            if case.person_ref in parked
        }

    async def _not_answered(self, refs: set[UUID]) -> dict[UUID, Refusal]:
        views = await self._views(list(refs))
        waiting = {ref: ", ".join(view.waiting) for ref, view in views.items()}
        return {
            ref: Refusal(
                "not_answered",
                f"No answer after {PATIENCE_SECONDS:.0f} seconds from: {waiting.get(ref) or 'the allocation service'}.",
            )
            for ref in refs
        }

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
