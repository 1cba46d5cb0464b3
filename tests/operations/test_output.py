"""`--out` and `--errors`: a run's results reach what is at the path, and never take its place."""

import os
import stat
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from chassis import telemetry
from contracts.refusal import Refusal
from tests.golden.running import CASES
from tributary import run
from tributary.case_lines import BadLine
from tributary.options import Options

BUDGET, FAULT = b'{"assessment_id":"A-1"}\n', b'{"line":2,"code":"missing_field","field":"","detail":"No."}\n'


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that made one budget and refused one line, without the database."""

    async def done(_lines: list[bytes], sink: BinaryIO, _options: Options) -> list[BadLine]:
        sink.write(BUDGET)
        return [BadLine(2, Refusal("missing_field", "No."))]

    monkeypatch.setattr(run, "_allocate", done)
    monkeypatch.setattr(telemetry, "set_up_logs", lambda **_: None)


@pytest.mark.usefixtures("finished")
def test_a_fifo_is_written_to_and_stays_one(tmp_path: Path) -> None:
    out, errors = tmp_path / "out", tmp_path / "errors"
    found: dict[Path, bytes] = {}
    for path in (out, errors):
        os.mkfifo(path)
    readers = [
        threading.Thread(target=lambda path=path: found.update({path: path.read_bytes()}), daemon=True)
        for path in (out, errors)
    ]
    for reader in readers:
        reader.start()
    assert run.allocate(CASES, out, Options(errors=errors, quiet=True)) == run.REFUSED_LINES
    assert all(stat.S_ISFIFO(path.lstat().st_mode) for path in (out, errors))
    for reader in readers:
        reader.join(10)
    assert found == {out: BUDGET, errors: FAULT}
    assert sorted(tmp_path.iterdir()) == [errors, out]


@pytest.mark.usefixtures("finished")
def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    out, target = tmp_path / "out", tmp_path / "far" / "target"
    target.write_bytes(b"of the run before\n")
    for held in (b"of the run before\n", None):  # what it leads to is there, and is not
        if held is None:
            target.unlink()
        else:
            out.symlink_to("far/target")
        assert run.allocate(CASES, out, Options(quiet=True)) == run.REFUSED_LINES
        assert out.readlink() == Path("far/target")
        assert target.read_bytes() == BUDGET
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "far", target, out]


@pytest.mark.parametrize("fault", [OSError("the disk is full"), KeyboardInterrupt()])
def test_of_a_run_that_failed_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    async def fails(_lines: list[bytes], sink: BinaryIO, _options: Options) -> list[BadLine]:
        sink.write(BUDGET)
        raise fault

    monkeypatch.setattr(run, "_allocate", fails)
    monkeypatch.setattr(telemetry, "set_up_logs", lambda **_: None)
    out = tmp_path / "out"
    out.write_bytes(b"of the run before\n")
    try:
        assert run.allocate(CASES, out, Options(errors=tmp_path / "errors", quiet=True)) == run.CANNOT_NOW
    except KeyboardInterrupt:
        assert isinstance(fault, KeyboardInterrupt)
    assert sorted(tmp_path.iterdir()) == [out]
    assert out.read_bytes() == b"of the run before\n"


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("option", ["--out", "--errors"])
def test_what_cannot_be_written_is_named_with_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    for place in (tmp_path, tmp_path / "missing" / "out"):
        out, errors = (place, None) if option == "--out" else (None, place)
        assert run.allocate(CASES, out, Options(errors=errors, quiet=True)) == run.CANNOT_NOW
        said = capsys.readouterr().err
        assert said.startswith(f"tributary: {option}: {place} cannot be written (")
        assert said.count("\n") == 1
        assert "Errno" not in said
