"""One answer made of several: what the workers say, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merged(values: Sequence[Any]) -> Any:
    """
    Numbers are added, lists joined without repetitions, tables merged key by key; of truths one is enough, and of
    texts the same counts once.

    What is missing (None) changes nothing.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    if all(isinstance(value, Mapping) for value in known):
        keys = dict.fromkeys(key for value in known for key in value)
        return {key: merged([value.get(key) for value in known]) for key in keys}
    if all(isinstance(value, list) for value in known):
        # What all of them know, like a certificate, is there once.
        items = [item for value in known for item in value]
        return [item for number, item in enumerate(items) if item not in items[:number]]
    if all(isinstance(value, bool) for value in known):
        return any(known)
    if all(isinstance(value, int | float) for value in known):
        return sum(known)
    different = list(dict.fromkeys(known))
    return different[0] if len(different) == 1 else ", ".join(map(str, different))


def merged_status(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The status of the server from those of its workers."""
    status: dict[str, Any] = merged(parts) or {}
    looks = [part["queue_next_look_at"] for part in parts if part.get("queue_next_look_at")]
    # Instants in one form sort as text.
    # The greylist is the same at all of them.
    alike = {key: max(part.get(key, 0) for part in parts) for key in status if key.startswith("greylist_")}
    # The longest of all is not the sum.
    alike |= {key: max(part.get(key, 0) for part in parts) for key in status if key == "longest_turn_ms"}
    return status | alike | {"queue_next_look_at": min(looks, default=None)}


def blocks_of(parts: Sequence[Mapping[str, list[Any]]]) -> dict[str, list[Any]]:
    """
    Who is blocked, by what the workers know: each lists at once whom it has caught itself, and the others some seconds later.

    What is counted of logins and mail they know alike.
    """
    known: dict[str, dict[str, Any]] = {}
    for row in (row for part in parts for row in part["blocked"]):
        known[row["network"]] = max(known.get(row["network"], row), row, key=_end)
    # Instants in one form sort as text.
    return {**parts[0], "blocked": sorted(known.values(), key=lambda row: str(row["since"]))}


def _end(row: Mapping[str, Any]) -> tuple[bool, str]:
    return row["until"] is None, row["until"] or ""
