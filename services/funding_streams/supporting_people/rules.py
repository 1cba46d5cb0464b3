"""Supporting People (rule book §6). It does not depend on being eligible for social care."""

from contracts.facts.means import Housing, SupportScheme
from contracts.money import exact, round_pence
from contracts.streams import Line
from rulekit.rates import Rate
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import Question
from services.funding_streams.supporting_people.facts import Facts

VULNERABLE = Rule(
    "SP-VULNERABLE",
    "You belong to one of the groups housing-related support is for",
    "randjsupport April 2007; Oxfordshire 2005; rule book §6.1 (1)",
    "source",
)
NEED = Rule(
    "SP-NEED",
    "You need support to set up or keep a home of your own; welfare help now and then counts only beside it",
    "Grant Conditions schedule (docsbay, Hampshire); rule book §6.1 (2), §6.2; help alone no need [design]",
    "source",
)
TASKS_KNOWN = Rule(
    "SP-TASKS-KNOWN",
    "Every task asked for is one whose place in the table of tasks is known",
    "rule book §6.2 'enumerated sp_task_code list'",
    "design",
)
NOT_PAID = Rule(
    "SP-NOT-PAID",
    "Some of the help asked for is not housing-related support: it is another body's duty, and not paid here",
    "Bolton policy headings; housingcare glossary; randjsupport; rule book §6.2",
    "source",
)
AGE = Rule(
    "SP-AGE",
    "You are 18 or over, or 16 or 17 with a need for housing-related support",
    "randjsupport April 2007; rule book §6.1 (4)",
    "source",
)
PACKAGE = Rule(
    "SP-PACKAGE",
    "The support is part of a package the authority has agreed with the provider, with a support plan",
    "Oxfordshire 2005; Oxfordshire 2008; rule book §6.1 (3)",
    "source",
)
PRICE = Rule(
    "SP-PRICE",
    "The contract gives one price: hours at an hourly rate, or a flat weekly price; where both, they agree",
    "rule book §6.3 (there is no national rate); what counts as one price [design]",
    "design",
)
WEEKLY = Rule(
    "SP-WEEKLY",
    "What the support costs a week: hours times the contract's hourly rate, or its flat price",
    "rule book §6.3",
    "design",
)
DURATION = Rule(
    "SP-DURATION",
    "Where charging turns on it: it is known whether the service is meant for under two years",
    "Oxfordshire 2008; Newcastle 2011; rule book §6.4; unclear if unknown or at odds with the weeks [design]",
    "design",
)
FREE_SHORT = Rule(
    "SP-FREE-SHORT",
    "A service meant for under two years is free, and joining an Individual Budget does not change that",
    "Oxfordshire 2008; Newcastle 2011; Medway; seed 001 §8.1; rule book §5.6, §6.4",
    "source",
)
FREE_HOUSING_BENEFIT = Rule(
    "SP-FREE-HB",
    "Someone on Housing Benefit is treated as unable to pay",
    "Newcastle 2011; B&NES; housingcare; rule book §6.4",
    "source",
)
FREE_PROTECTED = Rule(
    "SP-FREE-2003",
    "Someone in the service in April 2003 is no worse off until the service is reviewed",
    "Medway; rule book §6.4",
    "source",
)
CHARGEABLE = Rule(
    "SP-CHARGEABLE",
    "A service of two years or more, and home improvement agency help on its own, counts toward what you may "
    "be asked to pay, once, by the council's means test",
    "Newcastle 2011; B&NES; Oxfordshire 2008; rule book §5.6, §6.4",
    "source",
)
BLOCK = Rule(
    "SP-BLOCK-CONTRACT",
    "The place is already paid for in a block contract: until that ends, this money may be paid twice",
    "seed 001 §8.1; rule book §6.3; no risk once the contract has ended [design]",
    "seed",
)

DOUBLE_FUNDING_RISK = "DOUBLE_FUNDING_RISK"
HOME_IMPROVEMENT = "home_improvement_agency"


def decide(q: Question[Facts]) -> Decision:
    reasons, housing = Reasons(), q.facts.housing
    need = _check_need(q, reasons)
    reasons.check(VULNERABLE, _vulnerable(housing), vulnerable_as=housing.vulnerable_as)
    adult, youngest = q.rates["age_adult"], q.rates["age_with_need"]
    of_age = q.facts.age >= adult.number or (q.facts.age >= youngest.number and need)
    reasons.check(AGE, of_age, adult, youngest, age=q.facts.age)
    if need:
        _check_scheme(q, reasons)
    if blocked := reasons.blocked():
        return Decision(outcome=blocked, reasons=reasons.all())
    return _award(q, reasons)


