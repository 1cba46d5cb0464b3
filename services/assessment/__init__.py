"""The aligned assessment: asked once, final once, told to every stream in the roll-call. See README.md."""

from pathlib import Path

from chassis.service import Service
from contracts.assessment import AssessmentFinalised
from contracts.lock import lock
from services.assessment.api import router

service = Service(
    name="assessment",
    schema="assessment",
    title="Aligned assessment",
    migrations=Path(__file__).parent / "migrations",
    publishes=((AssessmentFinalised, lambda: lock().audiences()),),
    router=router,
    makes_pseudonyms=True,
)
