"""What a run is asked to do. Light to import, so that `--help` answers at once."""

import enum
from dataclasses import dataclass
from pathlib import Path


class BusName(enum.StrEnum):
    embedded = "embedded"
    kafka = "kafka"


@dataclass(frozen=True)
class Options:
    """`data` None: a database for this run alone. `kafka` None: a broker is started where the bus is Kafka; `hint` is
    what else the command takes where none can be."""

    bus: BusName = BusName.embedded
    council: str = "council-a"
    data: Path | None = None
    kafka: str | None = None
    errors: Path | None = None
    quiet: bool = False
    hint: str = "or use --bus embedded"
