"""`contracts/streams.lock`, from the folders: a folder with a stream.toml is a stream; a service with a facts.py reads
assessments."""

import importlib
import sys
from pathlib import Path
from typing import Any

import msgspec

from contracts.lock import Lock, LockedRuleSet, Reader, Registered
from deploy.generate.schemas import embedded
from rulekit.projection import own_facts, projection
from rulekit.stream import Stream, read_stream

ROOT = Path(__file__).parents[2]


def streams_of(root: Path = ROOT) -> list[Stream]:
    """Every stream folder of `services/`, by name. Importing a folder's rules must not need the lock."""
    found = [read_stream(_module(root, p.parent), p.parent) for p in root.glob("services/*/*/stream.toml")]
    return sorted(found, key=lambda s: (not s.definition.gateway, s.name))


def _module(root: Path, folder: Path) -> str:
    return ".".join(folder.relative_to(root).parts)


def build(root: Path = ROOT) -> Lock:
    streams = tuple(_registered(stream) for stream in streams_of(root))
    for stream in streams:
        if stream.module.rpartition(".")[2] != stream.name:
            raise SystemExit(f"{stream.module}: `name` in stream.toml must be the folder's own name")
    if sum(s.gateway for s in streams) != 1:
        raise SystemExit("exactly one stream.toml must say `gateway = true`")
    readers = tuple(_reader(root, p.parent) for p in sorted(root.glob("services/*/facts.py")))
    return Lock(streams=streams, readers=readers)


def _registered(stream: Stream) -> Registered:
    d = stream.definition
    sets = tuple(LockedRuleSet(r.id, r.packs, r.start, r.end) for r in stream.rule_sets)
    same = {f: getattr(d, f) for f in Registered.__struct_fields__ if hasattr(d, f) and f != "facts"}
    return Registered(
        **same,
        module=stream.module,
        rule_sets=sets,
        facts=projection(stream.facts),
        own_schema=None if (own := own_facts(stream.facts)) is None else embedded(own),
        pack_hash=stream.pack_hash,
    )


def _reader(root: Path, folder: Path) -> Reader:
    module = _module(root, folder)
    facts = importlib.import_module(f"{module}.facts").Facts
    return Reader(name=folder.name, module=module, facts=projection(facts))


def render(lock: Lock) -> str:
    """One fact a line where it fits, so that a difference is easy to read."""
    built: Any = msgspec.to_builtins(lock)
    return msgspec.json.format(msgspec.json.encode(built, order="deterministic"), indent=1).decode() + "\n"


def bootstrap() -> None:
    """Write the lock without importing anything that reads it: `python -m deploy.generate.lock`."""
    (ROOT / "contracts" / "streams.lock").write_text(render(build()))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    bootstrap()
