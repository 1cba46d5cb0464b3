"""The types every answer is built from. Every number has bounds and every text a length: nothing open-ended is kept."""

from typing import Annotated, Literal

import msgspec

Level = Annotated[int, msgspec.Meta(ge=0, le=4)]
"""0 no help; 1 occasional help or prompting; 2 some help most weeks; 3 help every day; 4 several times a day, two
people, or cannot be left (§22)."""

Text = Annotated[str, msgspec.Meta(max_length=2000)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Reference = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$(?!\n)")]
Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$(?!\n)")]
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
HoursAWeek = Annotated[float, msgspec.Meta(ge=0, le=168)]
Quantity = Annotated[float, msgspec.Meta(ge=0, le=1000)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""0 to 1. Shares and hours are JSON numbers; rules read them with `contracts.money.exact`, never as floats."""

Domain = Literal["D01", "D02", "D03", "D04", "D05", "D06", "D07", "D08", "D09", "D10", "D11"]
"""Need domains: eating, personal care, moving about, home, relationships, work and learning, community, caring roles,
decisions, safety, nights (§4.6)."""


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of the question set. Unknown answers are refused: an answer no rule reads should not be given."""
