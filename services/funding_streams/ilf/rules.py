"""Independent Living Fund (rule book §7). Its trustees decide: amounts are provisional until their notice."""

from decimal import ROUND_CEILING, Decimal

from contracts.money import exact, round_pence
from contracts.streams import Line
from rulekit.rates import Rate
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import Question
from services.funding_streams.ilf.facts import Facts

AGE = Rule(
    "ILF-AGE",
    "You apply between your 16th and your 65th birthday; an award already made goes on after 65",
    "Community Care 2001; ILF FAQ 'Making an application'; Directgov 2010; rule book §7.2",
    "source",
)
DISABILITY = Rule(
    "ILF-DLA",
    "You get the highest-rate care component of Disability Living Allowance, or Constant Attendance "
    "Allowance at that level (where you get PIP instead, the fund must say)",
    "Community Care 2001; Directgov 2010; rule book §7.2; PIP [design]: the rule book is silent",
    "source",
)
UK = Rule("ILF-UK", "You live in the United Kingdom", "ILF FAQ; Directgov 2010; rule book §7.2", "source")
COMMUNITY = Rule(
    "ILF-COMMUNITY",
    "You live in the community, not in a care home (a home whose kind is not stated is taken not to be one)",
    "Hansard 31 Mar 1988; Directgov 2010; rule book §7.2; unstated tenure [design]",
    "source",
)
SIX_MONTHS = Rule(
    "ILF-SIX-MONTHS",
    "You are expected to be able to live at home for at least the next six months",
    "ILF FAQ 'Making an application'; Directgov 2010; rule book §7.2",
    "source",
)
AT_RISK = Rule(
    "ILF-RISK",
    "Without this help you might have to go into residential care (asked until 2008)",
    "Hansard 31 Mar 1988; rule book §7.2 'early version'; that it was dropped in 2008 [design]",
    "design",
)
CAPITAL = Rule(
    "ILF-CAPITAL",
    "What you and your partner have, apart from the home you live in, is below the limit",
    "Community Care 2001; ILF FAQ; rule book §7.2; refusing to say what you have makes it unclear [design]",
    "source",
)
CLOSED = Rule(
    "ILF-CLOSED",
    "The fund is closed to new applications; people it already supported stay",
    "DWP 17 June 2010; rule book §7.1",
    "source",
)
WORK = Rule(
    "ILF-WORK",
    "You are in paid work, or work for yourself, for enough hours a week (asked of new applicants from 2010)",
    "Directgov Sept 2010; nidirect; rule book §7.1; a paid apprenticeship counts [design]",
    "source",
)
PRIORITY = Rule(
    "ILF-PRIORITY",
    "People in work of 16 hours a week or more come first, then people on low incomes with large packages",
    "ILF application page (irfs); inbrief 2009; rule book §7.1",
    "source",
)
LA_MINIMUM = Rule(
    "ILF-LA-MINIMUM",
    "Your council gives you at least the minimum in services or direct payments, after what you pay toward "
    "it; other streams' money does not count",
    "irfs; rule book §7.1, R-ILF-1 (net basis unverified), R-ILF-2, R-ILF-3; no Extension Fund minimum found",
    "unverified",
)
CARE_COSTED = Rule(
    "ILF-CARE-COSTED",
    "It is known how many hours of personal and domestic care you need, and what an hour costs",
    "ILF FAQ 'Amount of awards'; rule book §7.4",
    "source",
)
CARE_COST = Rule(
    "ILF-CARE-COST",
    "The weekly cost of all your personal and domestic care: hours times a reasonable rate",
    "ILF FAQ 'Amount of awards'; rule book §7.4 (A)",
    "source",
)
TARIFF = Rule(
    "ILF-TARIFF",
    "Capital above the lower limit is taken to bring £1 a week for every £250 or part of it",
    "DG_191447 (cross-stitch); rule book §7.4, §5.2",
    "unverified",
)
NOTIONAL_IS = Rule(
    "ILF-NOTIONAL-IS",
    "What Income Support would be: your personal allowance with the disability and enhanced disability "
    "premiums, or the Pension Credit guarantee from 60",
    "ILF FAQ 'Amount of awards'; rule book §7.4, rates of §5.2; which premiums count [design]",
    "design",
)
MEANS_ON_IS = Rule(
    "ILF-MEANS-ON-IS",
    "On Income Support you put in half your care allowance, and the severe disability premium if you get it",
    "ILF FAQ 'Amount of awards'; rule book §7.4 (U); income-related ESA and guarantee credit alike [design]",
    "source",
)
MEANS = Rule(
    "ILF-MEANS",
    "You put in half your care allowance, and income above what Income Support and your housing would come "
    "to; earnings, disability benefits and tax credits are ignored",
    "ILF FAQ 'Amount of awards'; rule book §7.4 (U); which other incomes count follows §5.2 [design]",
    "source",
)
OWN_SHARE = Rule(
    "ILF-OWN-SHARE",
    "What you already pay the council is taken off what you put in here: you do not pay twice",
    "ILF FAQ 'Amount of awards'; rule book §7.4 (U')",
    "source",
)
SHORTFALL = Rule(
    "ILF-SHORTFALL",
    "The cost of your care, less what the council gives and less your own share",
    "ILF FAQ 'Amount of awards'; rule book §7.4",
    "source",
)
MORE_CARE = Rule(
    "ILF-MORE-CARE",
    "You need more care than the council's package and your own share pay for",
    "Community Care 2001; ILF FAQ 'Making an application'; rule book §7.2, §7.4",
    "source",
)
AWARD = Rule(
    "ILF-AWARD",
    "The fund pays the shortfall, up to its maximum",
    "ILF newsletters; rule book §7.1, §7.4",
    "source",
)
JOINT_CEILING = Rule(
    "ILF-JOINT-CEILING",
    "At a first award, council and fund together do not come to more than the joint ceiling",
    "Hansard 11 Mar 1997; rule book §7.1, §7.4",
    "source",
)
NO_INCREASE = Rule(
    "ILF-NO-INCREASE",
    "Since June 2010 the fund raises an award only for employer costs and some changes of income",
    "DWP 17 June 2010; rule book §7.5",
    "source",
)

