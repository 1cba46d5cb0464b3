"""What was done to budgets otherwise than by events: people accepted them, and clocks passed. For replays."""

from functools import partial

from chassis.auth import REPLAYING
from chassis.service import Command
from chassis.transaction import Transaction
from contracts.budget import StreamLate
from services.ras.api import accept
from services.ras.handlers import pass_deadlines

ACCEPTED = "SELECT budget_id, revision, accepted_at FROM acceptance ORDER BY accepted_at"
LATE = "SELECT DISTINCT occurred_at FROM outbox WHERE type = :late ORDER BY 1"


async def commands(tx: Transaction) -> list[Command]:
    accepted = (await tx.execute(ACCEPTED)).all()
    late = (await tx.execute(LATE, {"late": StreamLate.type})).all()
    return [
        *(
            Command(r.accepted_at, partial(accept, budget_id=r.budget_id, revision=r.revision, caller=REPLAYING))
            for r in accepted
        ),
        *(Command(r.occurred_at, pass_deadlines) for r in late),
    ]
