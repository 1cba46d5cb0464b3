"""Council profiles: what the law leaves to the council, as dated configuration files.

From seed 002 Appendix 1 and rule book §28 `councils`. A boundary the seeds leave open is an explicit setting here.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parent / "councils"

FacsBand = Literal["CRITICAL", "SUBSTANTIAL", "MODERATE", "LOW"]


class SignOffStep(msgspec.Struct, frozen=True):
    """`max_weekly_pence` is inclusive; None has no upper end."""

    by: str
    max_weekly_pence: int | None = None


class Council(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One council's choices. Money is pence, weekly."""

    id: str
    title: str
    source: str
    status: Literal["v", "d", "u", "i", "design"]
    facs_threshold: FacsBand
    ras: Literal["points", "units", "outcome_first"]
    ras_in_mental_health: bool = True
    carer_mode: Literal["neutral", "in_score"] = "neutral"
    contribution_pct_of_plan: int | None = None
    local_percentage: int = 100
    local_max_weekly_pence: int | None = None
    minimum_charge_weekly_pence: int = 0
    dre_standard_weekly_pence: int = 0
    mig_addition_weekly_pence: int = 0
    ceilings_weekly_pence: dict[str, int] = {}
    outside_budget: tuple[str, ...] = ()
    """Ring-fences whose lines this council keeps beside the budget (Council C: equipment)."""
    points_table: str = "REF-RAS-1"
    unit_prices: str = "REF-UNITS-1"
    streams: tuple[str, ...] = ()
    """Streams offered; empty means every stream in force."""
    signoff: tuple[SignOffStep, ...] = ()
    notes: tuple[str, ...] = ()
    hash: str = ""

    @property
    def profile(self) -> str:
        """`council_config_id`: the id and the first eight digits of the file's hash."""
        return f"{self.id}@{self.hash[:8]}"


@cache
def councils() -> dict[str, Council]:
    """Every shipped profile by id."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        body = path.read_bytes()
        council = msgspec.toml.decode(body, type=Council)
        if council.id != path.stem:
            raise ValueError(f"{path.name} names itself otherwise")
        found[council.id] = msgspec.structs.replace(council, hash=hashlib.sha256(body).hexdigest())
    return found
