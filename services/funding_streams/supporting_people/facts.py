"""What Supporting People reads: age and the housing answers. It does not depend on FACS (rule book §6.1)."""

import msgspec

from contracts.facts.means import Housing


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    age: int
    housing: Housing = Housing()
