"""One Individual Budget out of many answers. Any order of arrival, any number of deliveries, one result. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from contracts.assessment import Asked, AssessmentFinalised
from contracts.budget import (
    BudgetLine,
    BudgetProposed,
    BudgetState,
    FactsSupplied,
    LineStatus,
    StreamLate,
    Totals,
)
from contracts.ids import named_id
from contracts.kept import Kept
from contracts.money import WEEKS_PER_YEAR
from contracts.streams import Line
from rulekit.council import Council, councils
from services.ras.domain.answers import Answer
from services.ras.domain.contribution import Contribution
from services.ras.domain.position import Position, contribution_on, take_position
from services.ras.facts import READS

CHARGED = ("AWARDED", "PROVISIONAL", "ENDED")
"""Lines that carry a contribution; an ended one the charge it had."""

Told = FactsSupplied | BudgetProposed | StreamLate


def budget_id(assessment_ref: UUID) -> UUID:
    return named_id(assessment_ref, "individual budget")


@dataclass
class BudgetCase:
    """All that is known about one assessment's budget.

    `supplied_revision` counts changes of the facts supplied to others; a stream that waits for them has answered only
    when its answer rests on the newest. `late` are streams whose clock has passed without what it waits for.
    """

    assessment_ref: UUID
    person_ref: UUID
    correlation_id: UUID
    asked: Kept[AssessmentFinalised] = Kept(AssessmentFinalised)
    asked_at: datetime | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    position: Kept[Position] = Kept(Position)
    supplied_revision: int = 0
    proposed: Kept[BudgetProposed] = Kept(BudgetProposed)
    late: frozenset[str] = frozenset()
    superseded: bool = False
    revision: int = 0
    """Of `proposed`; 0 before it."""
    state: BudgetState = "WAITING"
    changed: bool = False
    """Whether anything but an answer is to be stored."""

    @property
    def council(self) -> Council:
        assert self.asked is not None
        return councils()[self.asked.council]

    def ask(self, event: AssessmentFinalised, at: datetime) -> list[Told]:
        self.asked, self.asked_at, self.changed = event, at, True
        return self._follow(reposition=True)

    def answer(self, *answers: Answer) -> list[Told]:
        """Take in answers, and only then see what follows; an older revision than the one held changes nothing."""
        newer, reposition = False, False
        for answer in answers:
            held = self.answers.get(answer.stream)
            if held is not None and held.revision >= answer.revision:
                continue
            self.answers[answer.stream] = answer
            newer = True
            if not answer.waits_for_notice and answer.stream in self.late:
                self.late -= {answer.stream}
                self.changed = True
            ends = answer.ends_gateway_from or (held and held.ends_gateway_from)
            reposition = reposition or bool(ends) or self._is_gateway(answer.stream)
        return self._follow(reposition=reposition) if newer else []

    def supersede(self) -> None:
        """A later version of the assessment has taken its place."""
        self.superseded = self.changed = True
        if self.proposed is not None:
            self._keep(msgspec.structs.replace(self.proposed, state="SUPERSEDED"))

    def pass_deadlines(self, now: datetime) -> list[Told]:
        """Tell which streams are late, once each, and go on without them."""
        newly = [a for a in self._unsettled() if a.stream not in self.late and self._due(a) <= now]
        told: list[Told] = [self._late(a) for a in newly]
        self.late |= {a.stream for a in newly}
        self.changed = True  # the next clock is another
        return told + (self._follow(reposition=False) if newly else [])

    def next_due(self) -> datetime | None:
        """When the next clock passes; None when nothing is waited for."""
        return min((self._due(a) for a in self._unsettled() if a.stream not in self.late), default=None)

    def _due(self, asked: Asked) -> datetime:
        assert self.asked_at is not None
        return self.asked_at + timedelta(days=asked.clock_days)

    def _unsettled(self) -> Iterator[Asked]:
        for asked in self.asked.roll_call if self.asked else ():
            answer = self.answers.get(asked.stream)
            if answer is None or answer.waits_for_notice:
                yield asked

    def _late(self, asked: Asked) -> StreamLate:
        return StreamLate(
            person_ref=self.person_ref,
            assessment_ref=self.assessment_ref,
            stream=asked.stream,
            clock_days=asked.clock_days,
            waiting_for="notice" if asked.stream in self.answers else "answer",
        )

    def _is_gateway(self, stream: str) -> bool:
        return self.asked is not None and any(a.gateway and a.stream == stream for a in self.asked.roll_call)

    def _follow(self, *, reposition: bool) -> list[Told]:
        """What follows from a change: facts for those who wait, and the budget once everybody has answered."""
        if self.asked is None:
            return []
        told: list[Told] = []
        if reposition:
            told += self._reposition(self.asked)
        if self.is_complete:
            budget = self._propose(self.asked)
            if budget is not None:
                told.append(budget)
        return told

    def _reposition(self, asked: AssessmentFinalised) -> list[Told]:
        gateway = next((self.answers.get(a.stream) for a in asked.roll_call if a.gateway), None)
        if gateway is None:
            return []
        ended = min((a.ends_gateway_from for a in self.answers.values() if a.ends_gateway_from), default=None)
        before = self.position
        self.changed = True
        self.position = take_position(asked, gateway, self.council, ended)
        if before is not None and before.supplied() == self.position.supplied():
            return []
        self.supplied_revision += 1
        return [self._supply(a, self.position) for a in asked.roll_call if a.needs]

    def _supply(self, to: Asked, position: Position) -> FactsSupplied:
        facts = position.supplied()
        return FactsSupplied(
            person_ref=self.person_ref,
            assessment_ref=self.assessment_ref,
            audience=to.stream,
            revision=self.supplied_revision,
            basis="indicative",
            facts={need: facts.get(need) for need in to.needs},
        )

    @property
    def is_complete(self) -> bool:
        """Everybody asked has answered on the newest facts, or is late."""
        if self.asked is None:
            return False
        return all(a.stream in self.late or self._has_answered(a) for a in self.asked.roll_call)

    def _has_answered(self, asked: Asked) -> bool:
        answer = self.answers.get(asked.stream)
        return answer is not None and (not asked.needs or answer.facts_revision >= self.supplied_revision)

    def _propose(self, asked: AssessmentFinalised) -> BudgetProposed | None:
        budget = self.budget(asked, self.revision)
        if self.revision and budget == self.proposed:
            return None
        return self._keep(msgspec.structs.replace(budget, revision=self.revision + 1))

    def _keep(self, budget: BudgetProposed) -> BudgetProposed:
        self.proposed, self.revision, self.state, self.changed = budget, budget.revision, budget.state, True
        return budget

    def budget(self, asked: AssessmentFinalised, revision: int) -> BudgetProposed:
        """The budget as it stands, complete or not: usable before the slowest stream has spoken."""
        lines, contribution = self.lines(asked)
        return BudgetProposed(
            person_ref=self.person_ref,
            budget_id=budget_id(self.assessment_ref),
            assessment_ref=self.assessment_ref,
            revision=revision,
            state=self._state(),
            complete=self.is_complete,
            council=asked.council,
            rule_pack=asked.rule_pack,
            effective_date=asked.effective_date,
            lines=lines,
            totals=totals(lines, contribution, known=self._contribution_known()),
            decisions={s: self.answers[s].revision for s in sorted(self.answers)},
            warnings=self._warnings(contribution),
        )

    def _contribution_known(self) -> bool:
        position = self.position
        return position is not None and (position.eligible is False or position.contribution is not None)

    def _state(self) -> BudgetState:
        if self.superseded:
            return "SUPERSEDED"
        eligible = self.position.eligible if self.position is not None else None
        if not self.is_complete or eligible is None:
            return "WAITING"
        return "PROPOSED" if eligible else "NO_BUDGET"

    def _warnings(self, contribution: Contribution | None) -> tuple[str, ...]:
        found = [f"{s}:{w}" for s, a in sorted(self.answers.items()) for w in a.warnings]
        found += [f"{s}:unclear" for s, a in sorted(self.answers.items()) if a.outcome == "UNCLEAR"]
        if self.position is not None and self.position.allocation is not None:
            found += self.position.allocation.warnings
        if contribution is not None and contribution.outcome == "parameter_missing":
            found.append("contribution:parameter_missing")
        return tuple(found + [f"{s}:late" for s in sorted(self.late)])

    def lines(self, asked: AssessmentFinalised) -> tuple[tuple[BudgetLine, ...], Contribution | None]:
        """Every line, with the person's contribution placed: the gateway's line first, then the others that may be
        charged for, never more than the line itself."""
        found = [line for a in asked.roll_call for line in self._lines_of(a)]
        contribution = self.contribution(asked, found)
        left = contribution.contribution_weekly_pence or 0 if contribution else 0
        placed = []
        for line in found:
            if not line.chargeable or not line.weekly_pence or line.status not in CHARGED:
                placed.append(line)
                continue
            # an ended line keeps the charge it had, and takes nothing of what is charged now
            own = self._own_charge() if line.status == "ENDED" else left
            share = min(own, line.weekly_pence)
            left -= 0 if line.status == "ENDED" else share
            placed.append(msgspec.structs.replace(line, contribution_pence=share))
        return tuple(placed), contribution

    def _own_charge(self) -> int:
        """On the council's line alone, weekly pence; 0 while it cannot be worked out."""
        charge = self.position.contribution if self.position else None
        return charge.contribution_weekly_pence or 0 if charge else 0

    def contribution(self, asked: AssessmentFinalised, lines: Iterable[BudgetLine]) -> Contribution | None:
        """The person's contribution on all chargeable lines, inside the budget or beside it: worked out once (§5.6).

        None where nothing can be charged for, or the gateway has not been answered.
        """
        position = self.position
        if position is None or position.eligible is None:
            return None
        if position.eligible and position.weekly_pence is None:
            return None  # what is not known yet is not nothing
        gateways = {a.stream for a in asked.roll_call if a.gateway}
        others = sum(
            line.weekly_pence or 0
            for line in lines
            if line.chargeable and line.stream not in gateways and line.status in ("AWARDED", "PROVISIONAL")
        )
        if not others:
            return position.contribution
        facts = msgspec.json.decode(asked.facts, type=READS)
        council_pence = 0 if position.ended_from else position.weekly_pence or 0
        return contribution_on(asked, facts, self.council, council_pence, others)

    def _lines_of(self, asked: Asked) -> list[BudgetLine]:
        answer = self.answers.get(asked.stream)
        if answer is None:
            status: LineStatus = "LATE" if asked.stream in self.late else "WAITING"
            return [BudgetLine(stream=asked.stream, status=status, rule_set="", revision=0)]
        if asked.gateway and answer.outcome == "AWARDED":
            return [self._gateway_line(answer)]
        if not answer.lines:
            return [_line(answer, None, status=answer.outcome)]
        return [self._stream_line(answer, line) for line in answer.lines]

    def _gateway_line(self, answer: Answer) -> BudgetLine:
        assert self.position is not None
        weekly, ended = self.position.weekly_pence, self.position.ended_from
        contribution = self.position.contribution
        return BudgetLine(
            stream=answer.stream,
            status="ENDED" if ended else "UNCLEAR" if weekly is None else "AWARDED",
            rule_set=answer.rule_set,
            revision=answer.revision,
            ring_fence="OUTCOMES",
            timing="ADVANCE",
            decision_maker=answer.decision_maker,
            chargeable=contribution is None or contribution.outcome != "not_charged",
            weekly_pence=weekly,
            weeks=self._weeks(),
            end=ended,
        )

    def _weeks(self) -> int | None:
        assert self.asked is not None
        return _weeks.decode(self.asked.facts).expected_weeks

    def _stream_line(self, answer: Answer, line: Line) -> BudgetLine:
        inside = line.in_budget and self._gateway_open() and line.ring_fence not in self.council.outside_budget
        return _line(answer, line, status=line.status, in_budget=inside)

    def _gateway_open(self) -> bool:
        return self.position is not None and self.position.eligible is True


