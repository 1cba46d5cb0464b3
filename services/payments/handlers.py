"""Accepted budgets are recorded, once each. The issue on money schedules and pays them."""

from chassis.service import Handlers, Received
from chassis.transaction import Cause, Transaction
from contracts.budget import BudgetAccepted
from contracts.payments import AcceptedBudgetRecorded
from services.payments import store

handlers = Handlers()


@handlers.on(BudgetAccepted)
async def record_accepted(batch: list[Received[BudgetAccepted]], tx: Transaction) -> None:
    new = await store.record(tx, [r.event for r in batch])
    for received in batch:
        event = received.event
        if (event.budget_id, event.revision) in new:
            recorded = AcceptedBudgetRecorded(
                person_ref=event.person_ref, budget_id=event.budget_id, revision=event.revision
            )
            tx.publish(recorded, Cause.of(received))
