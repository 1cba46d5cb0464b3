"""What Access to Work may see: age and the answers about work. Nothing about care, means or the home."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from contracts.facts.person import WorkplaceNeed


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Hours and earnings are left out: there is no minimum of either, and no rule here reads them."""

    employment_status: Literal[
        "none", "employed", "self_employed", "job_offer", "work_trial", "apprenticeship", "voluntary"
    ] = "none"
    start_date: date | None = None
    employer_size: Annotated[int, msgspec.Meta(ge=1, le=2_000_000)] | None = None
    job_offer: bool = False
    travel_to_work_barrier: bool = False
    workplace_needs: Annotated[list[WorkplaceNeed], msgspec.Meta(max_length=30)] = []


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    age: int
    work: Work = Work()
