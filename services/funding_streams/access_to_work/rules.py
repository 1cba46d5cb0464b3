"""Access to Work (rule book §8): what the DWP would pay toward working, after the other shares."""

from decimal import Decimal

from contracts.facts.person import WorkplaceNeed
from contracts.money import WEEKS_PER_YEAR, round_pence
from contracts.streams import Line
from rulekit.rates import Rate
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import Question
from services.funding_streams.access_to_work.facts import Facts, Work

AGE = Rule("ATW-AGE", "You are 16 or over", "gov.uk Access to Work; rule book §8.1", "source")
WORK = Rule(
    "ATW-WORK",
    "You are in paid work, work for yourself or are about to start; or you need a communicator at an "
    "interview. Voluntary work does not count",
    "gov.uk Access to Work; solt 2024; rule book §8.1",
    "source",
)
EARLY = Rule(
    "ATW-EARLY",
    "You may apply so many weeks before the job starts, and no earlier",
    "BASE; rule book §8.1",
    "source",
)
KIT = Rule(
    "ATW-KIT",
    "Standard kit that any worker there would need is for the business to buy",
    "reasonableadjustmentchecker; theukrules; rule book §8.2",
    "source",
)
TRAVEL = Rule(
    "ATW-TRAVEL",
    "Travel is paid for where you cannot use public transport; that has not been said here",
    "gov.uk Access to Work 2017; RNIB; rule book §8.2",
    "source",
)
INTERVIEW = Rule(
    "ATW-INTERVIEW",
    "Before there is a job, only a communicator at an interview is paid for",
    "rule book §8.1, §8.2; that nothing else is, is an engineering choice",
    "design",
)
NEED = Rule(
    "ATW-NEED",
    "Work makes something necessary that Access to Work covers",
    "gov.uk Access to Work 2017; RNIB; rule book §8.2",
    "source",
)
COST = Rule(
    "ATW-COST",
    "We know what each thing costs: by the week or once, and equipment and adaptations as one sum",
    "rule book §8.3; a stated weekly cost comes before hours times rate, and amounts are for one of `count`",
    "design",
)
START_KNOWN = Rule(
    "ATW-START",
    "Where the employer may have to pay part, we know when the job started",
    "rule book §8.3: everything is paid in the first six weeks",
    "design",
)
SIZE_KNOWN = Rule(
    "ATW-SIZE",
    "Where the employer may have to pay part, we know how many people work there",
    "Commons WA 21 Dec 2010; rule book §8.3; that an unknown size waits is an engineering choice",
    "design",
)
NO_SHARE = Rule(
    "ATW-NO-SHARE",
    "Your employer pays no part: you work for yourself, are starting, or are in your first six weeks, "
    "or the employer is small enough",
    "yourdsa; launchpad; RNIB; braininhand; reasonableadjustmentchecker; rule book §8.3; weeks are "
    "counted to the effective date, and a work trial counts as starting [design]",
    "source",
)
EMPLOYER = Rule(
    "ATW-EMPLOYER",
    "Your employer pays the first part of equipment and adaptations, and a fifth of the rest up to a limit",
    "Lords WA 27 Nov 1997; Commons WA 21 Dec 2010; rule book §8.3; one share for the whole award [design]",
    "source",
)
THREE_YEARS = Rule(
    "ATW-THREE-YEARS",
    "The employer's limit runs over three years: what it paid earlier lowers its share, which the DWP knows",
    "Lords WA 27 Nov 1997; rule book §8.3",
    "source",
)
PRIVATE = Rule(
    "ATW-PRIVATE",
    "You pay for the days in seven that you also use something outside work",
    "braininhand; rule book §8.3",
    "source",
)
WEEKLY = Rule(
    "ATW-WEEKLY",
    "Support, travel and mental health support at work are paid in full, every week",
    "yourdsa; launchpad; RNIB; braininhand; rule book §8.3",
    "source",
)
ONE_OFF = Rule(
    "ATW-ONE-OFF",
    "What is bought once, less your employer's share and yours; training and communicators are paid in full",
    "rule book §8.3; training in full is an engineering choice",
    "source",
)
CAP = Rule(
    "ATW-CAP",
    "52 weeks of support and what is bought once stay within the most for one award year. Where they do not, "
    "what is bought once is cut first, so that support goes on. Earlier awards in the year count too, which "
    "the DWP knows",
    "gov.uk Access to Work 2017; rule book §8.3; the order of cutting is an engineering choice",
    "design",
)
LEFT = Rule(
    "ATW-LEFT",
    "Something is left for Access to Work to pay after your employer's share and your own",
    "rule book §8.3",
    "design",
)

