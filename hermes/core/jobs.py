"""What a group worker does that only calls what it is given: readers of files, of directories, and whatever else has to wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def perform_each(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each job returns, or the exception that it raises: a fault harms only its own."""
    results: list[Any] = []
    for job in jobs:
        try:
            results.append(job())
        except Exception as error:
            results.append(error)
    return results
