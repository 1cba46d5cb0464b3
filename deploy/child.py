"""Server processes that are our own children: they never outlive us, and a dead one never looks alive.

Used by the embedded PostgreSQL and the embedded Kafka. POSIX only.
"""

import atexit
import ctypes
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import TypedDict

LOOPBACK = "127.0.0.1"
# Below 32768: in the ephemeral range a client that keeps reconnecting can occupy a stopped server's port.
PORTS = range(20000, 32000)
_PR_SET_PDEATHSIG = 1


class DeployError(RuntimeError):
    """A server could not be started or used; the message says what to do next."""


class Switch(TypedDict, total=False):
    """Arguments of subprocess that make the child another user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system user a child runs as."""

    uid: int
    gid: int

    def switch(self) -> Switch:
        """Empty when we already are that user."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_enter(self, path: Path) -> bool:
        """Whether this user may enter (a folder) or run (a program) `path`, as the kernel sees it."""
        test = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]
        try:
            return subprocess.run(test, cwd="/", check=False, **self.switch()).returncode == 0
        except PermissionError as error:
            raise DeployError("root may not change users here (no SETUID): run as another user") from error


def free_port(avoid: frozenset[int] = frozenset()) -> int:
    """A TCP port on the loopback address that nobody held a moment ago. Raises DeployError if none is."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, port))
            if port not in avoid:
                return port
    raise DeployError(f"no free port in {PORTS.start}..{PORTS.stop - 1}: stop some servers and try again")


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    on_our_death: signal.Signals,
    account: Account | None = None,
) -> "Popen[bytes]":
    """Start `command`, its output appended to `log`; on Linux it gets `on_our_death` when this process dies.

    It has a session of its own, so that Ctrl-C reaches only us and we stop things in order.
    """
    switch = account.switch() if account else Switch()
    with log.open("ab") as output:
        return _on_the_spawning_thread(
            lambda: Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=dict(environment),
                start_new_session=True,
                preexec_fn=_tether(on_our_death),
                **switch,
            )
        )


def _tether(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What the child runs between fork and exec: after setuid, which would have cleared the setting."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # loaded before the fork: the child must not take the loader's locks
    parent, number = os.getpid(), int(death_signal)

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # we died between the fork and the line above
            os._exit(1)

    return tie


_Job = tuple[Callable[[], "Popen[bytes]"], "Future[Popen[bytes]]"]
_jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
_thread: threading.Thread | None = None
_thread_lock = threading.Lock()


def _on_the_spawning_thread(run: Callable[[], "Popen[bytes]"]) -> "Popen[bytes]":
    """The kernel's "parent death" is the death of the *thread* that forked: one that never ends forks all."""
    global _thread
    with _thread_lock:
        if _thread is None or not _thread.is_alive():  # not alive: we are a fork of the process that had it
            _thread = threading.Thread(target=_spawn_for_ever, name="spawner", daemon=True)
            _thread.start()
    future: Future[Popen[bytes]] = Future()
    _jobs.put((run, future))
    return future.result()


def _spawn_for_ever() -> None:
    while True:
        run, future = _jobs.get()
        try:
            future.set_result(run())
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            future.set_exception(error)


def stop_at_exit(stop: Callable[[], None]) -> Callable[[], None]:
    """Call `stop` when this process ends, also by an exception; not in a fork of it. Returns the undo."""
    owner = os.getpid()

    def stop_ours() -> None:
        if os.getpid() == owner:
            stop()

    atexit.register(stop_ours)
    return lambda: atexit.unregister(stop_ours)


def end(process: "Popen[bytes]", steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal and wait its seconds until the child is gone; SIGKILL at last. The child is reaped."""
    for number, seconds in steps:
        if process.poll() is not None:
            return
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    process.kill()
    process.wait()


def reason(said: str) -> str:
    """The line of a program's output that says why it ended, for an error message of one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(error|FATAL|PANIC):", line)]
    return (errors or lines or ["it said nothing"])[-1][:300]


def tail(log: Path, lines: int = 15) -> str:
    """The last `lines` of a log, for an error message; '' when there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
