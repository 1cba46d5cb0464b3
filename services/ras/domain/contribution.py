"""What the person may be asked to pay (§5): one means test on all that is chargeable, placed on lines later.

Every step is a reason with its pence and rates, so that the working can be printed line by line.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from contracts.facts import Income
from contracts.money import round_pence
from contracts.streams import Reason
from rulekit.council import Council
from rulekit.rates import ParameterMissing, Rate, RatesOn
from rulekit.reasons import Reasons, Rule
from rulekit.stream import PARAMETER_MISSING
from services.ras.domain.tables import charging
from services.ras.facts import Facts

Outcome = Literal["calculated", "not_charged", "full_cost", "parameter_missing"]

AFTERCARE = Rule(
    "CHARGE-AFTERCARE",
    "Aftercare under section 117 is free",
    "Mental Health Act 1983 s117; rule book §5.1, §20",
    "source",
)
NOTHING = Rule("CHARGE-NOTHING", "Nothing in the budget may be charged for", "rule book §5.6", "source")
REFUSED = Rule(
    "CHARGE-DISCLOSURE",
    "Who does not disclose their means pays the full cost",
    "Cambridgeshire policy; rule book §5.4",
    "source",
)
CAPITAL = Rule(
    "CHARGE-CAPITAL",
    "With capital above the upper limit the person pays the full cost",
    "LAC(DH) circulars; SI 2014/2672; rule book §5.2, §5.4",
    "source",
)
FULL_COST = Rule("CHARGE-FULL-COST", "All that is chargeable is paid", "rule book §5.2, §5.4", "source")
TARIFF = Rule(
    "CHARGE-TARIFF",
    "Capital between the limits counts as income: so much for each step or part of one",
    "taxation.co.uk 2006, CPAG; circular 2024/25; rule book §5.2, §5.4",
    "source",
)
INCOME = Rule("CHARGE-INCOME", "Income that counts", "rule book §5.2, §5.4", "source")
NIGHT = Rule(
    "CHARGE-NIGHT",
    "Where the council buys no night care, a high rate counts only up to the rate below it",
    "Fairer Contributions Annex A (docest); rule book §5.2",
    "source",
)
IGNORED = Rule("CHARGE-IGNORED", "Income that is ignored", "rule book §5.2, §5.4", "source")
COUPLE = Rule(
    "CHARGE-COUPLE",
    "Each partner is assessed on their own means, as a single person is",
    "rule book §5.2 (general knowledge)",
    "unverified",
)
AGE = Rule("CHARGE-AGE", "The age that decides which rates protect income", "rule book §5.2, §5.4", "source")
BASIC_PLUS = Rule(
    "CHARGE-PROTECTED",
    "Basic income support or pension guarantee, never with severe disability, plus the buffer is left alone",
    "Fairer Charging guidance para 69; rule book §5.2",
    "source",
)
GUARANTEE = Rule(
    "CHARGE-MIG",
    "The minimum income guarantee with its premiums, and what the council adds, is left alone",
    "SI 2014/2672 reg 7; rule book §5.4",
    "source",
)
HOUSING = Rule("CHARGE-HOUSING", "Housing costs that are left to pay", "rule book §5.2, §5.4", "source")
EXPENSES = Rule(
    "CHARGE-DRE",
    "Evidenced costs of disability, or the council's standard allowance if that is higher",
    "rule book §5.5",
    "source",
)
MPC = Rule("CHARGE-MPC", "The most the person can contribute", "rule book §5.2, §5.4, §23", "source")
LOCAL_MAX = Rule("CHARGE-LOCAL-MAX", "The council's highest charge", "rule book §5.2", "source")
PLAN_SHARE = Rule(
    "CHARGE-PLAN-SHARE",
    "The council's share of the plan's value is the most it charges",
    "seed 002 App.1 C; rule book §5.3",
    "seed",
)
MINIMUM = Rule(
    "CHARGE-MINIMUM",
    "Below the council's minimum charge nothing is collected",
    "Reading policy App. B; rule book §5.4",
    "source",
)
CONTRIBUTION = Rule(
    "CHARGE-CONTRIBUTION",
    "The lowest of what the person can contribute, what is chargeable, and the council's own limits",
    "rule book §5.2 to §5.4",
    "source",
)

MOBILITY = {"dla_mobility", "pip_mobility"}
CHILDREN = {"child_benefit", "child_maintenance", "tax_credits"}
HELP_WITH_COSTS = {"housing_benefit", "council_tax_benefit", "winter_fuel", "ilf"}
NEVER_COUNTED = MOBILITY | CHILDREN | HELP_WITH_COSTS | {"earnings", "other_ignored"}
DISABILITY_2003 = {"dla_care", "dla_mobility", "incapacity_benefit"}
CARE = {"dla_care", "pip_daily_living", "attendance_allowance", "constant_attendance_allowance"}
DISABILITY_2015 = CARE | MOBILITY
NIGHT_BENEFITS = {"dla_care", "attendance_allowance"}


class Contribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The person's weekly contribution and its working.

    `mpc_weekly_pence` is the means test's result before any cap, so it holds when the package grows; None
    where no means test was made. `parameter_set` names the uprating in force; empty where none is known.
    """

    outcome: Outcome
    contribution_weekly_pence: int | None
    chargeable_weekly_pence: int
    mpc_weekly_pence: int | None = None
    rule_set: str = ""
    parameter_set: str = ""
    reasons: tuple[Reason, ...] = ()


