"""Rule packs: dated bundles. A pack names no stream; each stream says which of its rule sets belong to which pack."""

from datetime import date
from functools import cache
from pathlib import Path

import msgspec

from rulekit.rates import OPEN_END


class Pack(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """May be used for decisions effective from `start` to `end`, both included."""

    id: str
    title: str
    source: str
    start: date
    end: date = OPEN_END

    def in_force(self, day: date) -> bool:
        return self.start <= day <= self.end


class _Packs(msgspec.Struct):
    packs: list[Pack]


@cache
def packs() -> dict[str, Pack]:
    """Every pack by id."""
    body = (Path(__file__).parent / "packs.toml").read_bytes()
    return {pack.id: pack for pack in msgspec.toml.decode(body, type=_Packs).packs}
