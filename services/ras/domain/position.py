"""The council's own position: whether the gateway is open, how much it allocates, what the person pays toward it."""

from datetime import date

import msgspec

from contracts.assessment import AssessmentFinalised
from rulekit.council import Council
from rulekit.rates import ParameterMissing
from rulekit.reasons import Reasons
from rulekit.stream import PARAMETER_MISSING
from services.ras.domain.allocation import Allocation, allocate
from services.ras.domain.answers import Answer
from services.ras.domain.contribution import Contribution, assess_contribution
from services.ras.facts import READS, Facts


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """`allocation` is None unless the gateway is open; `unpriced` says an allocation lacks a rate it needs."""

    eligible: bool | None
    allocation: Allocation | None = None
    contribution: Contribution | None = None
    unpriced: bool = False
    ended_from: date | None = None

    @property
    def weekly_pence(self) -> int | None:
        return self.allocation.indicative_weekly_pence if self.allocation else None

    def supplied(self) -> dict[str, int | None]:
        """The facts other streams wait for, as they stand: gross weekly amount and the charge on it."""
        if self.eligible is False or self.ended_from is not None:
            return {"council_weekly_pence": 0, "contribution_weekly_pence": 0}
        charge = self.contribution.contribution_weekly_pence if self.contribution else None
        return {"council_weekly_pence": self.weekly_pence, "contribution_weekly_pence": charge}


def take_position(asked: AssessmentFinalised, gateway: Answer, council: Council, ended_from: date | None) -> Position:
    """From the gateway's answer. Pure."""
    if gateway.outcome != "AWARDED":
        return Position(eligible=False if gateway.outcome == "REFUSED" else None)
    facts = msgspec.json.decode(asked.facts, type=READS)
    try:
        allocation = allocate(facts, council)
    except ParameterMissing as missing:
        return Position(eligible=True, allocation=_unpriced(missing), unpriced=True, ended_from=ended_from)
    weekly = allocation.indicative_weekly_pence
    charge = None if weekly is None else contribution_on(asked, facts, council, weekly, 0)
    return Position(eligible=True, allocation=allocation, contribution=charge, ended_from=ended_from)


def contribution_on(
    asked: AssessmentFinalised, facts: Facts, council: Council, council_pence: int, other_pence: int
) -> Contribution:
    """What the person pays in all, on the council's amount and on other chargeable lines: worked out once (§5.6)."""
    return assess_contribution(
        facts,
        council,
        pack=asked.rule_pack,
        on=asked.effective_date,
        council_weekly_pence=council_pence,
        other_chargeable_weekly_pence=other_pence,
    )


def _unpriced(missing: ParameterMissing) -> Allocation:
    reasons = Reasons()
    reasons.check(PARAMETER_MISSING, None, parameter=missing.key, on=missing.on.isoformat())
    return Allocation(method="points", group="", reasons=reasons.all(), warnings=("parameter_missing",))
