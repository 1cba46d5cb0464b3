"""What a run costs beside time: CPU of each process, bytes of WAL, bytes over the loopback device."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil


@dataclass(frozen=True)
class Reading:
    """Counters at one moment. `cpu`: seconds of each named process."""

    at: float
    cpu: Mapping[str, float]
    wal_bytes: int
    wire_bytes: int


@dataclass(frozen=True)
class Cost:
    """What one budget cost. CPU in milliseconds; the wire is the loopback device: whatever else used it is in it."""

    seconds: float
    cpu_ms: Mapping[str, float]
    wal_bytes: int
    wire_bytes: int


async def read(processes: Mapping[str, int], database_url: str) -> Reading:
    connection = await asyncpg.connect(database_url)
    try:
        wal = await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'")
    finally:
        await connection.close()
    return Reading(time.monotonic(), {n: _cpu(pid) for n, pid in processes.items()}, int(wal), _loopback_bytes())


def cost(before: Reading, after: Reading, budgets: int) -> Cost:
    cpu = {name: (after.cpu[name] - before.cpu[name]) * 1000 / budgets for name in after.cpu}
    return Cost(
        after.at - before.at,
        cpu,
        (after.wal_bytes - before.wal_bytes) // budgets,
        (after.wire_bytes - before.wire_bytes) // budgets,
    )


def _cpu(pid: int) -> float:
    """User and system seconds; of PostgreSQL also its sessions', of others only their own."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    total: float = own.user + own.system
    if process.name() == "postgres":
        total += own.children_user + own.children_system
        for child in process.children():
            with contextlib.suppress(psutil.Error):
                total += sum(child.cpu_times()[:2])
    return total


def _loopback_bytes() -> int:
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[0])
    return 0


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
