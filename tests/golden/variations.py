"""The golden cases with one thing changed, as somebody new would try them: just past a limit, without a notice, at
another council.

Every amount is a literal, worked in the comment beside it from rule book §§3 to 11; the golden working is in README.md.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.golden.running import JsonObject


@dataclass(frozen=True)
class Variation:
    """`change`: path in the assessment -> value. `notices` None keeps the golden ones.

    `expected`: a total's name without its unit (`weekly`, `net_weekly`), `la` for the council's weekly amount, a
    stream for its outcome, `stream.weekly`, `stream.one_off` or `stream.pays` for its line, in pence; `state`.
    """

    name: str
    base: str
    expected: dict[str, object]
    change: dict[str, Any] = field(default_factory=dict)
    notices: list[JsonObject] | None = None


def notice(stream: str, decision: str, **more: object) -> JsonObject:
    return {"stream": stream, "decision": decision, "reference": f"V-{stream}", **more}


def adaptation(pence: int) -> list[JsonObject]:
    return [{"item_code": "front_ramp", "kind": "minor_adaptation", "prescribed_standard_price_pence": pence}]


def housing(*, duration: str, hb: bool) -> JsonObject:
    """Support of 2 hours at £15.00 = £30.00 a week."""
    return {
        "vulnerable_as": "older",
        "support_need_housing": [{"task": "alarm"}, {"task": "warden_visits"}],
        "expected_duration": duration,
        "hb_in_payment": hb,
        "sp_scheme": {"hours_per_week": 2, "hourly_rate_pence": 1500},
    }


SEVERAL = {"personal_care_domestic_unable": {"now": "several"}}
IN_FULL = {"capital.person_pence": 2150001}

G01 = [
    # §5.3: the lower of 75% x 186.75 = 140.06 and 49.84. Council C keeps equipment beside the budget (§4.7).
    Variation(
        "at council C",
        "G01",
        {"contribution_weekly": 4984, "net_weekly": 13691, "one_off": 0, "outside_one_off": 26800},
        {"council": "council-c"},
    ),
    # §5.2 tariff starts above 13,000: none at it, and 1 for the first part of 250: 49.84 + 1.00.
    Variation("capital 13,000", "G01", {"contribution_weekly": 4984}, {"capital.person_pence": 1300000}),
    Variation(
        "capital 13,001",
        "G01",
        {"contribution_weekly": 5084, "net_weekly": 13591},
        {"capital.person_pence": 1300100},
    ),
    # 8,500 / 250 = 34: 49.84 + 34.00 = 83.84.
    Variation("capital 21,500", "G01", {"contribution_weekly": 8384}, {"capital.person_pence": 2150000}),
    # Above the upper limit, by a penny too: all 186.75.
    Variation("capital 21,500.01", "G01", {"contribution_weekly": 18675, "net_weekly": 0}, IN_FULL),
    # §5.4: who refuses to say pays in full, though 49.84 is all the means test would give.
    Variation(
        "means not disclosed", "G01", {"contribution_weekly": 18675, "net_weekly": 0}, {"disclosure_refused": True}
    ),
    # §5.1: aftercare is free.
    Variation("section 117", "G01", {"contribution_weekly": 0, "net_weekly": 18675}, {"person.s117_entitled": True}),
    # §4.2: 45 points x 4.50 = 202.50, nothing taken off; 202.50 - 49.84 = 152.66.
    Variation(
        "the daughter stops",
        "G01",
        {"la": 20250, "contribution_weekly": 4984, "net_weekly": 15266},
        {"carers": []},
    ),
    # §3.1: "several" is MODERATE. Council E supports it: 186.75 + SP 30.00 = 216.75 (on Housing Benefit: SP free).
    Variation(
        "moderate at council E",
        "G01",
        {"state": "PROPOSED", "la": 18675, "weekly": 21675, "contribution_weekly": 4984, "supporting_people.pays": 0},
        {"council": "council-e", "facs": SEVERAL, "housing": housing(duration="2_years_or_more", hb=True)},
    ),
    # Council A does not (R-FACS-2); SP does not depend on it and is outside (§6.1). So is the equipment.
    Variation(
        "moderate at council A",
        "G01",
        {
            "state": "NO_BUDGET",
            "social_care": "REFUSED",
            "supporting_people": "AWARDED",
            "weekly": 0,
            "one_off": 0,
            "outside_weekly": 3000,
            "outside_one_off": 26800,
            "contribution_weekly": 0,
        },
        {"facs": SEVERAL, "housing": housing(duration="2_years_or_more", hb=True)},
    ),
    # §6.4 long-term support, with means above the limit so that all that can be charged is. On Housing Benefit the
    # support is free: 186.75 of 216.75.
    Variation(
        "long-term support on Housing Benefit",
        "G01",
        {"weekly": 21675, "contribution_weekly": 18675, "net_weekly": 3000, "supporting_people.pays": 0},
        {**IN_FULL, "housing": housing(duration="2_years_or_more", hb=True)},
    ),
    # Not on it: charged with the rest, once: 186.75 + 30.00.
    Variation(
        "long-term support without Housing Benefit",
        "G01",
        {"weekly": 21675, "contribution_weekly": 21675, "social_care.pays": 18675, "supporting_people.pays": 3000},
        {**IN_FULL, "housing": housing(duration="2_years_or_more", hb=False), "passport_benefits": []},
    ),
    # §5.6: short-term support stays free inside a budget.
    Variation(
        "short-term support without Housing Benefit",
        "G01",
        {"weekly": 21675, "contribution_weekly": 18675, "supporting_people.pays": 0},
        {**IN_FULL, "housing": housing(duration="under_2_years", hb=False), "passport_benefits": []},
    ),
]

G01 += [
    # One point, 4.50: the person never pays more than there is (§5.2).
    Variation(
        "one point",
        "G01",
        {"la": 450, "contribution_weekly": 450, "net_weekly": 0},
        {"domain_levels": {"D09": 1}, "carers": []},
    ),
]

G03 = [
    # §4.1 half units: 21 x 26.00 / 2 = 273.00; 273.00 - 102.25.
    Variation(
        "half units",
        "G03",
        {"la": 27300, "contribution_weekly": 10225, "net_weekly": 17075},
        {"support_units.0.share": 0.5},
        [],
    ),
    # §11.1: positive only means "needs the full assessment". 546.00 - 102.25 = 443.75 until the NHS decides.
    Variation(
        "before the NHS decides",
        "G03",
        {"chc": "PROVISIONAL", "weekly": 54600, "spendable_weekly": 54600, "net_weekly": 44375, "chc.weekly": None},
        notices=[],
    ),
    Variation(
        "the NHS says no",
        "G03",
        {"chc": "REFUSED", "weekly": 54600, "contribution_weekly": 10225, "net_weekly": 44375},
        notices=[notice("chc", "refused")],
    ),
    # §11.4 joint package: the council's part goes on, and only it is charged for. 546.00 + 200.00.
    Variation(
        "a joint package of 200.00",
        "G03",
        {"chc": "AWARDED", "weekly": 74600, "social_care.pays": 10225, "chc.pays": 0, "net_weekly": 64375},
        notices=[notice("chc", "confirmed", package="joint", weekly_pence=20000)],
    ),
    # §11.4: nursing money goes to the home, never into a budget.
    Variation(
        "nursing care only",
        "G03",
        {"chc": "REFUSED", "weekly": 54600, "net_weekly": 44375},
        notices=[notice("chc", "confirmed", package="fnc", weekly_pence=25406)],
    ),
]

G04 = [
    # §7.6, §8.5: 322.25 and 60.00 a week and 2,480.00 once wait for their bodies; 335.50 may be spent.
    Variation(
        "before any notice",
        "G04",
        {
            "ilf": "PROVISIONAL",
            "access_to_work": "PROVISIONAL",
            "weekly": 71775,
            "spendable_weekly": 33550,
            "provisional_weekly": 38225,
            "spendable_one_off": 0,
            "provisional_one_off": 248000,
        },
        notices=[],
    ),
    # §8.3: under six weeks in the job all of 3,400.00; at six weeks the employer's 920.00 is off again.
    Variation(
        "five weeks in the job",
        "G04",
        {"access_to_work.one_off": 340000, "access_to_work.weekly": 6000},
        {"work.start_date": "2007-07-30"},
        [],
    ),
    Variation("six weeks in the job", "G04", {"access_to_work.one_off": 248000}, {"work.start_date": "2007-07-23"}, []),
    # 335.50 + 322.25, and nothing once.
    Variation(
        "Access to Work refuses",
        "G04",
        {"access_to_work": "REFUSED", "weekly": 65775, "spendable_weekly": 65775, "one_off": 0},
        notices=[notice("ilf", "confirmed"), notice("access_to_work", "refused")],
    ),
    # The fund decides: 300.00 stands, whatever was worked out here. 335.50 + 300.00 + 60.00 provisional.
    Variation(
        "the fund awards less",
        "G04",
        {"ilf.weekly": 30000, "weekly": 69550, "spendable_weekly": 63550},
        notices=[notice("ilf", "changed", weekly_pence=30000)],
    ),
    # §7.2: under 65. At 60 and over protected income is 148.81, still above 64.50: no contribution.
    Variation(
        "64, the day before 65",
        "G04",
        {"ilf": "PROVISIONAL", "ilf.weekly": 32225},
        {"person.date_of_birth": "1942-09-04"},
        [],
    ),
    Variation(
        "65 on the day",
        "G04",
        {"ilf": "REFUSED", "weekly": 39550, "contribution_weekly": 0},
        {"person.date_of_birth": "1942-09-03"},
        [],
    ),
    # §22.1: no consent, so the fund is not asked: 335.50 + 60.00.
    Variation(
        "no consent for the fund",
        "G04",
        {"ilf": "consent_refused", "weekly": 39550},
        {"person.consent_share.ilf.status": "refused"},
        [],
    ),
]

G06 = [
    # §8.3 atw-2015: up to 49 staff the employer pays nothing.
    Variation("employer of 40", "G06", {"access_to_work.one_off": 720000}, {"work.employer_size": 40}, []),
    Variation("employer of 49", "G06", {"access_to_work.one_off": 720000}, {"work.employer_size": 49}, []),
    # 500 + 20% x 6,700 = 1,840: 7,200 - 1,840.
    Variation("employer of 50", "G06", {"access_to_work.one_off": 536000}, {"work.employer_size": 50}, []),
    Variation("employer of 100", "G06", {"access_to_work.one_off": 536000}, {"work.employer_size": 100}, []),
    Variation("employer of 249", "G06", {"access_to_work.one_off": 536000}, {"work.employer_size": 249}, []),
    # 1,000 + 20% x 6,200 = 2,240.
    Variation("employer of 250", "G06", {"access_to_work.one_off": 496000}, {"work.employer_size": 250}, []),
    # Cost 12,000, share counted up to 10,000: 1,000 + 20% x 9,000 = 2,800.
    Variation(
        "equipment of 12,000",
        "G06",
        {"access_to_work.one_off": 920000},
        {"work.workplace_needs.0.cost_pence": 1200000},
        [],
    ),
    # §5.4: 23.50 holds 12.00 of tariff, so 11.50 without; 1.00 for the first part of 250; 9,000 / 250 = 36.
    Variation("savings 14,250", "G06", {"contribution_weekly": 1150}, {"capital.person_pence": 1425000}),
    Variation("savings 14,251", "G06", {"contribution_weekly": 1250}, {"capital.person_pence": 1425100}),
    Variation("savings 14,500", "G06", {"contribution_weekly": 1250}, {"capital.person_pence": 1450000}),
    Variation("savings 23,250", "G06", {"contribution_weekly": 4750}, {"capital.person_pence": 2325000}),
    # Full cost 594.00; Access to Work's 244.00 is left.
    Variation(
        "savings 23,251",
        "G06",
        {"contribution_weekly": 59400, "net_weekly": 24400, "access_to_work.pays": 0},
        {"capital.person_pence": 2325100},
    ),
    # §9 R-EQ-2.
    Variation(
        "an adaptation of 1,000.00",
        "G06",
        {"ices": "AWARDED", "ices.one_off": 100000},
        {"equipment": adaptation(100000)},
    ),
    Variation(
        "an adaptation of 1,000.01", "G06", {"ices": "REFUSED", "ices.one_off": None}, {"equipment": adaptation(100001)}
    ),
    # §5.4 prints a range for a couple in 2025/26, and a range is no rate: the charge is not known, the 594.00 is.
    Variation(
        "with a partner",
        "G06",
        {"la": 59400, "contribution_weekly": None, "net_weekly": None},
        {"person.household": [{"relation": "partner", "age": 30}]},
    ),
    # §28 mig_missing and no cap for 2026/27: what is not known is not guessed. The council's 594.00 needs neither.
    Variation(
        "a year whose rates are not known",
        "G06",
        {"la": 59400, "weekly": 59400, "contribution_weekly": None, "net_weekly": None, "access_to_work": "UNCLEAR"},
        {"rule_pack": "care-act-2026", "effective_date": "2026-04-06"},
        [],
    ),
]

G08_TO_G11 = [
    # Two carers, three quarters of personal care each: the whole 245.00 and no more. 1,359.62 - 245.00 = 1,114.62.
    Variation(
        "two carers for one need",
        "G08",
        {"la": 111462},
        {"carers": [{"c_d": {"D02": 0.75}}, {"c_d": {"D02": 0.75}}]},
    ),
    # 245.00 + 210.00 + 210.00 + 64.62 + 630.00; 1,359.62 - 102.18 = 1,257.44.
    Variation(
        "the parents cover nothing",
        "G08",
        {"la": 135962, "contribution_weekly": 10218, "net_weekly": 125744},
        {"carers": []},
    ),
    # Willing is not able: half of personal care falls away, the nights stay. 1,359.62 - 630.00 = 729.62.
    Variation("not able to do personal care", "G08", {"la": 72962}, {"carers.0.able": {"D02": False}}),
    # A quarter of D05: 1.5 points x 4.25 = 6.375, half up 6.38. 136.00 - 6.38 = 129.62; with SP 51.00: 180.62.
    Variation("a half penny", "G09", {"la": 12962, "weekly": 18062}, {"carers": [{"c_d": {"D05": 0.25}}]}),
    # Not aftercare, and 150.00 of incapacity benefit: 43.15 + 150.00 - 1.25 x (59.15 + 25.25) = 87.65. SP stays free.
    Variation(
        "no aftercare",
        "G09",
        {"contribution_weekly": 8765, "net_weekly": 9935, "supporting_people.pays": 0},
        {
            "person.s117_entitled": False,
            "person.mha_status": "none",
            "income": [
                {"type": "dla_care", "weekly_pence": 4315, "rate": "middle"},
                {"type": "incapacity_benefit", "weekly_pence": 15000},
            ],
        },
    ),
    # 244.75 - 8.05 = 236.70; the grant stays beside it.
    Variation(
        "the fund refuses",
        "G11",
        {"ilf": "REFUSED", "weekly": 24475, "net_weekly": 23670, "outside_one_off": 1860000},
        notices=[notice("ilf", "refused")],
    ),
    # The council buys nights, so all 64.50 counts: 84.40 + 64.50 - 105.50 - 14.00 = 29.40. Then U' = 32.25 - 29.40 =
    # 2.85 and the fund's 410.00 - 244.75 - 2.85 = 162.40 (§7.4); the council's net 215.35 is still 200 or more.
    Variation(
        "waking nights from the council",
        "G11",
        {"la": 24475, "contribution_weekly": 2940, "ilf.weekly": 16240, "weekly": 40715},
        {"nights": {"night_help_type": "waking", "council_night_care": True}},
        [],
    ),
    # The parents stop the nights: 18.5 points x 5.50 = 101.75 off 368.50 = 266.75. Contribution 29.40 as above, and
    # 410.00 - 266.75 - 2.85 = 140.40.
    Variation(
        "the parents stop the nights",
        "G11",
        {"la": 26675, "contribution_weekly": 2940, "ilf.weekly": 14040, "weekly": 40715},
        {"carers.0.c_d": {"D02": 0.5, "D04": 1, "D01": 0.5}},
        [],
    ),
    # §10.2: at most 25,000 in 2007.
    Variation(
        "works of 26,000",
        "G11",
        {"dfg": "PROVISIONAL", "dfg.one_off": 2500000, "outside_one_off": 2500000},
        {"adaptation.fixed_adaptation_cost_pence": 2600000},
        [],
    ),
    # R-FACS-6: no social care at 17, and so no council money for the fund to add to; the grant is beside it.
    Variation(
        "17",
        "G11",
        {"state": "NO_BUDGET", "social_care": "REFUSED", "ilf": "REFUSED", "weekly": 0, "outside_one_off": 1860000},
        {"person.date_of_birth": "1989-10-15"},
        [],
    ),
    # §4.6 prints no price for the group TR: nothing is guessed, neither the amount nor what rests on it.
    Variation(
        "a group without a price",
        "G11",
        {"la": None, "social_care.status": "UNCLEAR", "ilf": "UNCLEAR", "weekly": 0, "contribution_weekly": None},
        {"person.primary_user_group": "TR"},
        [],
    ),
]

VARIATIONS = [*G01, *G03, *G04, *G06, *G08_TO_G11]
