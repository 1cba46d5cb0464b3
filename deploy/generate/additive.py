"""Within one version an event's schema may only gain optional fields: old readers must read new messages, and new
readers old ones. Anything else needs a new version beside the old."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

SAID_ONLY = {"$id", "$schema", "title", "description", "default"}
"""Keywords that change nothing about which messages are good."""


def breaks(old: Schema, new: Schema, at: str = "") -> Iterator[str]:
    """JSON pointers of what changed in a way a reader on either side cannot follow, each with how."""
    for group in ("properties", "$defs"):
        yield from _parts(old, new, f"{at}/{group}", group)
    if set(old.get("required", [])) != set(new.get("required", [])):
        yield f"{at}/required: a field became required, or no longer is"
    for keyword in sorted((set(old) | set(new)) - SAID_ONLY - {"properties", "$defs", "required"}):
        if not _alike(old.get(keyword), new.get(keyword)):
            yield f"{at}/{keyword}: changed"


def _parts(old: Schema, new: Schema, at: str, group: str) -> Iterator[str]:
    before, after = old.get(group, {}), new.get(group, {})
    for name in sorted(before):
        if name not in after:
            yield f"{at}/{name}: gone"
        else:
            yield from breaks(before[name], after[name], f"{at}/{name}")
    if group == "properties" and old.get("additionalProperties") is False:
        yield from (f"{at}/{name}: added to an object that was closed" for name in sorted(set(after) - set(before)))


def _alike(old: Any, new: Any) -> bool:
    """Equal, whatever is only said."""
    if isinstance(old, dict) and isinstance(new, dict):
        mine, others = ({k: v for k, v in each.items() if k not in SAID_ONLY} for each in (old, new))
        return mine.keys() == others.keys() and all(_alike(mine[k], others[k]) for k in mine)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_alike(a, b) for a, b in zip(old, new, strict=True))
    return bool(old == new)
