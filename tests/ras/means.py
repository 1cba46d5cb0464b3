"""People and their means, written short, for the tests of the contribution."""

from datetime import date
from typing import Any

import msgspec

from rulekit.council import Council, councils
from services.ras.domain.contribution import Contribution, assess_contribution
from services.ras.facts import Facts

PILOT, CARE_ACT = "pilot-2007", "care-act-2025"
DAYS = {PILOT: date(2007, 6, 4), CARE_ACT: date(2025, 10, 20)}


def facts(*income: tuple[Any, ...], age: int = 40, s117: bool = False, **given: Any) -> Facts:
    """Income as (type, pence) or (type, pence, rate)."""
    person = {"primary_user_group": "PD", "s117_entitled": s117}
    rows = [dict(zip(("type", "weekly_pence", "rate"), row, strict=False)) for row in income]
    return msgspec.convert({"age": age, "person": person, "income": rows, **given}, Facts)


def council(base: str = "council-a", **changes: Any) -> Council:
    return msgspec.structs.replace(councils()[base], **changes)


def assess(
    given: Facts,
    chargeable: int,
    pack: str = PILOT,
    *,
    by: Council | None = None,
    on: date | None = None,
    other: int = 0,
) -> Contribution:
    return assess_contribution(
        given,
        by or council(),
        pack=pack,
        on=on or DAYS[pack],
        council_weekly_pence=chargeable,
        other_chargeable_weekly_pence=other,
    )


def pays(*args: Any, **more: Any) -> int | None:
    return assess(*args, **more).contribution_weekly_pence


def pence(made: Contribution, rule: str) -> int | None:
    return next(reason.pence for reason in made.reasons if reason.rule == rule)


def missing(made: Contribution) -> Any:
    assert (made.outcome, made.contribution_weekly_pence, made.mpc_weekly_pence) == (
        "parameter_missing",
        None,
        None,
    )
    assert made.reasons[-1].outcome == "unclear"
    return made.reasons[-1].saw["parameter"]


def dre(*pounds: int, evidenced: bool = True) -> list[dict[str, Any]]:
    return [{"item": "laundry", "weekly_pence": p, "evidenced": evidenced} for p in pounds]
