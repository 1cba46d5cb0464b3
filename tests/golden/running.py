"""Runs `tributary allocate` as a user does: a process of its own, a file in, streams and an exit code out."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CASES = HERE / "cases.jsonl"
COMMAND = str(Path(sys.executable).with_name("tributary"))
AT_MOST_SECONDS = 200
"""More than the command's own patience, so that a run that gives up is seen to say why."""

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Run:
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def budgets(self) -> list[JsonObject]:
        """Standard output, which must be one JSON object a line and nothing else."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def by_id(self) -> dict[str, JsonObject]:
        """By the council's own id and version: `G05/2`."""
        return {f"{b['assessment_id']}/{b['version']}": b for b in self.budgets}


def allocate(cases: Path | bytes, *options: str) -> Run:
    """`cases` is a file, or what is sent on standard input."""
    named, sent = (str(cases), b"") if isinstance(cases, Path) else ("-", cases)
    done = subprocess.run(
        [COMMAND, "allocate", named, *options], input=sent, capture_output=True, cwd=ROOT, timeout=AT_MOST_SECONDS
    )
    return Run(done.returncode, done.stdout, done.stderr)
