"""A form filled in with things that must never leave the assessment service, and how to look for them."""

import json
from typing import Any

import msgspec

from contracts.facts import AlignedAssessment
from tests.ras.deciding import GOLDEN

NAME, NHS, NI, ADDRESS = "Persephone-Quillfeather", "9434765919", "QQ123456C", "17 Larkspur Yard"
TEXT = "confided over tea"
PERSON_ID, BORN = "SWIFT-8841", "1969-01-20"
SECRETS = (NAME, NHS, NI, ADDRESS, TEXT, PERSON_ID, BORN, "100023336956")
"""None of these may be in an event, a log line or an answer that refuses."""


def filled_in(**changes: Any) -> dict[str, Any]:
    """Golden case G04 with who it is about, and every free text there is, filled in."""
    golden = _golden("G04")
    golden["person"] |= {
        "person_id": PERSON_ID, "date_of_birth": BORN, "nhs_number": NHS, "ni_number": NI, "address": ADDRESS,
        "uprn": "100023336956", "ordinary_residence_la": NAME, "communication_needs": TEXT, "preferred_format": NAME,
        "language": NAME, "representative": [{"role": "advocate", "relation": NAME}],
        "household": [{"relation": "partner", "age": 40}, {"relation": "dependent_child", "age": 7}],
    }  # fmt: skip
    golden["person"]["consent_share"]["dfg"] = {"status": "not_required", "basis": TEXT}
    golden |= {
        "equipment": [{"item_code": "raised_toilet_seat", "prescribed_standard_price_pence": 2800}],
        "housing": {"vulnerable_as": "disabled", "hb_in_payment": True},
        "adaptation": {"adaptation_need": ["bath_shower"], "disabled_occupant": True},
        "fluctuation": {"varies": True, "share_bad_days": 0.25, "fluctuation_period_weeks": 4, "reason": TEXT},
        "dre": [{"item": NAME, "weekly_pence": 1200}],
        "carers": [{"c_d": {"D01": 0.25}, "hours": 20, "emergency_plan": TEXT}],
        "outcomes": [{"text": TEXT, "type": "CHANGE", "measure": TEXT}],
        "risk": {"risk_to_person": TEXT, "differing_views": TEXT},
        "contingency": [{"event": TEXT, "pence": 500, "contact": NAME}],
        "care_act": {"outcomes": {"nutrition": {"needs_help": True, "wellbeing_impact": TEXT}}},
    }
    return golden | changes


def _golden(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [json.loads(line)["assessment"] for line in GOLDEN.read_text().splitlines()]
    return next(a for a in found if a["assessment_id"] == name)


def form(**changes: Any) -> AlignedAssessment:
    return msgspec.convert(filled_in(**changes), AlignedAssessment)


def secrets_in(text: str | bytes) -> list[str]:
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return [secret for secret in SECRETS if secret.lower() in told.lower()]
