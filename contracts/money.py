"""Money is integer pence and its name says the period: `weekly_pence`. Decimal only for rates and proration.

Conventions R-CONV-1 to R-CONV-5 of the rule book: 52 weeks, 28-day periods, half-up at each named result.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

import msgspec

WEEKS_PER_YEAR = 52
PERIOD_DAYS = 28
MAX_PENCE = 1_000_000_00
"""One million pounds: no weekly or one-off amount of a single person's care is above it, so more is a slip."""

Pence = Annotated[int, msgspec.Meta(ge=0, le=MAX_PENCE)]


def round_pence(amount: Decimal) -> int:
    """Half-up to the penny (R-CONV-4). `amount` is in pence, at full precision. Use at named results only."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def pounds(pence: int) -> str:
    """1234567 -> '£12,345.67', for people."""
    sign = "-" if pence < 0 else ""
    return f"{sign}£{abs(pence) / 100:,.2f}"


def as_pence(pounds_text: str | Decimal) -> Decimal:
    """'12.34' -> Decimal('1234.00'): rates are written in pounds and used in pence."""
    return Decimal(pounds_text) * 100


def exact(number: float) -> Decimal:
    """A JSON number as it was written: 0.25 -> Decimal('0.25'), not its binary neighbour."""
    return Decimal(repr(number))
