"""What a run found, as a table for people and as JSON for whoever compares runs."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from deploy.chaos.invariants import INVARIANTS
from deploy.chaos.rebuilt import rebuild
from deploy.chaos.running import Outcome


@dataclass
class BusReport:
    """One bus. `broken`: invariant -> what is wrong. `wrong`: whatever else should not have been."""

    bus: str
    steps: list[Outcome] = field(default_factory=list)
    broken: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    people: int = 0
    events: int = 0
    records: int = 0
    checked: bool = False
    rebuilt: bool = False
    """Whether I4 was looked at: a step of its own."""

    @property
    def good(self) -> bool:
        return self.checked and not self.broken and not self.wrong and not any(s.faults for s in self.steps)


@dataclass
class Report:
    seed: int
    seconds: float = 0.0
    buses: list[BusReport] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return bool(self.buses) and all(b.good for b in self.buses)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        found: dict[str, Any] = asdict(self) | {"good": self.good}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(found)))

    def show(self, console: Console) -> None:
        for bus in self.buses:
            console.print(_steps(bus))
            console.print(_invariants(bus))
            for line in bus.wrong:
                console.print(f"[red]wrong:[/red] {line}", highlight=False)
        verdict = "[green]all held[/green]" if self.good else "[red]FAILED[/red]"
        console.print(f"seed {self.seed}, {self.seconds:.0f} s: {verdict}", highlight=False)


def _steps(bus: BusReport) -> Table:
    table = Table(title=f"{bus.bus}: {bus.people} people, {bus.events} events told, {bus.records} records on the log")
    for name in ("step", "people", "s", "recovery s", "what really happened"):
        table.add_column(name, justify="right" if name in ("people", "s", "recovery s") else "left")
    for step in bus.steps:
        proofs = ", ".join(f"{n} {what}" for what, n in step.proofs.items())
        wrong = "".join(f"\n[red]{fault}[/red]" for fault in step.faults)
        table.add_row(
            step.step, str(step.people), f"{step.seconds:.1f}", f"{step.recovery_seconds:.1f}", proofs + wrong
        )
    return table


def _invariants(bus: BusReport) -> Table:
    table = Table()
    table.add_column("invariant")
    table.add_column("holds" if bus.checked else "NOT CHECKED")
    for name, invariant in {"I4": rebuild, **INVARIANTS}.items():
        says = (invariant.__doc__ or "").split(": ", 1)[1]
        if name == "I4" and not bus.rebuilt:
            says = f"NOT LOOKED AT: {says}"
        wrong = "".join(f"\n[red]{line}[/red]" for line in bus.broken.get(name, []))
        table.add_row(name, says + wrong)
    return table