PAID = ("employed", "self_employed", "job_offer", "work_trial", "apprenticeship")
WITH_EMPLOYER = ("employed", "apprenticeship")
SHARED = ("equipment", "adaptation", "vehicle_adaptation")
DAYS_A_WEEK = 7


def decide(q: Question[Facts]) -> Decision:
    reasons = Reasons()
    covered = _check_conditions(reasons, q)
    if blocked := reasons.blocked():
        return Decision(outcome=blocked, reasons=reasons.all())
    weekly = sum(_weekly(need) or 0 for need in covered)
    if weekly:
        reasons.calculate(WEEKLY, weekly)
    one_off = _one_off(reasons, q, covered)
    if not reasons.check(LEFT, weekly + one_off > 0, weekly_pence=weekly, one_off_pence=one_off):
        return Decision(outcome="REFUSED", reasons=reasons.all())
    asked = (weekly, one_off)
    weekly, one_off = _within_cap(reasons, q, weekly_pence=weekly, one_off_pence=one_off)
    return Decision(
        outcome="PROVISIONAL",
        reasons=reasons.all(),
        lines=_lines(q, weekly_pence=weekly, one_off_pence=one_off),
        warnings=() if (weekly, one_off) == asked else ("annual_cap_reached",),
    )


def _check_conditions(reasons: Reasons, q: Question[Facts]) -> list[WorkplaceNeed]:
    """Everything that can refuse or leave it unclear. Returns what is covered."""
    work, min_age = q.facts.work, q.rates["min_age"]
    reasons.check(AGE, q.facts.age >= min_age.number, min_age, age=q.facts.age)
    status = work.employment_status
    able = _has_work(work) or _at_interview(work)
    reasons.check(WORK, able, employment_status=status, job_offer=work.job_offer)
    if work.start_date and work.start_date > q.on:
        ahead, days = q.rates["apply_weeks_ahead"], (work.start_date - q.on).days
        reasons.check(EARLY, days <= ahead.number * DAYS_A_WEEK, ahead, days_to_start=days)
    covered = _covered(reasons, work)
    if reasons.check(NEED, bool(covered), asked=len(work.workplace_needs), covered=len(covered)):
        unpriced = sum(not _priced(need) for need in covered)
        reasons.check(COST, None if unpriced else True, without_cost=unpriced)
    if any(need.kind in SHARED for need in covered):
        new, exempt = _own_or_new(q), _exempt(q)
        reasons.check(START_KNOWN, None if new is None and not exempt else True, employment_status=status)
        reasons.check(SIZE_KNOWN, None if exempt is None and not new else True, staff=work.employer_size)
    return covered


def _has_work(work: Work) -> bool:
    return work.employment_status in PAID or work.job_offer


def _at_interview(work: Work) -> bool:
    return not _has_work(work) and any(need.kind == "communicator" for need in work.workplace_needs)


def _covered(reasons: Reasons, work: Work) -> list[WorkplaceNeed]:
    """What Access to Work pays toward; a note on each thing it does not."""
    covered = []
    for need in work.workplace_needs:
        if need.kind == "standard_business_kit":
            reasons.note(KIT, kind=need.kind)
        elif need.kind == "travel" and not work.travel_to_work_barrier:
            reasons.note(TRAVEL, kind=need.kind)
        elif need.kind != "communicator" and _at_interview(work):
            reasons.note(INTERVIEW, kind=need.kind)
        else:
            covered.append(need)
    return covered


def _weekly(need: WorkplaceNeed) -> int | None:
    """Weekly pence, None where there is no weekly cost."""
    if need.weekly_pence is not None:
        return need.weekly_pence * need.count
    if need.hours_per_week is None or need.hourly_rate_pence is None:
        return None
    return need.hours_per_week * need.hourly_rate_pence * need.count


def _once(need: WorkplaceNeed) -> int:
    return (need.cost_pence or 0) * need.count


def _priced(need: WorkplaceNeed) -> bool:
    if need.kind in SHARED:
        return need.cost_pence is not None and _weekly(need) is None
    return _weekly(need) is not None or (need.cost_pence is not None and need.hours_per_week is None)


def _own_or_new(q: Question[Facts]) -> bool | None:
    """Whether no employer pays because there is none, or the job is new. None: start not known."""
    work = q.facts.work
    if work.employment_status not in WITH_EMPLOYER:
        return True
    if work.start_date is None:
        return None
    return (q.on - work.start_date).days < q.rates["full_cost_under_weeks"].number * DAYS_A_WEEK


