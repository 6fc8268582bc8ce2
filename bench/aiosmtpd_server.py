"""
A receiver made of aiosmtpd: ``python -m bench.aiosmtpd_server PORT MAILDIR [CERTIFICATE KEY]``.

What somebody writes who wants mail in a maildir and no mail server: one handler, which answers 250 when the message is on
disk. The disk is waited for in a thread, so that other sessions go on meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import ssl
import sys
import time

from aiosmtpd.smtp import SMTP, Envelope, Session


class Handler:
    """Puts each message into one maildir, durably."""

    def __init__(self, maildir: str) -> None:
        self._maildir = maildir
        self._numbers = itertools.count()
        for part in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(maildir, part), 0o700, exist_ok=True)
        self._new = os.open(os.path.join(maildir, "new"), os.O_RDONLY)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd calls it
        """A whole message."""
        content = envelope.content
        assert isinstance(content, bytes)
        octets = b"Return-Path: <%s>\n" % (envelope.mail_from or "").encode() + content.replace(b"\r\n", b"\n")
        name = f"{time.time():.6f}.{os.getpid()}_{next(self._numbers)}.bench"
        await asyncio.to_thread(self._store, name, octets)
        return "250 2.0.0 stored"

    def _store(self, name: str, octets: bytes) -> None:
        made = os.path.join(self._maildir, "tmp", name)
        with open(made, "xb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.rename(made, os.path.join(self._maildir, "new", name))
        os.fsync(self._new)


async def serve(port: int, maildir: str, *chain: str) -> None:
    """Serve until the process is ended; with a certificate and its key STARTTLS is offered."""
    handler, context = Handler(maildir), None
    if chain:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*chain)
    # As many connections as are measured, for as long.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, hostname="bench.example.org", tls_context=context, timeout=7200), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:]))
