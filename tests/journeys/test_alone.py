"""A service needs nothing of the others' code: contracts, chassis, the kits and its own folder run it."""

import shutil
from pathlib import Path

import pytest

from chassis.bus_embedded import EmbeddedBus
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import engine_for, prepare_topics
from deploy.services import all_services
from tests.conftest import NewDatabase
from tests.journeys.child import ROOT, Child

PACKAGES = ("contracts", "chassis", "rulekit", "streamkit")


def copy_of_one(module: str, to: Path) -> Path:
    for package in (*PACKAGES, module.replace(".", "/")):
        shutil.copytree(ROOT / package, to / package, ignore=shutil.ignore_patterns("__pycache__"))
    for parent in (Path(module.replace(".", "/"))).parents:
        if parent != Path():
            (to / parent / "__init__.py").touch()
    return to


@pytest.mark.parametrize("module", ["services.ras", "services.funding_streams.ilf"])
async def test_it_runs_and_is_ready_alone(
    module: str, postgres: EmbeddedPostgres, new_database: NewDatabase, tmp_path: Path
) -> None:
    database = await new_database()
    owner = engine_for(postgres.url(postgres.superuser, postgres.password, database))
    await prepare_topics(EmbeddedBus(owner), all_services())
    await owner.dispose()
    code = copy_of_one(module, tmp_path / "code")
    child = await Child.start(module, postgres, database, tmp_path / "log", code=code)
    child.kill()
    assert not (code / "deploy").exists()
    assert [p.parent.name for p in code.glob("services/**/migrations")] in ([module.split(".")[-1]], [])
