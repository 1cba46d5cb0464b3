"""What both peers do, with no rules in it: one assessment event, seven groups that each answer, one that combines the
seven answers into a budget event. Sizes are those of our own events; bodies are random, so that nothing compresses."""

import os
import uuid
from dataclasses import dataclass
from typing import NamedTuple

SERVER = {"shared_buffers": "2GB", "max_wal_size": "16GB", "checkpoint_timeout": "15min"}
"""PostgreSQL as set up for a database of some size, for the peers and for ours; commits stay durable."""

GROUPS = tuple(f"g{n}" for n in range(7))
COMBINER = "combiner"
ASSESSMENTS, DECISIONS, BUDGETS = "peer.assessments", "peer.decisions", "peer.budgets"
TOPICS = (ASSESSMENTS, DECISIONS, BUDGETS)
PARTITIONS = 12
ASSESSMENT_BYTES, DECISION_BYTES, BUDGET_BYTES = 1100, 2000, 1700

TABLES = """
CREATE TABLE {schema}.inbox (event_id uuid PRIMARY KEY, hash bytea NOT NULL);
CREATE TABLE {schema}.state (ref uuid NOT NULL, part text NOT NULL, body bytea NOT NULL, PRIMARY KEY (ref, part));
CREATE TABLE {schema}.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id uuid NOT NULL,
                              ref uuid NOT NULL, part text NOT NULL, body bytea NOT NULL)
"""


class Told(NamedTuple):
    """An event: its id, whom it is about, who says it, its body."""

    event_id: uuid.UUID
    ref: uuid.UUID
    part: str
    body: bytes


@dataclass(frozen=True)
class Peer:
    """Where a peer works."""

    bootstrap: str
    database_url: str


def event_id(ref: uuid.UUID, part: str) -> uuid.UUID:
    """The same on every retry."""
    return uuid.uuid5(ref, part)


def topic_of(group: str) -> str:
    return DECISIONS if group in GROUPS else BUDGETS


def read_from(group: str) -> str:
    return DECISIONS if group == COMBINER else ASSESSMENTS


_BODIES = {size: os.urandom(size // 2).hex().encode() for size in (ASSESSMENT_BYTES, DECISION_BYTES, BUDGET_BYTES)}


def body(size: int) -> bytes:
    return _BODIES[size]