class _Test(msgspec.Struct, frozen=True):
    """What every step of one means test reads, and where it writes its reason."""

    facts: Facts
    council: Council
    rates: RatesOn
    reasons: Reasons
    types: frozenset[str]
    """Types of income in payment."""


class _Answer(msgspec.Struct, frozen=True):
    outcome: Outcome
    pays: int | None
    mpc: int | None = None


def assess_contribution(
    facts: Facts,
    council: Council,
    *,
    pack: str,
    on: date,
    council_weekly_pence: int,
    other_chargeable_weekly_pence: int = 0,
) -> Contribution:
    """The contribution to the whole chargeable amount on the decision's effective date.

    A rate that is not known is the outcome `parameter_missing` without an amount; it is never raised.
    """
    aftercare = facts.person.s117_entitled
    chargeable = (0 if aftercare else council_weekly_pence) + other_chargeable_weekly_pence
    rates, reasons, rule_set = charging().rates.on(on), Reasons(), ""
    if aftercare:
        reasons.check(AFTERCARE, True)
    test = _Test(facts, council, rates, reasons, frozenset([income.type for income in facts.income]))
    try:
        rule_set = charging().rule_set(pack, on).id
        answer = _answer(test, rule_set, chargeable)
    except ParameterMissing as missing:
        reasons.check(PARAMETER_MISSING, None, parameter=missing.key, on=missing.on.isoformat())
        answer = _Answer("parameter_missing", None)
    uprating = rates.get("uprating")
    return Contribution(
        outcome=answer.outcome,
        contribution_weekly_pence=answer.pays,
        chargeable_weekly_pence=chargeable,
        mpc_weekly_pence=answer.mpc,
        rule_set=rule_set,
        parameter_set=f"asc-charging {uprating.start.isoformat()}" if uprating else "",
        reasons=reasons.all(),
    )


def _answer(test: _Test, rule_set: str, chargeable: int) -> _Answer:
    """Free first, then the full cost, then the means test."""
    facts, reasons = test.facts, test.reasons
    if chargeable == 0:
        if not facts.person.s117_entitled:
            reasons.check(NOTHING, True)
        return _Answer("not_charged", 0)
    if facts.disclosure_refused:
        reasons.check(REFUSED, True)
        return _full_cost(test, chargeable)
    tariff = _tariff(test)
    if tariff is None:
        return _full_cost(test, chargeable)
    mpc = _means_test(test, _POLICIES[rule_set], tariff)
    return _Answer("calculated", _capped(test, mpc=mpc, chargeable=chargeable), mpc)


