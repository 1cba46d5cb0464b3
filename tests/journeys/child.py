"""A service as a process of its own, started as a container starts it, to be killed as a power cut kills it."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from types import MappingProxyType

import httpx

from deploy.child import free_port, spawn, tail
from deploy.development_issuer import DevelopmentIssuer
from deploy.kafka import EmbeddedKafka
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[2]


@dataclass
class Child:
    """`python -m chassis.run MODULE`."""

    module: str
    process: "Popen[bytes]"
    port: int
    log: Path

    @classmethod
    async def start(
        cls,
        module: str,
        postgres: EmbeddedPostgres,
        database: str,
        log: Path,
        *,
        kafka: EmbeddedKafka | None = None,
        prefix: str = "",
        code: Path = ROOT,
        login: Mapping[str, str] = MappingProxyType({}),
    ) -> "Child":
        """Start and wait until it is ready. `code`: the folder the packages are taken from. `login`: settings for a
        broker that asks who it is."""
        port = free_port()
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(code),
            "TRIBUTARY_BUS": "kafka" if kafka else "embedded",
            "TRIBUTARY_KAFKA_BOOTSTRAP": kafka.bootstrap if kafka else "",
            "TRIBUTARY_KAFKA_PREFIX": prefix,
            "TRIBUTARY_DATABASE_PORT": str(postgres.port),
            "TRIBUTARY_DATABASE_NAME": database,
            "TRIBUTARY_DATABASE_PASSWORD": service_passwords(postgres),
            "TRIBUTARY_PORT": str(port),
            **login,
            **DevelopmentIssuer.at(postgres.folder.home).environment(),
        }
        command = [sys.executable, "-m", "chassis.run", module]
        process = spawn(command, log=log, environment=environment, on_our_death=signal.SIGKILL)
        child = cls(module, process, port, log)
        await child.until_ready()
        return child

    async def until_ready(self, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=5) as http:
            while True:
                assert self.process.poll() is None, f"{self.module} ended:\n{tail(self.log)}"
                try:
                    if (await http.get("/readyz")).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                assert time.monotonic() < limit, f"{self.module} is not ready:\n{tail(self.log)}"
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        self.process.kill()
        self.process.wait()
