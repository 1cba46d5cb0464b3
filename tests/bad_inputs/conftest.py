"""One deployment for all bad inputs, with one good case in it to be spoiled, and a count of everything stored."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from deploy.postgres import EmbeddedPostgres
from tests.assessment.forms import filled_in
from tests.bad_inputs.spoiler import Path
from tests.conftest import NewDatabase, everything_stored
from tests.journeys.house import House, Json, open_house

NOTICE: Json = {
    "stream": "ilf", "decision": "changed", "reference": "N-1", "decided_on": "2007-11-02",
    "effective_from": "2007-11-05", "weekly_pence": 32225, "reason": "as agreed",
}  # fmt: skip
ASSESSMENT_REQUIRED: tuple[Path, ...] = (
    ("assessment_id",), ("council",), ("rule_pack",), ("effective_date",), ("person",), ("person", "person_id"),
    ("person", "date_of_birth"), ("dre", 0, "item"), ("equipment", 0, "item_code"),
)  # fmt: skip
ASSESSMENT_DATES: tuple[Path, ...] = (("effective_date",), ("person", "date_of_birth"))


@pytest.fixture(scope="session")
def seed() -> int:
    """Printed with each count. The same every time, so that a failure is the change's own; TRIBUTARY_SEED=… tries
    others."""
    return int(os.environ.get("TRIBUTARY_SEED") or 2007)


@dataclass
class Target:
    """A house with a draft, and a finalised case whose budget is proposed."""

    house: House
    draft: str
    final: str
    budget: Json

    async def rows(self) -> dict[str, int]:
        """Table -> rows, of every service, but for what moves by itself."""
        sql = """SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
                 WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema', 'bus')"""
        names = [row["name"] for row in await self.house.ask(sql)]
        counts = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS n FROM {name}" for name in names)
        return {row["name"]: row["n"] for row in await self.house.ask(counts)}

    async def everything(self) -> str:
        """All that is stored anywhere."""
        return "\n".join((await everything_stored(self.house.postgres, self.house.database)).values())


@pytest_asyncio.fixture(scope="package")
async def target(postgres: EmbeddedPostgres, new_database: NewDatabase) -> AsyncIterator[Target]:
    async with open_house(postgres, await new_database(), None) as house:
        draft = await house.create(filled_in(assessment_id="DRAFT-1"))
        final = await house.finalised(filled_in(assessment_id="FINAL-1"))
        yield Target(house, draft, final, await house.complete(final))
