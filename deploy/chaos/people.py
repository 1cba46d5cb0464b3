"""People to assess, made from the golden cases: what each must get was worked out by hand, not by this program."""

import copy
import json
import random
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from contracts.facts import AlignedAssessment
from contracts.lock import lock
from services.assessment.domain import assessment as domain

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
Json = dict[str, Any]


@dataclass(frozen=True)
class Person:
    """One assessment to be made. `right` is the state and the totals its budget must end with."""

    ref: UUID
    case: str
    form: Json
    notices: list[Json]
    right: tuple[str, Json]


@cache
def golden() -> dict[str, tuple[Json, list[Json], tuple[str, Json]]]:
    """`G01/1` -> the form, the notices sent after it, and the state and totals worked by hand."""
    expected = json.loads((GOLDEN / "expected.json").read_bytes())
    found = {}
    for line in (GOLDEN / "cases.jsonl").read_bytes().splitlines():
        case = json.loads(line)
        name = f"{case['assessment']['assessment_id']}/{case['assessment'].get('version', 1)}"
        found[name] = (case["assessment"], case["notices"], (expected[name]["state"], expected[name]["totals"]))
    return found


@dataclass
class Crowd:
    """Makes people. `canaries` are the words planted in their forms that must never leave the assessment service."""

    rng: random.Random
    canaries: set[str] = field(default_factory=set)
    made: int = 0

    def person(self, case: str) -> list[Person]:
        """One person; where the case is a second version, the first one with it, in order."""
        self.made += 1
        name = f"quillfeather{self.rng.getrandbits(48):012x}"
        number = nhs_number(self.rng)
        self.canaries |= {name, number}
        identity = case.split("/")[0]
        versions = [v for v in golden() if v.split("/")[0] == identity]
        return [self._version(v, name, number) for v in versions]

    def _version(self, case: str, name: str, number: str) -> Person:
        form, notices, right = copy.deepcopy(golden()[case])
        form["assessment_id"] = f"{case.split('/')[0]}-{self.made:05d}"
        form["person"] |= {
            "person_id": name,
            "nhs_number": number,
            "address": f"1 {name} Row",
            "communication_needs": f"asked by {name}",
        }
        ref = domain.assessment_ref(msgspec.convert(form, AlignedAssessment))
        return Person(ref, case, form, notices, right)

    def people(self, count: int, cases: list[str] | None = None) -> list[Person]:
        """`count` assessments, near enough, of these cases in turn."""
        cases = cases or first_versions()
        found: list[Person] = []
        while len(found) < count:
            found += self.person(cases[self.made % len(cases)])
        return found

    def few_asked(self, count: int) -> list[Person]:
        """People who let nobody else be asked than the streams that need no consent: for a small fleet."""
        found = self.people(count, ["G01/1"])
        refused = {s.name: {"status": "refused"} for s in lock().streams if s.shares == "consent"}
        for person in found:
            person.form["person"]["consent_share"] = refused
        return found


def first_versions() -> list[str]:
    return [case for case in golden() if case.endswith("/1")]


def without_notices() -> list[str]:
    return [case for case, (_, notices, _) in golden().items() if not notices and case.endswith("/1")]


def nhs_number(rng: random.Random) -> str:
    """Ten digits of which the last one checks (modulus 11); from the range kept for tests, which begins with 999."""
    while True:
        digits = [9, 9, 9, *(rng.randrange(10) for _ in range(6))]
        check = 11 - sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            return "".join(map(str, [*digits, check % 11]))
