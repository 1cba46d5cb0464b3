"""Is this adult eligible for the council's support? FACS until March 2015, the Care Act's threshold since.

Eligibility only: whether, never how much, and never whether the person can or wants to manage money
(R-FACS-7).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from contracts.facts.needs import OutcomeName
from contracts.streams import Seen
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import Question
from services.funding_streams.social_care.facts import Facts, Outcome

_CITE = "FACS guidance (SCIE guide 33; Leicestershire framework; Community Care 2003); rule book §3.1, R-FACS-1"

AGE = Rule(
    "SC-AGE",
    "You are 18 or over: adult social care is for adults",
    "mdict; rule book R-FACS-6, §22.1",
    "source",
)
FLUCTUATION = Rule(
    "SC-FLUCTUATION",
    "Your needs go up and down, so they are judged over long enough to see their true level, at the worst "
    "realistic time; the assessment must say why that period was chosen",
    "seed 001 §9.1 for the problem; rule book R-FACS-5 (remedy: design), R-CA-2",
    "design",
)

FACS_LIFE = Rule("SC-FACS-LIFE", "Your life is, or will be, threatened", _CITE, "source")
FACS_HEALTH = Rule("SC-FACS-HEALTH", "Significant health problems have developed or will develop", _CITE, "source")
FACS_CONTROL = Rule(
    "SC-FACS-CONTROL",
    "You have, or will have, only partial choice and control over the world around you, or little or none",
    _CITE,
    "source",
)
FACS_ABUSE = Rule("SC-FACS-ABUSE", "Abuse or neglect has occurred or will occur", _CITE, "source")
FACS_CARE = Rule(
    "SC-FACS-CARE",
    "There are personal care or household routines you cannot, or will not, carry out",
    _CITE,
    "source",
)
FACS_WORK = Rule(
    "SC-FACS-WORK",
    "Your part in work, education or learning is not, or will not be, sustained",
    _CITE,
    "source",
)
FACS_SOCIAL = Rule(
    "SC-FACS-SOCIAL", "Support systems and relationships are not, or will not be, sustained", _CITE, "source"
)
FACS_ROLES = Rule("SC-FACS-ROLES", "Family and other social roles are not, or will not be, kept up", _CITE, "source")
FACS_NEAREST = Rule(
    "SC-FACS-NEAREST",
    "The guidance does not print this word for this question; 'many' and 'majority' are read as each other",
    "rule book §3.1 prints 'many' for work and 'majority' for the others; §24 G09 has 'many' for both",
    "design",
)
FACS_RECORDED = Rule(
    "SC-FACS-RECORDED",
    "The eight FACS questions are answered: where help is needed most weeks, answers all left at 'none' are "
    "taken as not yet given, and the worker is asked to record how far each is at risk",
    "a missing answer is never a no; rule book §22.2 (extents are confirmed by the worker)",
    "design",
)
FACS_THRESHOLD = Rule(
    "SC-FACS-THRESHOLD",
    "Your needs as a whole reach the band from which this council gives support. They are not judged service "
    "by service, nor by whether you can manage money or want to change",
    "FACS guidance (Community Care 2003); seed 001 §9.1; rule book R-FACS-2, R-FACS-3, R-FACS-4, R-FACS-7",
    "source",
)

CA_IMPAIRMENT = Rule(
    "SC-CA-IMPAIRMENT",
    "Your needs arise from, or relate to, a physical or mental impairment or illness; no diagnosis is needed",
    "SI 2015/313; rule book §3.2 condition 1",
    "source",
)
CA_OUTCOMES = Rule(
    "SC-CA-OUTCOMES",
    "Because of your needs you are unable to achieve two or more of the ten outcomes: you need help or "
    "prompting, it causes significant pain, distress or anxiety, it endangers somebody, or it takes "
    "significantly longer. An outcome with no answer yet is never counted as one you can achieve",
    "SI 2015/313; SCIE; rule book §3.2 condition 2; with any outcome answered, one left out counts as achieved: design",
    "source",
)
CA_WELLBEING = Rule(
    "SC-CA-WELLBEING",
    "In consequence there is, or is likely to be, a significant impact on your wellbeing",
    "SI 2015/313; SCIE; rule book §3.2 condition 3",
    "source",
)
CA_CARER_BLIND = Rule(
    "SC-CA-CARER-BLIND",
    "Eligibility is decided as if no carer helped you; what carers do is counted only afterwards",
    "statutory guidance, not checked; rule book R-CA-1",
    "unverified",
)

BANDS = ("NONE", "LOW", "MODERATE", "SUBSTANTIAL", "CRITICAL")
NEAREST = {"many": "majority", "majority": "many"}
OUTCOMES: tuple[OutcomeName, ...] = get_args(OutcomeName)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One FACS question: its name on the form, its rule, and the band the guidance prints for each extent."""

    name: str
    rule: Rule
    bands: Mapping[Any, str]

    def band(self, extent: str | bool) -> str:
        return self.bands[extent if self.prints(extent) else NEAREST[str(extent)]]

    def prints(self, extent: str | bool) -> bool:
        return extent in self.bands