UNTIL_2008 = "ilf-93-"
CARE_ALLOWANCES = frozenset({"dla_care", "constant_attendance_allowance"})
INCOME_SUPPORT = frozenset({"income_support", "jsa_income_based", "esa_income_related", "guarantee_credit"})
PAID_WORK = frozenset({"employed", "self_employed", "apprenticeship"})
COUNTED = frozenset(
    {
        "state_pension",
        "occupational_pension",
        "incapacity_benefit",
        "carers_allowance",
        "savings_credit",
        "universal_credit",
        "severe_disability",
        "other_countable",
    }
)


def decide(q: Question[Facts]) -> Decision:
    reasons = Reasons()
    _check_person(q, reasons)
    _check_version(q, reasons)
    _check_council(q, reasons)
    own = q.facts.own
    costed = own.care_hours_weekly is not None and own.hourly_rate_pence is not None
    reasons.check(CARE_COSTED, costed or None)
    if blocked := reasons.blocked():
        return Decision(outcome=blocked, reasons=reasons.all())
    return _award(q, reasons)


def _check_person(q: Question[Facts], reasons: Reasons) -> None:
    facts, own = q.facts, q.facts.own
    lowest, highest = q.rates["age_from"], q.rates["age_below"]
    in_age = facts.age >= lowest.number and (own.existing_ilf_user or facts.age < highest.number)
    reasons.check(AGE, in_age, lowest, highest, age=facts.age, existing=own.existing_ilf_user)
    reasons.check(DISABILITY, _highest_rate(facts))
    reasons.check(UK, own.lives_in_uk)
    reasons.check(COMMUNITY, facts.person.tenure != "care_home", tenure=facts.person.tenure)
    reasons.check(SIX_MONTHS, own.expected_home_6_months)
    limit, capital = q.rates["capital_limit"], _capital(facts)
    below = capital < limit.pence
    unsaid = facts.disclosure_refused
    reasons.check(CAPITAL, None if below and unsaid else below, limit, capital_pence=capital, refused_to_say=unsaid)


