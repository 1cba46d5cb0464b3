"""One assessment as one stream sees it: what it was asked, what it was supplied, what the other body said, what it
answered. Pure: no I/O, no clock."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec

from contracts.assessment import AssessmentFinalised
from contracts.budget import FactsSupplied
from contracts.facts import Notice
from contracts.kept import Kept, keep
from contracts.streams import Outcome, StreamDecided
from rulekit.council import councils
from rulekit.notice import after_notice
from rulekit.reasons import Decision
from rulekit.stream import Question, Stream

NOTICE_OVERTAKEN = "notice_overtaken_by_new_amount"
"""The council's amount changed after the notice: the line is provisional again until the body says so once more."""


@dataclass
class StreamCase:
    """`notice_on` is the revision of the supplied facts the notice was given on; 0 before any decision."""

    assessment_ref: UUID
    person_ref: UUID
    correlation_id: UUID
    asked: Kept[AssessmentFinalised] = Kept(AssessmentFinalised)
    supplied: Kept[FactsSupplied] = Kept(FactsSupplied)
    notice: Kept[Notice] = Kept(Notice)
    notice_on: int = 0
    decided: Kept[StreamDecided] = Kept(StreamDecided)
    revision: int = 0
    """Of `decided`; 0 before it."""
    outcome: Outcome | Literal["WAITING"] = "WAITING"

    def ask(self, event: AssessmentFinalised, payload: bytes | None = None) -> None:
        keep(self, "asked", event, payload)

    def supply(self, event: FactsSupplied, payload: bytes | None = None) -> None:
        """Keep the highest revision, in whatever order they come."""
        if self.supplied is None or event.revision > self.supplied.revision:
            keep(self, "supplied", event, payload)

    def tell(self, notice: Notice) -> None:
        self.notice = notice
        self.notice_on = self.facts_revision

    @property
    def council(self) -> str:
        """'' before it was asked: nobody's yet."""
        return self.asked.council if self.asked else ""

    @property
    def facts_revision(self) -> int:
        return self.supplied.revision if self.supplied else 0

    def waits_for(self, stream: Stream) -> list[str]:
        """Names of the facts it needs and has not been supplied with."""
        known = self.supplied.facts if self.supplied else {}
        return [need for need in stream.definition.needs if need not in known]

    def decide(self, stream: Stream) -> StreamDecided | None:
        """The answer, one revision higher than the last, or None: it must wait, or nothing has changed."""
        if self.asked is None or self.waits_for(stream):
            return None
        answer = self._answer(stream, self.asked)
        last = self.decided
        if last is not None and msgspec.structs.replace(answer, revision=last.revision) == last:
            return None
        keep(self, "decided", answer, msgspec.json.encode(answer))
        self.revision, self.outcome = answer.revision, answer.outcome
        return answer

    def _answer(self, stream: Stream, asked: AssessmentFinalised) -> StreamDecided:
        question = self.question(stream, asked)
        decision = stream.decide(question)
        overtaken = False
        if self.notice is not None:
            if self.notice_on == 0:
                self.notice_on = self.facts_revision
            overtaken = self.notice_on < self.facts_revision
            if not overtaken:
                decision = after_notice(stream, question, decision, self.notice)
        warnings = decision.warnings + ((NOTICE_OVERTAKEN,) if overtaken else ())
        return self._event(stream, asked, question, decision, warnings)

    def question(self, stream: Stream, asked: AssessmentFinalised) -> Question[Any]:
        rule_set = stream.rule_set(asked.rule_pack, asked.effective_date)
        if rule_set is None:
            raise LookupError(f"{stream.name} was asked under a pack it has no rule set for")
        return Question(
            facts=msgspec.json.decode(asked.facts, type=stream.reads),
            on=asked.effective_date,
            council=councils()[asked.council],
            pack=asked.rule_pack,
            rule_set=rule_set.id,
            rates=stream.rates.on(asked.effective_date),
            stream=stream.definition,
            supplied=self.supplied.facts if self.supplied else {},
        )

    def _event(
        self,
        stream: Stream,
        asked: AssessmentFinalised,
        question: Question[Any],
        decision: Decision,
        warnings: tuple[str, ...],
    ) -> StreamDecided:
        return StreamDecided(
            person_ref=self.person_ref,
            assessment_ref=self.assessment_ref,
            stream=stream.name,
            revision=self.revision + 1,
            outcome=decision.outcome,
            rule_set=question.rule_set,
            pack_hash=stream.pack_hash,
            effective_date=asked.effective_date,
            decision_maker=stream.definition.decision_maker,
            lines=decision.lines,
            reasons=decision.reasons,
            findings=decision.findings,
            warnings=warnings,
            ends_gateway_from=decision.ends_gateway_from,
            facts_revision=self.facts_revision,
            notice_reference=self.notice.reference if self.notice else "",
        )
