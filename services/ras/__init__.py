"""Resource allocation, contribution and one Individual Budget out. See README.md."""

from pathlib import Path

from chassis import telemetry
from chassis.service import Service, Timer, everybody
from contracts.budget import BudgetAccepted, BudgetProposed, FactsSupplied, StreamLate
from contracts.lock import lock
from services.ras.api import router
from services.ras.commands import commands
from services.ras.handlers import AUDIENCE, handlers, pass_deadlines
from services.ras.store import OLDEST_OPEN

service = Service(
    name=AUDIENCE,
    schema="ras",
    title="Resource allocation and budgets",
    migrations=Path(__file__).parent / "migrations",
    publishes=(
        (FactsSupplied, lambda: tuple(s.name for s in lock().streams if s.needs)),
        (BudgetProposed, everybody),
        (BudgetAccepted, everybody),
        (StreamLate, everybody),
    ),
    handlers=handlers,
    router=router,
    timers=(Timer("deadlines", 5.0, pass_deadlines),),
    sampled=((telemetry.OLDEST_OPEN, OLDEST_OPEN),),
    commands=commands,
    insert_only=("acceptance",),
    derived=("stream_answer.answer",),
)
