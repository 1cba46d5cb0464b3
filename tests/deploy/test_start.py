"""A process that cannot start says so in one line: which setting, and what to do. Never a traceback, never a value."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from chassis import run
from chassis.settings import NotSetUp
from deploy import prepare
from deploy.child import DeployError, reason
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.postgres_binaries import unprivileged_account
from deploy.postgres_folder import Folder, initialise
from deploy.services import all_services
from services.ras import service as ras
from tests.conftest import NewDatabase, ask_server

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings but the test's own; logs are set up on its stderr and put back."""
    for name in [n for n in os.environ if n.startswith("TRIBUTARY_")]:
        monkeypatch.delenv(name)
    yield
    structlog.reset_defaults()


WRONG = {
    "a word for a number": ({"PORT": "canary"}, "TRIBUTARY_PORT: "),
    "no such choice": ({"BUS": "canary"}, "TRIBUTARY_BUS: "),
    "no such level": ({"LOG_LEVEL": "canary"}, "TRIBUTARY_LOG_LEVEL: "),
    "no list": ({"AUTH_ALGORITHMS": "canary"}, 'error parsing value for field "auth_algorithms"'),
    "nobody's tokens": ({}, "say whose tokens are believed: TRIBUTARY_AUTH_ISSUER"),
    "no password file": (
        {"AUTH": "development", "DATABASE_PASSWORD_FILE": "/missing"},
        "TRIBUTARY_DATABASE_PASSWORD_FILE: /missing cannot be used (No such file or directory)",
    ),
    "no broker's user": (
        {"AUTH": "development", "BUS": "kafka", "KAFKA_SECURITY": "SASL_SSL"},
        "TRIBUTARY_KAFKA_SECURITY asks for TRIBUTARY_KAFKA_USER",
    ),
    "no key": (
        {"AUTH": "development", "AUDIT_KEY_FILE": __file__},
        f"{__file__} holds no Ed25519 private key in PEM (for the audit log: TRIBUTARY_AUDIT_KEY_FILE)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_service_names_the_setting(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, says = WRONG[case]
    for name, value in settings.items():
        monkeypatch.setenv(f"TRIBUTARY_{name}", value)
    with pytest.raises(SystemExit) as ended:
        run.main(["services.ras"])
    said = capsys.readouterr().err
    assert (ended.value.code, said.splitlines()[-1].startswith(f"tributary: {says}")) == (2, True), said
    assert "canary" not in said


@pytest.mark.parametrize("module", ["services.nosuch", "nosuch", "deploy.services", "services"])
def test_what_is_no_service_is_named(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main([module])
    says = f"tributary: {module} is no service: name the module of one, as services.ras\n"
    assert (ended.value.code, capsys.readouterr().err) == (2, says)


def test_a_module_that_a_service_lacks_is_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacking.py").write_text("import nosuch.module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nosuch"):
        run.service_named("lacking")
    with pytest.raises(NotSetUp):
        run.service_named("lacking_too")


async def test_a_service_with_a_wrong_login_says_so_and_ends(
    postgres: EmbeddedPostgres, new_database: NewDatabase
) -> None:
    """An outage is waited for; a login that is refused will be refused again."""
    name, password = await new_database(), service_passwords(postgres)
    for changed in ({"DATABASE_PASSWORD": "canary"}, {"DATABASE_NAME": "nosuch"}):
        settings = {
            "DATABASE_PORT": str(postgres.port), "DATABASE_NAME": name, "DATABASE_PASSWORD": password,
            "AUTH": "development", "PORT": "0", **changed,
        }  # fmt: skip
        done = await asyncio.to_thread(started, "chassis.run", "services.ras", settings)
        last = done.stderr.splitlines()[-1]
        assert (done.returncode, last.startswith("tributary: no login: TRIBUTARY_DATABASE_NAME")) == (3, True), done
        assert "Traceback" not in done.stderr
        assert "canary" not in done.stderr


def started(module: str, argument: str, settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **{f"TRIBUTARY_{k}": v for k, v in settings.items()}}
    command = [sys.executable, "-m", module, argument]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_prepare_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    reached = {"DATABASE_PORT": str(postgres.port), "DATABASE_NAME": "by_hand", "DATABASE_PASSWORD": postgres.password}
    cases: list[tuple[dict[str, str], int, str]] = [
        ({"DATABASE_PORT": "1"}, 3, "no PostgreSQL answers there: start it, or set TRIBUTARY_DATABASE_HOST"),
        ({"DATABASE_PORT": "canary"}, 2, "TRIBUTARY_DATABASE_PORT: "),
        ({"DATABASE_PASSWORD_FILE": "/missing"}, 2, "TRIBUTARY_DATABASE_PASSWORD_FILE: /missing cannot be used"),
        (reached | {"DATABASE_PASSWORD": "canary"}, 3, "no login: TRIBUTARY_DATABASE_NAME"),
        (reached, 2, f"{tmp_path}/assessment cannot be read (No such file or directory): every service's"),
    ]
    monkeypatch.setattr(prepare, "SECRETS", tmp_path)
    for settings, code, says in cases:
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(f"TRIBUTARY_{name}", value)
            assert prepare.run([prepare.DATABASE_ONLY]) == code
        said = capsys.readouterr().err
        assert said.splitlines()[-1].startswith(f"tributary: {says}"), said
        assert "canary" not in said


async def test_as_the_readme_says_it(
    monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    """`python -m deploy.prepare` with a file a service, then one service by its own."""
    monkeypatch.setattr(prepare, "SECRETS", tmp_path)
    for one in all_services():
        prepare.password_file(one).write_text(service_passwords(postgres) + "\n")
    (tmp_path / "postgres").write_text(postgres.password)
    monkeypatch.setenv("TRIBUTARY_DATABASE_PORT", str(postgres.port))
    monkeypatch.setenv("TRIBUTARY_DATABASE_NAME", "readme")
    monkeypatch.setenv("TRIBUTARY_DATABASE_PASSWORD_FILE", str(tmp_path / "postgres"))
    assert await asyncio.to_thread(prepare.run, []) == 0
    logins = await ask_server(postgres, "SELECT rolname FROM pg_roles WHERE rolcanlogin", "readme")
    assert run.role_of(ras) in [row["rolname"] for row in logins]


def test_why_a_database_could_not_be_made_is_one_line(place: Path) -> None:
    account = unprivileged_account()
    program = place / "initdb"
    program.write_text(
        "#!/bin/sh\necho 'The files will be owned by you.'\n"
        "echo 'initdb: error: could not create directory: No space left on device' >&2\n"
        "echo 'removing contents' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    with pytest.raises(DeployError) as failed:
        initialise(Folder(place, account, place))
    why = "initdb: error: could not create directory: No space left on device"
    assert str(failed.value) == f"the database could not be made in {place} ({why}): free space or name another"
    assert reason("") == "it said nothing"
