"""One real Apache Kafka broker (KRaft) as our own child process, for tests and for trying things out.

Needs Java 17; not part of the demo. Production runs a cluster, with other settings.
"""

import base64
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import Any, Self

from deploy.access import SUPER_USER
from deploy.child import LOOPBACK, DeployError, end, free_port, spawn, stop_at_exit, tail
from deploy.kafka import secured as guard
from deploy.kafka.jars import jars, missing_tools
from deploy.kafka.readiness import takes_topics

__all__ = ["EmbeddedKafka", "missing_tools"]

START_SECONDS = 90  # on a busy machine; a start takes about 5 s
_LOGGING = Path(__file__).with_name("log4j2.xml")
_HEAP = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For a broker that lives for minutes beside everything else on two processors: the second compiler would take as much
of them as the broker itself."""
_QUICK = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# The short session is for restarts after a kill: the controller refuses the new broker until the old one's
# session is over, by default 9 s.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=CLIENT://{host}:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller}
log.dirs={data}
message.max.bytes=1048576
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""
_OPEN = """\
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
"""


class EmbeddedKafka:
    """A running broker on the loopback address. Stops with `stop()`, the `with` block, or this process."""

    def __init__(self, home: Path, *, throwaway: bool, secured: bool) -> None:
        """Use `start`."""
        self.home = home
        self.log = home / "kafka.log"
        self._port = free_port()
        self._controller = free_port(avoid=frozenset({self._port}))
        self._throwaway = throwaway
        self.secured = secured
        self.passwords = guard.Passwords(home / "secrets")
        self._process: Popen[bytes] | None = None
        self._forget = stop_at_exit(self.stop)

    @classmethod
    def start(cls, home: Path | None = None, *, secured: bool = False) -> Self:
        """Start a broker with its log in `home` (None: a temporary folder, removed on stop).

        `secured`: only who has a password gets in, and at first that is the super user (deploy.kafka.grants makes
        the others). A kept `home` stays what it was made as. Returns when topics can be made, about 5 s later.
        Raises DeployError, saying what to do next.
        """
        if problem := missing_tools():
            raise DeployError(problem)
        folder = Path(tempfile.mkdtemp(prefix="tributary-kafka-")) if home is None else home.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        broker = cls(folder, throwaway=home is None, secured=secured)
        try:
            broker._configure()
            broker._launch()
        except BaseException:
            broker.stop()
            raise
        return broker

    @property
    def bootstrap(self) -> str:
        """`host:port`, as clients want it; the same after a restart."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def controller(self) -> tuple[str, int]:
        """Where the controller listens; nothing but the broker has business there."""
        return LOOPBACK, self._controller

    def security(self, user: str) -> dict[str, Any]:
        """What KafkaBus needs to come in as `user`; nothing where everybody may."""
        return guard.client_options(user, self.passwords.of(user)) if self.secured else {}

    @property
    def pid(self) -> int:
        """The broker's process id. Raises DeployError when it was stopped."""
        if self._process is None:
            raise DeployError("Kafka is stopped: call restart() or start a new one")
        return self._process.pid

    def stop(self) -> None:
        """Controlled shutdown; waits, reaps, removes a temporary folder. Safe to repeat."""
        self._forget()
        self._halt()
        if self._throwaway:
            shutil.rmtree(self.home, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, as a power cut would; returns when the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stop if running, start on the same ports, wait until topics can be made. Raises DeployError."""
        self._halt()
        self._launch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _halt(self) -> None:
        if self._process is not None:
            end(self._process, ((signal.SIGTERM, 20.0),))
            self._process = None

    def _java(self, *arguments: str, options: tuple[str, ...]) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={_LOGGING}"
        return ["java", "-cp", f"{jars()}/*", *options, logging, *arguments]

    def _configure(self) -> None:
        """Write the settings, and format the storage unless that was done; half a format is done again."""
        properties, data = self.home / "server.properties", self.home / "data"
        values = {"host": LOOPBACK, "port": self._port, "controller": self._controller}
        formatted = self.home / "formatted"
        more = guard.properties(self.passwords.folder) if self.secured else _OPEN
        properties.write_text(_PROPERTIES.format(data=data, **values) + more)
        if self.secured:
            self.passwords.of(guard.CONTROLLER)
        if formatted.exists():
            return
        shutil.rmtree(data, ignore_errors=True)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--standalone", "-c")
        first = ("--add-scram", guard.first_user(self.passwords.of(SUPER_USER))) if self.secured else ()
        command = self._java(*tool, str(properties), *first, options=_QUICK)
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise DeployError(f"Kafka's storage could not be made in {self.home}:\n{(ran.stdout + ran.stderr)[-1500:]}")
        formatted.touch()

    def _launch(self) -> None:
        self._process = spawn(
            self._java("kafka.Kafka", str(self.home / "server.properties"), options=_HEAP),
            log=self.log,
            environment=os.environ,
            on_our_death=signal.SIGTERM,
        )
        limit = time.monotonic() + START_SECONDS
        while not takes_topics(self.bootstrap, self.security(SUPER_USER)):
            if self._process.poll() is not None:
                self._process = None
                raise DeployError(f"Kafka did not start; see {self.log}\n{tail(self.log)}")
            if time.monotonic() > limit:
                raise DeployError(f"Kafka is not ready after {START_SECONDS} s; see {self.log}\n{tail(self.log)}")
            time.sleep(0.1)
