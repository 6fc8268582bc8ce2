"""
Reading the octets of a message, small ones at once and large ones piece by piece.

A file is opened in a thread. Pieces that the system has in memory, as it has those of a message that has just come in, are
then read where they are wanted (:mod:`hermes.disk.in_memory`); the others are read in the thread.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from functools import partial

import attrs
from zope.interface import implementer

from hermes.core.message import Content
from hermes.disk.in_memory import READ_IN_MEMORY, ReadInMemory
from hermes.interfaces import IContentReader, IGroupWorker

#: One piece: what a transport buffers before it asks for a pause.
PIECE_OCTETS = 64 * 1024

#: Pieces after which the thread has a turn all the same: half a megabyte, sent and all a millisecond, and then others may go on.
PIECES_AT_ONCE = 8


@implementer(IContentReader)
class ContentReader:
    """
    Reads content; files are opened in ``worker``, whose ``perform`` is :func:`hermes.core.jobs.perform_each`, and read there
    unless ``read_in_memory`` can.
    """

    def __init__(self, worker: IGroupWorker, read_in_memory: ReadInMemory | None = READ_IN_MEMORY) -> None:
        self._worker = worker
        self._read_in_memory = read_in_memory

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
        read, position = 1, offset
        try:
            while piece:
                yield piece
                position += len(piece)
                if position >= file.size:
                    # A small message costs one turn of the thread.
                    return
                piece = self._cached(file, position) if read % PIECES_AT_ONCE else b""
                read += 1
                if not piece:
                    piece = await self._worker.submit(partial(os.pread, file.descriptor, PIECE_OCTETS, position))
        finally:
            os.close(file.descriptor)

    def _cached(self, file: _File, position: int) -> bytes:
        """The next piece when it is in memory, or what of it is; none when that is nothing, or cannot be known."""
        if self._read_in_memory is None:
            return b""
        room = bytearray(min(PIECE_OCTETS, file.size - position))
        try:
            count = self._read_in_memory(file.descriptor, room, position)
        except OSError:
            # It would have to wait, or the file system cannot say: the thread finds out whether there is more to it.
            return b""
        return bytes(room if count == len(room) else room[:count])


@attrs.frozen
class _File:
    descriptor: int
    size: int


def _open(path: str, offset: int) -> tuple[_File, bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _File(descriptor, os.fstat(descriptor).st_size), os.pread(descriptor, PIECE_OCTETS, offset)
    except OSError:
        os.close(descriptor)
        raise