def _check_need(q: Question[Facts], reasons: Reasons) -> bool | None:
    tasks = q.facts.housing.support_need_housing
    rates = _table(q)
    unknown = sum(task.task not in rates for task in tasks)
    core = any(rate.value == "eligible" for rate in rates.values())
    need = core or (None if unknown else False)
    reasons.check(NEED, need, *rates.values(), tasks=len(tasks))
    reasons.check(TASKS_KNOWN, None if unknown else True, unknown=unknown)
    if unpaid := sorted(rates.keys() - _paid(q)):
        reasons.note(NOT_PAID, tasks=", ".join(unpaid))
    return need


def _table(q: Question[Facts]) -> dict[str, Rate]:
    """The row of the table of tasks for each task asked for; a task the table does not know has none."""
    codes = [task.task for task in q.facts.housing.support_need_housing]
    return {code: rate for code in codes if (rate := q.rates.get(f"task.{code}"))}


def _paid(q: Question[Facts]) -> set[str]:
    rates = _table(q)
    now_and_then = {task.task for task in q.facts.housing.support_need_housing if not task.regular}
    return {
        code
        for code, rate in rates.items()
        if rate.value == "eligible" or (rate.value == "occasional" and code in now_and_then)
    }


def _vulnerable(housing: Housing) -> bool | None:
    return None if housing.vulnerable_as is None else housing.vulnerable_as != "none"


def _check_scheme(q: Question[Facts], reasons: Reasons) -> None:
    housing, scheme, limit = q.facts.housing, q.facts.housing.sp_scheme, q.rates["short_term_weeks_below"]
    reasons.check(PACKAGE, scheme.package_agreed if scheme else None)
    reasons.check(PRICE, True if scheme and _price(scheme) else None, scheme_given=scheme is not None)
    matters = not (housing.hb_in_payment or (scheme and scheme.in_service_april_2003))
    length, weeks = housing.expected_duration, housing.expected_weeks
    contradicts = length == "under_2_years" and weeks is not None and weeks >= limit.number
    settled = not matters or (length is not None and not contradicts)
    reasons.check(DURATION, settled or None, limit, expected_duration=length, expected_weeks=weeks)


def _price(scheme: SupportScheme) -> int | None:
    hours, rate = scheme.hours_per_week, scheme.hourly_rate_pence
    by_the_hour = None if hours is None or rate is None else round_pence(exact(hours) * rate)
    prices = {price for price in (by_the_hour, scheme.weekly_price_pence) if price}
    return prices.pop() if len(prices) == 1 else None


def _award(q: Question[Facts], reasons: Reasons) -> Decision:
    """Only reached where every condition is met, so there is a scheme with a price."""
    scheme = q.facts.housing.sp_scheme or SupportScheme()
    price = _price(scheme) or 0
    hours = None if scheme.hours_per_week is None else str(exact(scheme.hours_per_week))
    reasons.calculate(WEEKLY, price, hours=hours, hourly_rate_pence=scheme.hourly_rate_pence)
    why = _why_charged_or_free(q, scheme)
    reasons.note(why, expected_duration=q.facts.housing.expected_duration, hb=q.facts.housing.hb_in_payment)
    line = Line(
        status="AWARDED",
        ring_fence=q.stream.ring_fence,
        timing=q.stream.timing,
        decision_maker=q.stream.decision_maker,
        chargeable=why is CHARGEABLE,
        weekly_pence=price,
        weeks=q.facts.housing.expected_weeks,
    )
    warnings = _double_funding(q, reasons, scheme)
    return Decision(outcome="AWARDED", reasons=reasons.all(), lines=(line,), warnings=warnings)


def _why_charged_or_free(q: Question[Facts], scheme: SupportScheme) -> Rule:
    housing = q.facts.housing
    if scheme.in_service_april_2003:
        return FREE_PROTECTED
    if housing.hb_in_payment:
        return FREE_HOUSING_BENEFIT
    if housing.expected_duration == "under_2_years" and _paid(q) != {HOME_IMPROVEMENT}:
        return FREE_SHORT
    return CHARGEABLE


def _double_funding(q: Question[Facts], reasons: Reasons, scheme: SupportScheme) -> tuple[str, ...]:
    ends = scheme.decommission_date
    if scheme.block_contract_id is None or (ends is not None and ends <= q.on):
        return ()
    reasons.note(BLOCK, contract_ends=ends.isoformat() if ends else None)
    return (DOUBLE_FUNDING_RISK,)
