"""What the equipment service may see: the prescribed items and their prices. Nothing about the person."""

from typing import Annotated

import msgspec

from contracts.facts.means import EquipmentItem


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    equipment: Annotated[list[EquipmentItem], msgspec.Meta(max_length=40)] = []