def _full_cost(test: _Test, chargeable: int) -> _Answer:
    test.reasons.calculate(FULL_COST, chargeable)
    return _Answer("full_cost", _capped(test, mpc=chargeable, chargeable=chargeable))


def _tariff(test: _Test) -> int | None:
    """Weekly income that capital is taken to give; None where capital is above the upper limit."""
    capital = test.facts.capital.person_pence + test.facts.capital.other_property_pence
    lower, upper = test.rates["capital_lower"], test.rates["capital_upper"]
    if capital > upper.pence:
        test.reasons.check(CAPITAL, True, upper, capital_pence=capital)
        return None
    if capital <= lower.pence:
        return test.reasons.calculate(TARIFF, 0, lower, capital_pence=capital)
    step, each = test.rates["tariff_per"], test.rates["tariff_each"]
    steps = -(-(capital - lower.pence) // step.pence)
    return test.reasons.calculate(TARIFF, steps * each.pence, lower, step, each, capital_pence=capital, steps=steps)


def _means_test(test: _Test, policy: "_Policy", tariff: int) -> int:
    """The most the person can contribute: what is left of income after all that is protected."""
    counted = [_counted(test, income, night=policy.night_disregard) for income in test.facts.income]
    total = sum(counted) + tariff
    protected, housing, expenses = policy.protected(test), _housing(test), _expenses(test)
    available = total - protected - housing - expenses
    percentage = test.council.local_percentage
    mpc = max(0, available) if percentage == 100 else round_pence(Decimal(max(0, available) * percentage) / 100)
    return test.reasons.calculate(
        MPC,
        mpc,
        income_pence=total,
        protected_pence=protected,
        housing_pence=housing,
        expenses_pence=expenses,
        available_pence=available,
        local_percentage=percentage,
    )


def _counted(test: _Test, income: Income, *, night: bool) -> int:
    weekly, kind = income.weekly_pence, income.type
    if kind in NEVER_COUNTED:
        test.reasons.note(IGNORED, type=kind, weekly_pence=weekly)
        return 0
    high_rate = kind in NIGHT_BENEFITS and income.rate == "high"
    if not (night and high_rate) or test.facts.council_buys_night_care:
        return test.reasons.calculate(INCOME, weekly, type=kind)
    high, low = test.rates["aa_high"], test.rates["aa_low"]
    left = max(0, weekly - (high.pence - low.pence))
    return test.reasons.calculate(NIGHT, left, high, low, type=kind, weekly_pence=weekly)


def _protected_2003(test: _Test) -> int:
    """Basic income support, or pension guarantee, and the buffer on top (§5.2)."""
    if test.facts.has_partner:
        test.reasons.note(COUPLE)
    parts, buffer = _basic_2003(test), test.rates["buffer_pct"]
    basic = sum([part.pence for part in parts])
    protected = round_pence(basic * (100 + buffer.number) / 100)
    return test.reasons.calculate(BASIC_PLUS, protected, *parts, buffer, basic_pence=basic)


def _basic_2003(test: _Test) -> list[Rate]:
    band, rates, types = _age_band(test), test.rates, test.types
    if band == "pension":
        return [rates["pension_guarantee_single"]]
    parts = [rates["is_single_25" if band == "older" else "is_single_18_24"]]
    if types & DISABILITY_2003:
        parts.append(rates["disability_premium_single"])
    if _has(test, "dla_care", "high"):
        parts.append(rates["enhanced_disability_single"])
    if "carers_allowance" in types:
        parts.append(rates["carer_premium"])
    if test.facts.has_dependent_child:
        parts.append(rates["family_premium"])
    return parts


def _guarantee_2015(test: _Test) -> int:
    """Minimum income guarantee, and the council's addition (§5.4)."""
    parts, added = _guarantee_parts(test), test.council.mig_addition_weekly_pence
    guarantee = sum([part.pence for part in parts]) + added
    return test.reasons.calculate(GUARANTEE, guarantee, *parts, council_addition_pence=added)


def _guarantee_parts(test: _Test) -> list[Rate]:
    band, rates = _age_band(test), test.rates
    parts = [rates[guarantee_key(test.facts, band)]]
    size = "couple" if test.facts.has_partner else "single"
    if band != "pension" and test.types & DISABILITY_2015:
        parts.append(rates[f"mig_dp_{size}"])
        if _has(test, "pip_daily_living", "enhanced") or _has(test, "dla_care", "high"):
            parts.append(rates[f"mig_edp_{size}"])
    if "carers_allowance" in test.types:
        parts.append(rates["mig_carer"])
    if test.facts.has_dependent_child:
        # An amount for each child, and the facts do not say how many: one would protect too little.
        raise ParameterMissing("mig_child", rates.on)
    return parts


def guarantee_key(facts: Facts, band: str) -> str:
    if facts.has_partner:
        return "mig_couple_pca" if band == "pension" else "mig_couple"
    if band == "pension":
        return "mig_single_pca"
    if facts.has_dependent_child:
        return "mig_lone_parent"
    return "mig_single_25" if band == "older" else "mig_single_18_24"


def _age_band(test: _Test) -> Literal["younger", "older", "pension"]:
    """Raises ParameterMissing below the lowest age that rates are printed for."""
    age, rates, reasons = test.facts.age, test.rates, test.reasons
    adult, older = rates["adult_age"], rates["higher_rate_age"]
    if age < adult.number:
        raise ParameterMissing(f"allowance_below_{adult.value}", rates.on)
    if age < older.number:
        reasons.note(AGE, adult, older, age=age)
        return "younger"
    pension = rates["pension_credit_age"]
    reasons.note(AGE, older, pension, age=age)
    return "pension" if age >= pension.number else "older"


def _has(test: _Test, kind: str, rate: str) -> bool:
    return any(income.type == kind and income.rate == rate for income in test.facts.income)


def _housing(test: _Test) -> int:
    costs = test.facts.housing_costs
    rent, tax, mortgage = costs.rent_net_pence, costs.council_tax_net_pence, costs.mortgage_pence
    saw = {"rent_pence": rent, "council_tax_pence": tax, "mortgage_pence": mortgage}
    return test.reasons.calculate(HOUSING, rent + tax + mortgage, **saw)


def _expenses(test: _Test) -> int:
    evidenced = sum([expense.weekly_pence for expense in test.facts.dre if expense.evidenced])
    standard = test.council.dre_standard_weekly_pence
    return test.reasons.calculate(
        EXPENSES, max(evidenced, standard), evidenced_pence=evidenced, standard_pence=standard
    )


def _capped(test: _Test, *, mpc: int, chargeable: int) -> int:
    """The lowest of all limits; nothing where that is below the council's minimum charge."""
    council, reasons = test.council, test.reasons
    pays = min(mpc, chargeable)
    if council.local_max_weekly_pence is not None:
        pays = min(pays, reasons.calculate(LOCAL_MAX, council.local_max_weekly_pence))
    if council.contribution_pct_of_plan is not None:
        share = round_pence(Decimal(chargeable * council.contribution_pct_of_plan) / 100)
        pct = council.contribution_pct_of_plan
        pays = min(pays, reasons.calculate(PLAN_SHARE, share, plan_pence=chargeable, percentage=pct))
    if pays < council.minimum_charge_weekly_pence:
        least = council.minimum_charge_weekly_pence
        pays = reasons.calculate(MINIMUM, 0, contribution_pence=pays, minimum_pence=least)
    return reasons.calculate(CONTRIBUTION, pays, mpc_pence=mpc, chargeable_pence=chargeable)


class _Policy(msgspec.Struct, frozen=True):
    """What differs between rule sets."""

    protected: Callable[[_Test], int]
    night_disregard: bool


_FAIRER = _Policy(_protected_2003, night_disregard=True)
_POLICIES = {
    "charge-fairer-2003": _FAIRER,
    "charge-contributions-2009": _FAIRER,
    "charge-care-act-2015": _Policy(_guarantee_2015, night_disregard=False),
}
