"""What payments tells. The issue on money fills this file."""

from typing import ClassVar
from uuid import UUID

from contracts.event import Event


class AcceptedBudgetRecorded(Event, frozen=True, kw_only=True):
    """Payments holds this revision of the budget, and nothing has been paid on it yet."""

    type: ClassVar[str] = "uk.tributary.payments.budget-recorded.v1"

    budget_id: UUID
    revision: int

    def identity(self) -> tuple[object, ...]:
        return (self.budget_id, self.revision)