def _highest_rate(facts: Facts) -> bool | None:
    rates = {item.rate for item in facts.income if item.type in CARE_ALLOWANCES}
    if "high" in rates:
        return True
    has_pip = any(item.type == "pip_daily_living" for item in facts.income)
    return None if has_pip or None in rates else False


def _capital(facts: Facts) -> int:
    capital = facts.capital
    return capital.person_pence + capital.partner_pence + capital.other_property_pence


def _check_version(q: Question[Facts], reasons: Reasons) -> None:
    own, work = q.facts.own, q.facts.work
    if q.rule_set.startswith(UNTIL_2008):
        reasons.check(AT_RISK, own.at_risk_of_residential_care)
    if q.rule_set == "ilf-2008":
        first = q.rates["work_hours_first"]
        comes_first = _works_for(q.facts, first)
        reasons.note(PRIORITY, first, work=work.employment_status, hours=work.hours, comes_first=comes_first)
    if q.rule_set == "ilf-2010" and not own.existing_ilf_user:
        least = q.rates["work_hours_min"]
        reasons.check(WORK, _works_for(q.facts, least), least, work=work.employment_status, hours=work.hours)
    if q.rule_set == "ilf-closed-2010":
        reasons.check(CLOSED, own.existing_ilf_user)
        reasons.note(NO_INCREASE)


def _works_for(facts: Facts, hours: Rate) -> bool | None:
    if facts.work.employment_status not in PAID_WORK:
        return False
    return None if facts.work.hours is None else facts.work.hours >= hours.number


def _check_council(q: Question[Facts], reasons: Reasons) -> None:
    council, charge = q.supplied.get("council_weekly_pence"), q.supplied.get("contribution_weekly_pence")
    minimum, basis = q.rates["la_minimum"], q.rates["la_basis"]
    holds = _at_least(minimum.pence, given=council, charge=charge, net=basis.value == "net")
    if holds is False and _in_extension_fund(q.facts):
        holds = None
    reasons.check(LA_MINIMUM, holds, minimum, basis, council_pence=council, person_pays_pence=charge)


def _at_least(minimum: int, *, given: int | None, charge: int | None, net: bool) -> bool | None:
    """A package below the minimum is too small whatever the charge, so an unknown charge changes nothing."""
    if given is None:
        return None
    if given < minimum:
        return False
    return None if charge is None else given - (charge if net else 0) >= minimum


def _in_extension_fund(facts: Facts) -> bool:
    return facts.own.existing_ilf_user and facts.own.extension_fund


def _award(q: Question[Facts], reasons: Reasons) -> Decision:
    """Only reached where every condition is met, so every amount is known."""
    own = q.facts.own
    council = q.supplied["council_weekly_pence"] or 0
    hours = exact(own.care_hours_weekly or 0)
    cost = round_pence(hours * (own.hourly_rate_pence or 0))
    reasons.calculate(CARE_COST, cost, hours=str(hours), hourly_rate_pence=own.hourly_rate_pence)
    share = _own_share(q, reasons)
    short = cost - council - share
    reasons.calculate(SHORTFALL, short, cost_pence=cost, council_pence=council, own_share_pence=share)
    if not reasons.check(MORE_CARE, short > 0):
        return Decision(outcome="REFUSED", reasons=reasons.all())
    most = q.rates["fund_max_extension" if _in_extension_fund(q.facts) else "fund_max"]
    award = reasons.calculate(AWARD, min(short, most.pence), most)
    if not _under_joint_ceiling(q, reasons, together=council + award):
        return Decision(outcome="REFUSED", reasons=reasons.all())
    return Decision(
        outcome="PROVISIONAL",
        reasons=reasons.all(),
        lines=(_line(q, award),),
        findings={"own_share_weekly_pence": share},
    )


