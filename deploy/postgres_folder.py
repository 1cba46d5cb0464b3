"""The folder of one embedded PostgreSQL: where it is, how it is made, and who else is using it."""

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.child import Account, DeployError, reason
from deploy.postgres_binaries import must_be_ours, programs, public_folder, unprivileged_account

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Folder:
    """`data/` is the cluster; the superuser's password, the log and our lock lie beside it."""

    home: Path
    account: Account
    programs: Path

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def password_file(self) -> Path:
        return self.home / "superuser.password"

    @property
    def name(self) -> str:
        """The server's cluster_name, which every one of its processes shows in its command line."""
        return "tributary-" + _digest(self.home)


def open_folder(asked: Path | None) -> Folder:
    """Find or make the folder (None: a temporary one), for a user PostgreSQL accepts. Raises DeployError."""
    account = unprivileged_account()
    home = _temporary(account) if asked is None else _reachable(asked.absolute(), account)
    data = home / "data"
    if os.geteuid() == 0 and data.exists():  # the user chosen when it was made
        account = Account(data.stat().st_uid, data.stat().st_gid)
    return Folder(home, account, programs(account))


def _temporary(account: Account) -> Path:
    home = Path(tempfile.mkdtemp(prefix="tributary-postgres-", dir=public_folder(account)))
    home.chmod(0o711)
    return home


def _reachable(asked: Path, account: Account) -> Path:
    home = asked
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not account.can_enter(home):  # we are root, and the path leads through a private folder
            home = Path("/var/tmp") / f"tributary-postgres-{_digest(asked)}"
            home.mkdir(mode=0o755, exist_ok=True)
            must_be_ours(home)
            home.chmod(0o755)
        (home / "lock").touch(mode=0o600)
    except OSError as error:
        raise DeployError(f"cannot write to {home} ({error.strerror}): choose another folder") from error
    return home


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]


def hold(folder: Folder, wait: float = 10) -> int:
    """Take the folder for this process; the lock goes when the returned descriptor, or the process, does.

    Servers orphaned by a killed parent get `wait` seconds to finish. Raises DeployError if one stays.
    """
    lock = os.open(folder.home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        wait_until_unused(folder, wait)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace") or "unknown"
        os.close(lock)
        raise DeployError(f"{folder.home} is in use by process {holder}: stop it or use another") from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def wait_until_unused(folder: Folder, seconds: float) -> None:
    """Wait until no server process of this folder is left, then clear away a dead server's pid file.

    Raises DeployError naming one that stays. Needs /proc; elsewhere PostgreSQL's own interlock has to do.
    """
    end = time.monotonic() + seconds
    while left := _server_processes(folder):
        if time.monotonic() > end:
            raise DeployError(f"PostgreSQL (process {left[0]}) is running on {folder.data}: stop it first")
        time.sleep(0.01)
    pid_file = folder.data / "postmaster.pid"
    with suppress(OSError, ValueError, IndexError):
        pid = int(pid_file.read_text().split()[0])
        # That number may by now be some innocent process, for which PostgreSQL would refuse to start.
        if _PROC.exists() and not _is_foreign_server(pid):
            pid_file.unlink()


def _server_processes(folder: Folder) -> list[int]:
    """By command line, which everybody may read: root in a container may not follow others' links."""
    name = folder.name.encode()
    return [int(entry.name) for entry in _PROC.glob("[0-9]*") if name in _command_line(entry)]


def _is_foreign_server(pid: int) -> bool:
    """Whether `pid` is a PostgreSQL that somebody else started, perhaps on our data."""
    line = _command_line(_PROC / str(pid))
    return b"postgres" in line.split(b"\0")[0] and b"tributary-" not in line


def _command_line(entry: Path) -> bytes:
    with suppress(OSError):  # it ended meanwhile
        line = (entry / "cmdline").read_bytes()
        return line if b"postgres" in line.split(b"\0")[0] else b""
    return b""


def initialise(folder: Folder) -> None:
    """Make the cluster unless it exists. An interrupted attempt leaves only `data.new`."""
    if folder.data.exists():
        return
    fresh = folder.home / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    folder.password_file.unlink(missing_ok=True)
    folder.password_file.touch(mode=0o600)
    folder.password_file.write_text(secrets.token_urlsafe(24) + "\n")
    if os.geteuid() == 0:
        for path in (fresh, folder.password_file):
            os.chown(path, folder.account.uid, folder.account.gid)
    _initdb(folder, fresh)
    fresh.rename(folder.data)


def _initdb(folder: Folder, fresh: Path) -> None:
    command = [
        str(folder.programs / "initdb"),
        "-D",
        str(fresh),
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--no-sync",
        "-k",
    ]
    command += ["-A", "scram-sha-256", f"--pwfile={folder.password_file}"]
    said = ""
    for locale in ("C.UTF-8", "C"):  # not every system has the first
        ran = subprocess.run(
            [*command, f"--locale={locale}"],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            **folder.account.switch(),
        )
        if ran.returncode == 0:
            return
        said = (ran.stdout + ran.stderr).decode(errors="replace")
    raise DeployError(f"the database could not be made in {folder.home} ({reason(said)}): free space or name another")
