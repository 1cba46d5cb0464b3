"""Every generated file, in one table. `tributary generate` writes them; with `--check` it only says which are stale."""

import sys
from collections.abc import Callable
from pathlib import Path

from contracts.lock import lock
from deploy.generate import lock as lock_file

ROOT = Path(__file__).parents[2]

Texts = dict[str, str]
"""Path from the root -> text."""

OWNED = {"contracts/openapi": ".json", "contracts/snapshots/facts": ".json"}
"""Folders that hold generated files only: what nothing generates any more is removed. A published event's schema and
examples are not among them: history stays readable."""


def generate(*, check: bool) -> int:
    """Returns 0, or 1 where `check` found something stale. The lock comes first: the others are read through it."""
    found = _write({"contracts/streams.lock": lock_file.render(lock_file.build())}, check=check)
    if found and check:
        return _say(found, "stale, and all else follows from it")
    lock.cache_clear()
    made: Texts = {}
    for part in (_schemas, _examples, _asyncapi, _openapi, _documents, _compose):
        made |= part()
    broken = _broken_promises(made)
    if broken:
        return _say(broken, "not additive, so it needs a new version (see deploy/generate/additive.py)")
    found += _write(made, check=check) + _remove(made, check=check)
    return _say(found, "stale: run `make generate`" if check else "written") if check or found else 0


def _say(found: list[str], what: str) -> int:
    for each in found:
        print(f"{each}: {what}", file=sys.stderr)
    return 1 if found and what != "written" else 0


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
    """Files nothing generates any more."""
    orphans = [
        path
        for folder, ending in OWNED.items()
        for path in sorted((ROOT / folder).glob(f"*{ending}"))
        if path.relative_to(ROOT).as_posix() not in made
    ]
    for path in [] if check else orphans:
        path.unlink()
    return [path.relative_to(ROOT).as_posix() for path in orphans]


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


def _compose() -> Texts:
    from deploy.generate import compose

    return {"docker-compose.yml": compose.text()}
