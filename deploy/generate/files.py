"""Every generated file, in one table. `tributary generate` writes them; with `--check` it only says which are stale."""

import json
import sys
from pathlib import Path

from contracts.lock import lock
from deploy.generate import lock as lock_file
from deploy.generate.additive import breaks

ROOT = Path(__file__).parents[2]

Texts = dict[str, str]
"""Path from the root -> text."""

OWNED = ("contracts/openapi", "contracts/snapshots/facts")
"""Folders that hold generated files only: what nothing generates any more is removed. Events' schemas are not among
them, nor the examples of an event that is no longer told: history stays readable."""


def generate(*, check: bool) -> int:
    """Returns 0, or 1 where `check` found something stale, or an event's schema has changed within its version.

    The lock comes first: the others are read through it.
    """
    changed = _write({"contracts/streams.lock": lock_file.render(lock_file.build())}, check=check)
    if changed and check:
        return _say_stale(changed)
    lock.cache_clear()
    made: Texts = {}
    for part in (_schemas, _examples, _asyncapi, _openapi, _documents, _access, _dashboards, _compose, _k8s):
        made |= part()
    if broken := broken_promises(made):
        print(*broken, _NEW_VERSION, sep="\n", file=sys.stderr)
        return 1
    changed += _write(made, check=check) + _remove(made, check=check)
    if check:
        return _say_stale(changed)
    print(*(f"{path}: changed" for path in changed), sep="\n", end="\n" if changed else "", file=sys.stderr)
    return 0


def _say_stale(paths: list[str]) -> int:
    if not paths:
        return 0
    print(*(f"{path}: stale" for path in paths), "Run `make generate`.", sep="\n", file=sys.stderr)
    return 1


_NEW_VERSION = (
    "An event keeps its schema within a version, but for new optional fields. Add the next version beside it;"
    " or, where this one was never released, delete its snapshot and generate again."
)


def broken_promises(made: Texts, root: Path = ROOT) -> list[str]:
    """Events' schemas, as they were last written, that the code no longer keeps."""
    found = []
    for path in sorted((root / "contracts" / "snapshots").glob("uk.*.json")):
        name = path.relative_to(root).as_posix()
        if name not in made:
            found.append(f"{name}: no class has this event any more")
        else:
            old, new = json.loads(path.read_text(encoding="utf-8")), json.loads(made[name])
            found += [f"{name}{fault}" for fault in breaks(old, new)]
    return found


def _write(texts: Texts, *, check: bool) -> list[str]:
    """Paths that differ from what they should be."""
    stale = [path for path, text in texts.items() if not _same(ROOT / path, text)]
    for path in [] if check else stale:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(texts[path], encoding="utf-8")
    return stale


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _remove(made: Texts, *, check: bool) -> list[str]:
    """Files nothing generates any more, in folders where all is generated."""
    owned = {*OWNED, *(str(Path(path).parent) for path in made if path.startswith("contracts/examples/"))}
    present = (p.relative_to(ROOT).as_posix() for folder in sorted(owned) for p in (ROOT / folder).glob("*.json"))
    manifests = (p.relative_to(ROOT).as_posix() for p in (ROOT / "deploy/k8s/base").glob("*.yaml"))
    orphans = sorted({*present, *manifests} - set(made))
    for path in [] if check else orphans:
        (ROOT / path).unlink()
    return orphans


def _schemas() -> Texts:
    from deploy.generate import schemas

    return {f"contracts/snapshots/{name}.json": schemas.as_json(s) for name, s in schemas.snapshots().items()}


def _examples() -> Texts:
    from deploy.generate import examples

    return {f"contracts/examples/{path}": text for path, text in examples.files().items()}


def _asyncapi() -> Texts:
    try:
        from deploy.generate import asyncapi
    except ModuleNotFoundError as fault:
        raise SystemExit(f"tributary generate needs the development tools ({fault.name}): make .venv/.dev") from None
    return {"contracts/asyncapi.yaml": asyncapi.text()}


def _openapi() -> Texts:
    from deploy.generate import openapi
    from deploy.generate.schemas import as_json

    return {f"contracts/openapi/{name}.json": as_json(document) for name, document in openapi.documents().items()}


def _documents() -> Texts:
    from deploy.generate import flows, form_guide, picture

    return {
        "docs/flows.md": flows.text(),
        "docs/flow.svg": picture.text(),
        "docs/assessment-form.md": form_guide.text(),
    }


def _dashboards() -> Texts:
    from deploy.generate import dashboards

    return dashboards.files()


def _access() -> Texts:
    from deploy.generate import access

    return {"docs/access.md": access.text(), "deploy/kafka/acls.sh": access.script()}


def _compose() -> Texts:
    from deploy.generate import compose

    return {"docker-compose.yml": compose.text()}


def _k8s() -> Texts:
    from deploy.generate import k8s

    return k8s.files()
