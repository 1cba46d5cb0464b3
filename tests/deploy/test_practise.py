"""What docs/parking.md tells a new operator to practise is what happens."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from deploy.postgres import EmbeddedPostgres
from deploy.prepare import create_database
from tests.golden.running import ROOT
from tributary.cli import app

STEPS = [
    line.split(" #")[0].strip()
    for line in re.findall(
        r"^    tributary (.*)$",
        (ROOT / "docs" / "parking.md").read_text().split("## Practise first")[1].split("\n## ")[0],
        re.MULTILINE,
    )
]


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_the_steps_of_the_document(place: Path) -> None:
    """But the first: what it leaves is made without budgets, which takes less time."""
    assert STEPS[0].startswith("allocate tests/golden/cases.jsonl --data trial")
    trial = place / "trial"
    with EmbeddedPostgres.start(trial) as server:
        url = server.url(server.superuser, server.password, "postgres")
        asyncio.run(create_database(url, "tributary"))

    def done(step: str) -> Result:
        words = [str(trial) if word == "trial" else word for word in shlex.split(step)]
        return CliRunner().invoke(app, words)

    found = [done(step) for step in STEPS[1:]]
    assert [one.exit_code for one in found] == [0, 0, 1, 0, 0, 0, 0, 0], [one.stderr for one in found]
    _, listed, stays, shown, discarded, released, empty, sound = (one.stdout for one in found)
    rows = [line.split()[:2] for line in listed.splitlines()[1:]]
    assert rows == [["payments:1", "payload_invalid"], ["payments:2", "behind_parked"]]
    assert "stays parked: payments:1 payload_invalid" in stays
    assert '"payload": "{}"' in shown
    assert discarded == "discarded payments:1; 1 message of the person waiting\n"
    assert released.endswith("released 1 message\n")
    assert len(empty.splitlines()) == 1
    assert "payments: sound: 4 entries" in sound
