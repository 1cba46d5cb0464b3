"""Payments, as far as recording an accepted budget. See README.md."""

from pathlib import Path

from chassis.service import Service, everybody
from contracts.payments import AcceptedBudgetRecorded
from services.payments.api import router
from services.payments.handlers import handlers

service = Service(
    name="payments",
    schema="payments",
    title="Payments",
    migrations=Path(__file__).parent / "migrations",
    publishes=((AcceptedBudgetRecorded, everybody),),
    handlers=handlers,
    router=router,
    insert_only=("accepted_budget",),
)
