"""`tributary audit` on a folder that `tributary allocate --data` could have left."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import create_database, engine_for, prepare_database
from services.payments import service
from tests.conftest import ask_server
from tributary import audits


async def prepared(server: EmbeddedPostgres) -> None:
    await create_database(server.url(server.superuser, server.password, "postgres"), "tributary")
    owner = engine_for(server.url(server.superuser, server.password, "tributary"))
    password = service_passwords(server)
    await prepare_database(owner, [service], lambda _: password)
    await owner.dispose()


@pytest.fixture
def own_logs() -> Iterator[None]:
    """The command sets up logs on this test's own stderr: nobody else's."""
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_logs")
def test_it_anchors_verifies_and_says_the_first_break(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = place / "db"
    with EmbeddedPostgres.start(data) as server:
        asyncio.run(prepared(server))
    assert audits.check(["payments"], data, None, None) == audits.SOUND
    assert audits.anchor(["payments"], data) == audits.SOUND
    assert audits.check(["payments"], data, None, None) == audits.SOUND
    assert capsys.readouterr().out.splitlines() == [
        "payments: sound: 0 entries, 0 anchors",
        "payments: anchor 1 signed",
        "payments: sound: 0 entries, 1 anchors",
    ]
    assert (data / "audit.key").stat().st_mode & 0o777 == 0o600
    with EmbeddedPostgres.start(data) as server:
        asyncio.run(ask_server(server, "DELETE FROM payments.audit_anchor", "tributary"))
    assert audits.check(["payments"], data, None, None) == audits.BROKEN
    assert capsys.readouterr().out == "payments: BROKEN: anchor 1 was written elsewhere and is not here\n"
    assert audits.check(["nobody"], data, None, None) == audits.NOT_UNDERSTOOD
    monkeypatch.delenv("TRIBUTARY_AUDIT_KEY_FILE", raising=False)
    assert audits.check(["payments"], None, None, None) == audits.NOT_UNDERSTOOD
    monkeypatch.setenv("TRIBUTARY_DATABASE_PORT", "1")
    assert audits.check(["payments"], None, data / "audit.key", None) == audits.CANNOT_NOW
