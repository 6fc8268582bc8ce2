"""
Reading mail beside Dovecot: logins, messages, large mailboxes.

Hermes's passwords are argon2id hashes, Dovecot's stand there as they are. Hermes remembers a right password for ten minutes, so
the rows are those of clients that come again; what the first login of each account takes is told below the table.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs

from bench import certificate
from bench.mailboxes import check_fetched, fill
from bench.pairs import Options, Row, in_turn
from bench.pop3_client import POP3Client, messages_of
from bench.process import free_ports
from bench.site import Hermes
from bench.smtp_rows import KIB
from bench.table import Section
from tests.support.dovecot import Dovecot

#: Sessions at once, each with a mailbox of its own.
THREADS = 10

#: Messages in each mailbox, and in the large one; that one's are small, for only their names are looked at.
MESSAGES, MANY = 100, 100_000

#: Dovecot's documentation calls this high-performance mode: a login process serves many logins instead of one. As shipped it
#: makes a process for each, which keeps the logins of strangers apart.
FAST_LOGINS = "service pop3-login {\n  service_count = 0\n  process_min_avail = 2\n}"


@attrs.frozen
class Reader:
    """A server with mailboxes ``box0``, ``box1``, ... and ``many0``."""

    name: str
    port: int
    password: str
    mailbox: Callable[[str], Path]
    client: POP3Client

    def fill(self, options: Options) -> None:
        """Fill the mailboxes."""
        for number in range(THREADS):
            fill(self.mailbox(f"box{number}"), MESSAGES, 4 * KIB)
        fill(self.mailbox("many0"), options.scaled(MANY), KIB // 2)

    def logins_per_second(self, threads: int, sessions: int) -> float:
        """Sessions a second of login, STAT and QUIT."""
        measured = self.client.run(self.port, "box", self.password, threads=threads, sessions=sessions)
        return measured.sessions / measured.seconds

    def messages_per_second(self, threads: int, sessions: int, copy: Path) -> float:
        """Messages a second, of sessions that fetch all of a mailbox; those of the first session are compared."""
        measured = self.client.run(self.port, "box", self.password, "-r", threads=threads, sessions=sessions, copy=copy)
        if measured.messages != threads * sessions * MESSAGES:
            raise AssertionError(f"{self.name}: {measured.messages} messages came")
        check_fetched(self.name, messages_of(copy), self.mailbox("box0"))
        return measured.messages / measured.seconds

    def openings_per_second(self, *options: str, anew: bool = False) -> float:
        """From the connection to the answer to STAT, or with ``-l`` through LIST and UIDL to the end; the median of three."""
        seconds = []
        for _ in range(3):
            if anew:
                forget(self.mailbox("many0"))
            latency = self.client.run(self.port, "many", self.password, *options).latency_ms
            seconds.append(latency["session" if options else "ready"]["p50"] / 1000)
        return 1 / statistics.median(seconds)


def forget(mailbox: Path) -> None:
    """Remove what a server has noted about a mailbox beside its messages."""
    for path in mailbox.glob("dovecot*"):
        path.unlink()
    (mailbox / "hermes-sizes").unlink(missing_ok=True)


def measure(options: Options, root: Path) -> Section:
    """All rows."""
    client = POP3Client(root)
    rows: list[Row] = []
    with readers(options, root, client) as (site, hermes, dovecot, fast):
        for reader in (hermes, dovecot, fast):
            # The first login of each account, and the first reading of each mailbox.
            reader.messages_per_second(THREADS, 1, root / "copy")
        few, some = options.scaled(300, 3), options.scaled(100, 2)

        def pair(
            what: str, measured: Callable[..., float], *how: object, peer: Reader = dovecot, **more: object
        ) -> None:
            ours, theirs = (partial(measured, reader, *how, **more) for reader in (hermes, peer))
            rows.append(in_turn(what, options.pairs, ours, theirs))

        login = "login, STAT, QUIT: sessions a second,"
        pair(f"{login} 1 at once", Reader.logins_per_second, 1, few)
        pair(f"{login} {THREADS} at once", Reader.logins_per_second, THREADS, some)
        pair(f"{login} {THREADS} at once, fast logins", Reader.logins_per_second, THREADS, some, peer=fast)
        for threads, sessions in ((1, 30), (THREADS, 10)):
            what = f"RETR of {MESSAGES} messages of 4 KiB: messages a second, {threads} at once"
            pair(what, Reader.messages_per_second, threads, options.scaled(sessions), root / "copy")
        large = f"a mailbox of {options.scaled(MANY):,}: openings a second"
        pair(f"{large}, the first time", Reader.openings_per_second, anew=True)
        pair(f"{large}, again", Reader.openings_per_second)
        pair(f"{large}, with LIST and UIDL", Reader.openings_per_second, "-l")
        note = first_logins(site, hermes, options)
        versions = [site.version(), version(), "gcc's pop3_client"]
    return Section("pop3", "Dovecot", options, versions, rows, [note])


@contextmanager
def readers(options: Options, root: Path, client: POP3Client) -> Iterator[tuple[Hermes, Reader, Reader, Reader]]:
    """A Hermes, a Dovecot as shipped, and one with fast logins, with the same mail."""
    names = [*(f"box{number}" for number in range(THREADS)), "many0"]
    chain, key = certificate.make(root)
    site = Hermes(root / "hermes", free_ports(1)[0], options.workers, accounts=names)
    with (
        stopped_at_the_end(Dovecot(chain, key, *names)) as one,
        stopped_at_the_end(Dovecot(chain, key, *names, extra=FAST_LOGINS)) as other,
    ):
        hermes = Reader("hermes", site.pop3_port, site.password, site.mailbox, client)
        dovecot, fast = (
            Reader("dovecot", each.pop3, each.password, (each.root / "mail").joinpath, client) for each in (one, other)
        )
        for reader in (hermes, dovecot):
            reader.fill(options)
        for number in range(THREADS):
            fill(fast.mailbox(f"box{number}"), MESSAGES, 4 * KIB)
        site.start()
        try:
            yield site, hermes, dovecot, fast
        finally:
            site.stop()


@contextmanager
def stopped_at_the_end(dovecot: Dovecot) -> Iterator[Dovecot]:
    """A Dovecot, closed."""
    try:
        yield dovecot
    finally:
        dovecot.close()


def first_logins(site: Hermes, hermes: Reader, options: Options) -> str:
    """How long the login of an account takes whose password Hermes does not remember, beside one that it does."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(options.pairs):
        site.stop()
        site.start()
        # Thread 0 with one session is one account: nobody else wants the processor.
        for results in (first, again):
            results.append(hermes.client.run(hermes.port, "box", hermes.password).latency_ms["ready"]["p50"])
    return (
        f"The first login of an account, whose argon2id hash has to be computed, takes Hermes {statistics.median(first):.0f} ms"
        f" ({min(first):.0f} - {max(first):.0f}) from the connection to the answer to STAT, and {statistics.median(again):.1f} ms"
        f" ({min(again):.1f} - {max(again):.1f}) when the password is remembered."
    )


def version() -> str:
    """Name and version."""
    said = subprocess.run(["/usr/sbin/dovecot", "--version"], capture_output=True, text=True, check=True).stdout
    return f"Dovecot {said.split()[0]}"