_YES = {False: "NONE", True: "CRITICAL"}
_CONTROL = {"full": "NONE", "partial": "SUBSTANTIAL", "little_or_none": "CRITICAL"}
_ABUSE = {"none": "NONE", "abuse_or_neglect": "SUBSTANTIAL", "serious": "CRITICAL"}
_MOST = {
    "none": "NONE", "one_or_two": "LOW", "several": "MODERATE", "majority": "SUBSTANTIAL", "vital": "CRITICAL"
}  # fmt: skip
_MANY = {
    "none": "NONE", "one_or_two": "LOW", "several": "MODERATE", "many": "SUBSTANTIAL", "vital": "CRITICAL"
}  # fmt: skip

DESCRIPTORS = (
    Descriptor("life_threatened", FACS_LIFE, _YES),
    Descriptor("significant_health_problem", FACS_HEALTH, _YES),
    Descriptor("choice_control_environment", FACS_CONTROL, _CONTROL),
    Descriptor("abuse_neglect", FACS_ABUSE, _ABUSE),
    Descriptor("personal_care_domestic_unable", FACS_CARE, _MOST),
    Descriptor("work_education_learning_at_risk", FACS_WORK, _MANY),
    Descriptor("social_support_relationships_at_risk", FACS_SOCIAL, _MOST),
    Descriptor("family_social_roles_at_risk", FACS_ROLES, _MOST),
)


def decide(q: Question[Facts]) -> Decision:
    reasons = Reasons()
    adult = q.rates["adult_age"]
    reasons.check(AGE, q.facts.age >= adult.number, adult, age=q.facts.age)
    warnings = _fluctuation(q, reasons)
    by_care_act = q.rule_set == "asc-care-act-2015"
    findings = _care_act(q, reasons) if by_care_act else _facs(q, reasons)
    outcome = reasons.blocked() or "AWARDED"
    return Decision(
        outcome=outcome,
        reasons=reasons.all(),
        findings={"eligible": outcome == "AWARDED", **findings},
        warnings=warnings,
    )


def _fluctuation(q: Question[Facts], reasons: Reasons) -> tuple[str, ...]:
    fluctuation = q.facts.fluctuation
    if not fluctuation.varies:
        return ()
    weeks = fluctuation.fluctuation_period_weeks
    reasons.note(FLUCTUATION, period_weeks=weeks)
    return () if weeks else ("fluctuation_period_missing",)


def _facs(q: Question[Facts], reasons: Reasons) -> Seen:
    bands = {d.name: _band(d, getattr(q.facts.facs, d.name), reasons) for d in DESCRIPTORS}
    band = max(bands.values(), key=BANDS.index)
    because = [name for name, found in bands.items() if found == band != "NONE"]
    threshold = q.council.facs_threshold
    if _recorded(q, band, reasons):
        reached = BANDS.index(band) >= BANDS.index(threshold)
        reasons.check(FACS_THRESHOLD, reached, band=band, threshold=threshold)
    return {"band": band, "threshold": threshold, "because": ",".join(because)}


def _band(descriptor: Descriptor, answer: Any, reasons: Reasons) -> str:
    """The worse of now and expected. `answer` is any of the form's now-and-expected pairs."""
    extents = (answer.now, answer.expected)
    band = max((descriptor.band(extent) for extent in extents), key=BANDS.index)
    if band != "NONE":
        reasons.note(descriptor.rule, band=band, now=answer.now, expected=answer.expected)
    if not all(descriptor.prints(extent) for extent in extents):
        reasons.note(FACS_NEAREST, descriptor=descriptor.name)
    return band


def _recorded(q: Question[Facts], band: str, reasons: Reasons) -> bool:
    from_level = q.rates["facs_unrecorded_from_level"]
    highest = max(q.facts.agreed_levels.values(), default=0)
    blank = band == "NONE" and highest >= from_level.number
    return reasons.check(FACS_RECORDED, None if blank else True, from_level, highest_level=highest, band=band)


def _care_act(q: Question[Facts], reasons: Reasons) -> Seen:
    tests, needed = q.facts.care_act, q.rates["outcomes_needed"]
    unable = [name for name in OUTCOMES if name in tests.outcomes and _unable(tests.outcomes[name])]
    holds = len(unable) >= needed.number if tests.outcomes else None
    impairment, impact = tests.impairment_or_illness, tests.significant_wellbeing_impact
    reasons.note(CA_CARER_BLIND)
    reasons.check(CA_IMPAIRMENT, impairment, impairment_or_illness=impairment)
    reasons.check(CA_OUTCOMES, holds, needed, unable=len(unable), answered=len(tests.outcomes))
    reasons.check(CA_WELLBEING, impact, significant_wellbeing_impact=impact)
    return {"outcomes_unable": len(unable), "outcomes": ",".join(unable), "needed": int(needed.number)}


def _unable(outcome: Outcome) -> bool:
    return outcome.needs_help or outcome.pain_distress or outcome.endangers or outcome.takes_longer
