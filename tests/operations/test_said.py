"""What a command says when it cannot: one line, with options it has, and no text of a library's own."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chassis import telemetry
from chassis.bus import BusUnavailable
from deploy.bench.pipeline import WrongBudgets
from tests.golden.running import CASES
from tributary import bench, run
from tributary.cli import app
from tributary.options import BusName


@pytest.fixture(autouse=True)
def no_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "set_up_logs", lambda **_: None)


def cli(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_only_options_that_the_command_has_are_hinted_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "missing_tools", lambda: "Java is not installed: install it")
    demo, allocate = cli("demo", "--bus", "kafka"), cli("allocate", str(CASES), "-q", "--bus", "kafka")
    assert demo.exit_code == allocate.exit_code == run.CANNOT_NOW
    says = "tributary: Java is not installed: install it; or use --bus embedded"
    assert demo.stderr.splitlines()[-1] == says
    assert allocate.stderr.splitlines()[-1] == says + ", or --kafka host:port"


def test_a_broker_is_named_only_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise BusUnavailable("the broker did not answer in time: a library's own words")

    monkeypatch.setattr(run, "_allocate", away)
    refused = cli("allocate", str(CASES), "--kafka", "127.0.0.1:1")
    assert (refused.exit_code, refused.stderr) == (2, "tributary: --kafka: say --bus kafka too, or leave it out\n")
    done = cli("allocate", str(CASES), "-q", "--bus", "kafka", "--kafka", "127.0.0.1:1")
    says = "tributary: --kafka: no broker answers at 127.0.0.1:1: name one that runs, as host:port\n"
    assert (done.exit_code, done.stderr) == (3, says)


def test_cases_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "missing", "No such file or directory"), (tmp_path, "Is a directory")):
        done = cli("allocate", str(path))
        assert done.exit_code == 3
        assert done.stderr == f"tributary: {path} cannot be read ({why}): name a file of cases, or -\n"


def test_a_full_disk_is_said_without_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "_allocate", full)
    done = cli("allocate", str(CASES))
    says = "tributary: the run could not be finished (No space left on device): put that right and try again\n"
    assert (done.exit_code, done.stderr) == (3, says)


@pytest.mark.parametrize("command", [["parked", "list"], ["audit", "verify"], ["replay", "--mode", "rebuild"]])
def test_a_deployment_that_is_not_reached_is_said_with_its_settings(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRIBUTARY_AUDIT_KEY_FILE", str(tmp_path / "key"))
    cli("token", "--scope", "budgets.read", "--keys", str(tmp_path))
    (tmp_path / "issuer.key").rename(tmp_path / "key")
    for port, code, says in (
        ("canary", 2, "tributary: TRIBUTARY_DATABASE_PORT: Input should be a valid integer"),
        ("1", 3, "tributary: no database answers (ConnectionRefusedError): start it, set TRIBUTARY_DATABASE_HOST"),
    ):
        monkeypatch.setenv("TRIBUTARY_DATABASE_PORT", port)
        done = cli(*command)
        assert (done.exit_code, done.stderr.count("\n")) == (code, 1), done.stderr
        assert done.stderr.startswith(says)
        assert "canary" not in done.stderr


def test_a_token_for_a_council_that_is_not_set_up_is_made_with_a_warning(tmp_path: Path) -> None:
    arguments = ["token", "--scope", "budgets.read", "--keys", str(tmp_path), "--council"]
    assert "--council" not in cli(*arguments, "council-a").stderr
    done = cli(*arguments, "council-a", "--council", "nowhere")
    assert (done.exit_code, done.stdout.count(".")) == (0, 2)
    says = "tributary: --council: 1 of these not set up here (see: tributary councils); the token is made all the same"
    assert done.stderr.splitlines()[0] == says


def test_an_issuers_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "issuer.key").write_text("canary")
    for folder, why in ((tmp_path / "file", "File exists"), (tmp_path, "its issuer.key is no Ed25519 key")):
        done = cli("token", "--scope", "budgets.read", "--keys", str(folder))
        says = f"tributary: --keys: {folder} cannot be used ({why}): name a folder of your own\n"
        assert (done.exit_code, done.stdout, done.stderr) == (3, "", says)


def test_figures_that_cannot_be_written_are_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []

    def measured(options: object) -> None:
        ran.append(options)
        raise WrongBudgets("no")

    monkeypatch.setattr(bench, "bench", measured)
    assert cli("bench", "--json", str(tmp_path / "missing" / "figures")).exit_code == 3
    assert ran == []
    assert bench.run(BusName.embedded, 100, [2000], peers=False, out=tmp_path / "figures", quiet=True) == 1
    assert (len(ran), list(tmp_path.iterdir())) == (1, [])
