"""`tributary audit` on a folder that `tributary allocate --data` could have left."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from deploy.keys import kept_key
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


@pytest.fixture
def signed(place: Path) -> Path:
    """A folder whose payments has one anchor."""
    data = place / "db"
    with EmbeddedPostgres.start(data) as server:
        asyncio.run(prepared(server))
    assert audits.anchor(["payments"], data) == audits.SOUND
    return data


@pytest.mark.usefixtures("own_logs")
def test_anchors_that_are_named_are_read_beside_the_folders_own(
    signed: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they were written to the file, and as they stand in the log."""
    own, copied = signed / "audit-anchors.jsonl", place / "anchors.jsonl"
    assert audits.anchor(["payments"], signed) == audits.SOUND
    logged = capsys.readouterr().err.splitlines()[-1]
    for lines in (own.read_bytes(), logged.encode() + b"\n"):
        copied.write_bytes(b"\n" + lines)
        assert audits.check(["payments"], signed, None, copied) == audits.SOUND, capsys.readouterr().err
    with EmbeddedPostgres.start(signed) as server:
        asyncio.run(ask_server(server, "DELETE FROM payments.audit_anchor", "tributary"))
    capsys.readouterr()
    for named, kept in ((b"", own.read_bytes()), (copied.read_bytes(), b"")):
        copied.write_bytes(named)
        own.write_bytes(kept)
        assert audits.check(["payments"], signed, None, copied) == audits.BROKEN
        assert capsys.readouterr().out.endswith("was written elsewhere and is not here\n")


@pytest.mark.usefixtures("own_logs")
def test_anchors_and_keys_that_cannot_be_read_are_named_and_nothing_is_called_sound(
    signed: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing, broken = place / "missing", place / "broken"
    good = (signed / "audit-anchors.jsonl").read_bytes()
    said = {
        f"--anchors: {missing} cannot be read (No such file or directory): ": (None, missing, b""),
        f"--anchors: {broken}, line 2 is no anchor: ": (None, broken, good + good[:-20] + b"\n"),
        f"--anchors: {broken}, line 1 is no anchor: ": (None, broken, b'{"body":"{}","signature":""}\n'),
        f"--key: {missing} cannot be read (No such file or directory): ": (missing, None, b""),
        f"--key: {broken} holds no Ed25519 key in PEM: ": (broken, None, b"PRIVATE"),
    }
    for begins, (key, anchors, content) in said.items():
        broken.write_bytes(content)
        capsys.readouterr()
        assert audits.check(["payments"], signed, key, anchors) == audits.CANNOT_NOW
        found = capsys.readouterr()
        assert found.err.startswith(f"tributary: {begins}")
        assert (found.out, found.err.count("\n")) == ("", 1)


@pytest.mark.usefixtures("own_logs")
def test_a_deployment_whose_anchors_are_gone_is_not_called_sound(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIBUTARY_AUDIT_KEY_FILE", str(place / "audit.key"))
    kept_key(place / "audit.key")
    monkeypatch.setenv("TRIBUTARY_AUDIT_ANCHORS_FILE", str(place / "missing"))
    assert audits.check(["payments"], None, None, None) == audits.CANNOT_NOW
    assert "TRIBUTARY_AUDIT_ANCHORS_FILE" in capsys.readouterr().err
    monkeypatch.setenv("TRIBUTARY_AUDIT_KEY_FILE", str(place / "no.key"))
    assert audits.check(["payments"], None, None, None) == audits.CANNOT_NOW
    assert "TRIBUTARY_AUDIT_KEY_FILE" in capsys.readouterr().err
    assert not (place / "no.key").exists(), "who verifies makes no key"


@pytest.mark.usefixtures("own_logs")
def test_a_folder_without_a_database_is_refused_and_gets_none(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "empty").mkdir()
    for wrong in (place / "missing", place / "empty"):
        for code in (audits.check(["payments"], wrong, None, None), audits.anchor(["payments"], wrong)):
            assert code == audits.CANNOT_NOW
        says = f"tributary: --data: {wrong} holds no database: name the folder given to tributary allocate --data\n"
        assert capsys.readouterr().err == says * 2
    assert list(place.rglob("data")) == list(place.rglob("*.key")) == []
    assert not (place / "missing").exists()
