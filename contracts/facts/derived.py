"""Facts the assessment service works out, so that a date of birth or a detailed answer need not travel."""

from typing import Annotated

import msgspec

from contracts.facts.bounds import Domain, Level

Age = Annotated[int, msgspec.Meta(ge=0, le=130)]

DERIVED: dict[str, object] = {
    "age": Age,
    "age_when_applied": Age,
    "agreed_levels": dict[Domain, Level],
    "council_buys_night_care": bool,
    "has_partner": bool,
    "has_dependent_child": bool,
}
"""Name -> type. `age` is whole years on the effective date; `age_when_applied` on `adaptation.applied_on` (else the
effective date); `agreed_levels` the level of each need domain, given or the highest of its answers;
`council_buys_night_care` whether night help is left for the council after the carers' share."""