class _Weeks(msgspec.Struct):
    """The one of the facts that a line needs."""

    expected_weeks: int | None = None


_weeks = msgspec.json.Decoder(_Weeks)


def _line(answer: Answer, line: Line | None, *, status: LineStatus, in_budget: bool = True) -> BudgetLine:
    found = BudgetLine(
        stream=answer.stream,
        status=status,
        rule_set=answer.rule_set,
        revision=answer.revision,
        decision_maker=answer.decision_maker,
        in_budget=in_budget,
    )
    if line is None:
        return found
    return msgspec.structs.replace(
        found,
        ring_fence=line.ring_fence,
        timing=line.timing,
        decision_maker=line.decision_maker,
        chargeable=line.chargeable,
        weekly_pence=line.weekly_pence,
        one_off_pence=line.one_off_pence,
        top_up_pence=line.top_up_pence,
        weeks=line.weeks,
        start=line.start,
        end=line.end,
    )


def totals(lines: Iterable[BudgetLine], contribution: Contribution | None, *, known: bool) -> Totals:
    """Sums of live lines. `known` false: the contribution cannot be worked out yet."""
    live = [line for line in lines if line.status in ("AWARDED", "PROVISIONAL")]
    inside = [line for line in live if line.in_budget]
    outside = [line for line in live if not line.in_budget]
    awarded = [line for line in inside if line.status == "AWARDED"]
    weekly, one_off = _weekly(inside), _one_off(inside)
    pays = sum(line.contribution_pence for line in inside)
    priced = known and (contribution is None or contribution.contribution_weekly_pence is not None)
    return Totals(
        weekly_pence=weekly,
        one_off_pence=one_off,
        yearly_pence=_yearly(inside),
        spendable_weekly_pence=_weekly(awarded),
        spendable_one_off_pence=_one_off(awarded),
        provisional_weekly_pence=weekly - _weekly(awarded),
        provisional_one_off_pence=one_off - _one_off(awarded),
        outside_weekly_pence=_weekly(outside),
        outside_one_off_pence=_one_off(outside),
        contribution_weekly_pence=pays if priced else None,
        net_weekly_pence=weekly - pays if priced else None,
    )


def _weekly(lines: Iterable[BudgetLine]) -> int:
    return sum(line.weekly_pence or 0 for line in lines)


def _yearly(lines: Iterable[BudgetLine]) -> int:
    return sum((line.weekly_pence or 0) * min(line.weeks or WEEKS_PER_YEAR, WEEKS_PER_YEAR) for line in lines)


def _one_off(lines: Iterable[BudgetLine]) -> int:
    return sum(line.one_off_pence or 0 for line in lines)