def _exempt(q: Question[Facts]) -> bool | None:
    """Whether the employer is too small to pay; none was before April 2010. None: size not known."""
    if q.rule_set == "atw-1997":
        return False
    size = q.facts.work.employer_size
    return None if size is None else size <= q.rates["exempt_up_to_staff"].number


def _one_off(reasons: Reasons, q: Question[Facts], covered: list[WorkplaceNeed]) -> int:
    shared = [need for need in covered if need.kind in SHARED]
    cost = sum(_once(need) for need in shared)
    in_full = sum(_once(need) for need in covered if need.kind not in SHARED)
    if not cost and not in_full:
        return 0
    grant = max(0, cost - _employer_share(reasons, q, cost) - _private_share(reasons, shared))
    return reasons.calculate(ONE_OFF, grant + in_full, shared_cost_pence=cost, in_full_pence=in_full)


def _employer_share(reasons: Reasons, q: Question[Facts], cost: int) -> int:
    """Pence the employer pays of `cost`, rounded once."""
    if cost == 0:
        return 0
    size = q.facts.work.employer_size
    if _own_or_new(q) or _exempt(q):
        limits = [q.rates["full_cost_under_weeks"]] if _own_or_new(q) else [q.rates["exempt_up_to_staff"]]
        reasons.note(NO_SHARE, *limits, employment_status=q.facts.work.employment_status, staff=size)
        return 0
    threshold, pct = _threshold(q), q.rates["employer_share_pct"]
    upper, reading = q.rates["employer_share_upper"], q.rates["atw_cap_reading"]
    above = max(0, cost - threshold.pence)
    most = upper.pence if reading.value == "next_10000" else upper.pence - threshold.pence
    share = round_pence(min(cost, threshold.pence) + pct.number / 100 * min(above, most))
    if q.rule_set == "atw-1997":
        reasons.note(THREE_YEARS)
    return reasons.calculate(EMPLOYER, share, threshold, pct, upper, reading, cost_pence=cost, staff=size)


def _threshold(q: Question[Facts]) -> Rate:
    """The first pounds, which the employer pays whole. Asked only where it pays, so its size is known."""
    if q.rule_set == "atw-1997":
        return q.rates["any_size_threshold"]
    size = q.facts.work.employer_size or 0
    if q.rule_set == "atw-2010" and size <= q.rates["small_up_to_staff"].number:
        return q.rates["small_threshold"]
    medium = size <= q.rates["medium_up_to_staff"].number
    return q.rates["medium_threshold" if medium else "large_threshold"]


def _private_share(reasons: Reasons, shared: list[WorkplaceNeed]) -> int:
    """Pence the person pays for use outside work, rounded once over all items."""
    if not any(need.private_days for need in shared):
        return 0
    share = round_pence(sum((Decimal(_once(n) * n.private_days) for n in shared), Decimal()) / DAYS_A_WEEK)
    return reasons.calculate(PRIVATE, share, most_days=max(n.private_days for n in shared))


def _within_cap(reasons: Reasons, q: Question[Facts], *, weekly_pence: int, one_off_pence: int) -> tuple[int, int]:
    """Weekly and one-off pence that fit the award year; whole pence down, so that the cap is never passed."""
    if q.rule_set != "atw-2015":
        return weekly_pence, one_off_pence
    cap = q.rates["annual_cap"]
    asked = WEEKS_PER_YEAR * weekly_pence + one_off_pence
    one_off = max(0, min(one_off_pence, cap.pence - WEEKS_PER_YEAR * weekly_pence))
    weekly = min(weekly_pence, cap.pence // WEEKS_PER_YEAR)
    reasons.calculate(CAP, WEEKS_PER_YEAR * weekly + one_off, cap, asked_yearly_pence=asked)
    return weekly, one_off


def _lines(q: Question[Facts], *, weekly_pence: int, one_off_pence: int) -> tuple[Line, ...]:
    """A weekly line begins with the job, where that is still to come."""
    start = q.facts.work.start_date
    amounts = [("weekly_pence", weekly_pence), ("one_off_pence", one_off_pence)]
    return tuple(
        Line(
            status="PROVISIONAL",
            ring_fence=q.stream.ring_fence,
            timing=q.stream.timing,
            decision_maker=q.stream.decision_maker,
            chargeable=False,
            in_budget=q.stream.in_budget,
            weekly_pence=pence if name == "weekly_pence" else None,
            one_off_pence=pence if name == "one_off_pence" else None,
            start=start if name == "weekly_pence" and start and start > q.on else None,
        )
        for name, pence in amounts
        if pence
    )
