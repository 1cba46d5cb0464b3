"""What the housing authority may see: the adaptation, the tenure, age when applied and passport benefits.
The means test stays with that authority, so no income or savings are asked for."""

from typing import Annotated

import msgspec

from contracts.facts.means import Adaptation, Passport
from contracts.facts.person import Tenure


class Person(msgspec.Struct, frozen=True, kw_only=True):
    tenure: Tenure | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    age_when_applied: int
    person: Person = Person()
    adaptation: Adaptation = Adaptation()
    passport_benefits: Annotated[list[Passport], msgspec.Meta(max_length=10)] = []
