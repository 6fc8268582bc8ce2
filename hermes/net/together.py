"""Several questions at once, awaited as if they were one."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults

T = TypeVar("T")


async def together(questions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """
    All answers, in the order of the questions.

    Raises what the first that failed has raised, and not Twisted's wrapping of it: who is cancelled meanwhile sees
    ``CancelledError``, as everywhere else.
    """
    asked = [Deferred.fromCoroutine(question) for question in questions]
    try:
        return await gatherResults(asked, consumeErrors=True)
    except FirstError as error:
        raise cause_of(error) from None


def cause_of(error: Exception) -> BaseException:
    """What has happened, out of the wrapping in which it comes when several were waited for at once."""
    cause: BaseException = error
    while isinstance(cause, FirstError) and cause.subFailure.value is not None:
        cause = cause.subFailure.value
    return cause
