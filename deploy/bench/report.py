"""One run of the benchmark, and how it is told: a table for people, JSON for programs."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import aiokafka
import asyncpg
import msgspec
import sqlalchemy

import deploy.kafka
from deploy.bench.measures import Cost
from deploy.bench.pipeline import Latency


class Report(msgspec.Struct, kw_only=True):
    """Rates are whole budgets a second. `peers`: ceiling and usual, where the bus is Kafka. `by_stored`: our rate by
    people already stored, and what a budget cost."""

    bus: str
    people: int
    machine: dict[str, str]
    peers: dict[str, float]
    by_stored: dict[int, float]
    costs: dict[int, Cost]
    latency: Latency | None = None

    @property
    def rate(self) -> float:
        return next(iter(self.by_stored.values()))

    def ratios(self) -> dict[str, float]:
        found = {f"of {name}": self.rate / rate for name, rate in self.peers.items()}
        smallest, *larger = self.by_stored.items()
        return found | {f"{n:,} people stored": rate / smallest[1] for n, rate in larger}


def machine() -> dict[str, str]:
    return {
        "processors": str(os.cpu_count()),
        "processor": _processor(),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "postgresql": "18",
        "kafka": _kafka(),
        "java": _java(),
        "aiokafka": aiokafka.__version__,
        "asyncpg": asyncpg.__version__,
        "sqlalchemy": sqlalchemy.__version__,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _kafka() -> str:
    found = re.search(r"<version>(4\.[^<]+)<", (Path(deploy.kafka.__file__).parent / "pom.xml").read_text())
    return found[1] if found else "unknown"


def _java() -> str:
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    except FileNotFoundError:
        return "none"
    return said.splitlines()[0] if said else "none"


def as_text(report: Report) -> str:
    lines = [f"Whole budgets a second, {report.people:,} people a run, bus: {report.bus}", ""]
    lines += [f"  {name:<34}{rate:>10,.0f}" for name, rate in report.peers.items()]
    lines += [
        f"  {f'Tributary, {stored:,} people stored':<34}{rate:>10,.0f}" for stored, rate in report.by_stored.items()
    ]
    lines += ["", *(f"  {name:<34}{ratio:>10.2f} times" for name, ratio in report.ratios().items())]
    if report.latency is not None:
        found = report.latency
        lines += ["", f"From finalise to budget at {found.rate} a second, {found.people} people:"]
        lines += [f"  p50 {found.p50_ms:.0f} ms, p99 {found.p99_ms:.0f} ms, most {found.most_ms:.0f} ms"]
    for stored, one in report.costs.items():
        lines += ["", f"One budget cost, with {stored:,} people stored:", *_cost(one)]
    lines += ["", "Machine: " + ", ".join(f"{name} {value}" for name, value in report.machine.items())]
    return "\n".join(lines)


def _cost(cost: Cost) -> list[str]:
    found = [f"  {name:<34}{ms:>10.2f} ms of CPU" for name, ms in cost.cpu_ms.items()]
    found.append(f"  {'all':<34}{sum(cost.cpu_ms.values()):>10.2f} ms of CPU")
    return [
        *found,
        f"  {'WAL':<34}{cost.wal_bytes:>10,} bytes",
        f"  {'over the loopback device':<34}{cost.wire_bytes:>10,} bytes",
    ]


def as_json(report: Report) -> bytes:
    body: Mapping[str, object] = {**msgspec.to_builtins(report, str_keys=True), "ratios": report.ratios()}
    return msgspec.json.format(msgspec.json.encode(body))
