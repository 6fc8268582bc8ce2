"""Reading the octets of a message, small ones at once and large ones in a thread, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import BinaryIO

from zope.interface import implementer

from hermes.core.message import Content
from hermes.interfaces import IContentReader, IGroupWorker

#: One piece: what a transport buffers before it asks for a pause.
PIECE_OCTETS = 64 * 1024


@implementer(IContentReader)
class ContentReader:
    """Reads content; files are opened and read in ``worker``, whose ``perform`` is :func:`hermes.core.jobs.perform_each`."""

    def __init__(self, worker: IGroupWorker) -> None:
        self._worker = worker

    async def chunks(self, content: Content, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The stored octets from ``offset`` on, in pieces of at most 64 KiB."""
        if content.data is not None:
            data = content.data
            for start in range(offset, len(data), PIECE_OCTETS):
                yield data[start : start + PIECE_OCTETS] if start or len(data) > PIECE_OCTETS else data
            return
        if content.path is None:
            raise ValueError("the content has neither data nor path: ask the spool for it")
        path = content.path
        file, piece = await self._worker.submit(lambda: _open(path, offset))
        try:
            while piece:
                yield piece
                if len(piece) < PIECE_OCTETS:
                    # A file gives less than it is asked for only at its end: a small message costs one turn of the thread.
                    return
                piece = await self._worker.submit(lambda: file.read(PIECE_OCTETS))
        finally:
            file.close()


def _open(path: str, offset: int) -> tuple[BinaryIO, bytes]:
    file = open(path, "rb", buffering=0)  # noqa: SIM115 - it outlives this function
    try:
        file.seek(offset)
        return file, file.read(PIECE_OCTETS)
    except OSError:
        file.close()
        raise
