"""The aligned assessment's vocabulary: one question set, asked once, one name for one thing (rule book §22).

A stream picks from these groups in its own `facts.py`; `assessment` sends it those fields and no others.
"""

from contracts.facts.form import AlignedAssessment, Notice
from contracts.facts.means import Capital, Carer, DisabilityExpense, HousingCosts, Income, SupportUnits
from contracts.facts.needs import CareActOutcome, CareActTests, FacsExtents

__all__ = [
    "AlignedAssessment",
    "Capital",
    "CareActOutcome",
    "CareActTests",
    "Carer",
    "DisabilityExpense",
    "FacsExtents",
    "HousingCosts",
    "Income",
    "Notice",
    "SupportUnits",
]