def _own_share(q: Question[Facts], reasons: Reasons) -> int:
    means = _means(q, reasons)
    paid = q.supplied["contribution_weekly_pence"] or 0
    return reasons.calculate(OWN_SHARE, max(0, means - paid), means_pence=means, paid_to_council_pence=paid)


def _means(q: Question[Facts], reasons: Reasons) -> int:
    facts, share = q.facts, q.rates["care_allowance_share"]
    allowance = max(i.weekly_pence for i in facts.income if i.type in CARE_ALLOWANCES and i.rate == "high")
    half = share.number * allowance
    if INCOME_SUPPORT & ({item.type for item in facts.income} | set(facts.passport_benefits)):
        premium = sum(item.weekly_pence for item in facts.income if item.type == "severe_disability")
        total = round_pence(half + premium)
        return reasons.calculate(MEANS_ON_IS, total, share, allowance_pence=allowance, premium_pence=premium)
    spare = _spare_income(q, reasons)
    return reasons.calculate(MEANS, round_pence(half + spare), share, allowance_pence=allowance, spare_pence=spare)


def _spare_income(q: Question[Facts], reasons: Reasons) -> int:
    """Income above housing and notional Income Support, not looked up where housing takes it all."""
    facts, costs = q.facts, q.facts.housing_costs
    income = sum(item.weekly_pence for item in facts.income if item.type in COUNTED) + _tariff(q, reasons)
    left = income - costs.rent_net_pence - costs.council_tax_net_pence - costs.mortgage_pence
    if left <= 0:
        return 0
    rates = _notional_is(q)
    notional = sum(rate.pence for rate in rates)
    return max(0, left - reasons.calculate(NOTIONAL_IS, notional, *rates, age=facts.age, couple=facts.has_partner))


def _tariff(q: Question[Facts], reasons: Reasons) -> int:
    lower = q.rates.get("capital_lower")
    if lower is None or _capital(q.facts) <= lower.pence:
        return 0
    step, amount = q.rates["tariff_step"], q.rates["tariff_pounds"]
    steps = Decimal(_capital(q.facts) - lower.pence) / step.pence
    pence = int(steps.to_integral_value(ROUND_CEILING)) * amount.pence
    return reasons.calculate(TARIFF, pence, lower, step, amount, capital_pence=_capital(q.facts))


def _notional_is(q: Question[Facts]) -> tuple[Rate, ...]:
    rates, age = q.rates, q.facts.age
    kind = "couple" if q.facts.has_partner else "single"
    if age >= rates["is_pension_age"].number:
        return (rates[f"is_pension_{kind}"],)
    return (rates[_allowance(q)], rates[f"is_disability_{kind}"], rates[f"is_enhanced_{kind}"])


def _allowance(q: Question[Facts]) -> str:
    if q.facts.age < q.rates["is_adult_age"].number:
        return "is_under_18"
    if q.facts.has_partner:
        return "is_couple"
    return "is_single_25" if q.facts.age >= q.rates["is_full_rate_age"].number else "is_single_18_24"


def _under_joint_ceiling(q: Question[Facts], reasons: Reasons, together: int) -> bool:
    if q.facts.own.existing_ilf_user or not q.rule_set.startswith(UNTIL_2008):
        return True
    ceiling = q.rates["joint_max"]
    return reasons.check(JOINT_CEILING, together <= ceiling.pence, ceiling, together_pence=together)


def _line(q: Question[Facts], award: int) -> Line:
    stream = q.stream
    return Line(
        status="PROVISIONAL",
        ring_fence=stream.ring_fence,
        timing=stream.timing,
        decision_maker=stream.decision_maker,
        chargeable=False,
        weekly_pence=award,
    )
