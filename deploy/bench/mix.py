"""The people of the benchmark: golden cases before any notice, under new names, with the totals they must come to."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from contracts.budget import Totals
from contracts.facts import AlignedAssessment


class Template(msgspec.Struct, frozen=True):
    """`expects`: fields of `Totals`, in pence, as tests/golden works them by hand."""

    golden: str
    expects: dict[str, int]
    assessment: AlignedAssessment


class Person(NamedTuple):
    assessment: AlignedAssessment
    expects: dict[str, int]

    def is_right(self, totals: Totals) -> bool:
        return all(getattr(totals, name) == pence for name, pence in self.expects.items())


@cache
def templates() -> tuple[Template, ...]:
    lines = Path(__file__).with_name("mix.jsonl").read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=Template) for line in lines)


def people(run: str, first: int, last: int) -> Iterator[Person]:
    """Number `first` to `last` (not included) of a run; the same numbers are the same people."""
    replace = msgspec.structs.replace
    for n in range(first, last):
        template = templates()[n % len(templates())]
        person = replace(template.assessment.person, person_id=f"{run}-{n}")
        assessment = replace(template.assessment, assessment_id=f"{run}-{n}", person=person)
        yield Person(assessment, template.expects)
