"""Tests of :mod:`hermes.mailbox.importing`: what becomes of kept mail, and that no message comes twice or is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from hermes.core.archived import Keeping
from hermes.core.event import Event, Kind
from hermes.core.identifiers import is_queue_id
from hermes.mailbox import importing, maildir
from hermes.mailbox.import_message import SMALL_OCTETS
from hermes.mailbox.import_record import FILE, ImportRecord
from hermes.mailbox.importing import MAX_PROBLEMS, Imported, Limits, MailboxFullError
from hermes.mailbox.kept_mail import Heading, Item, Unreadable
from hermes.mailbox.listing import scan
from tests.support.kept import Messages, import_into, in_tmp, numbered, stored
from tests.support.maildirs import NOW, Failing, files_in, put, read

TEXT = b"Subject: x\nMessage-ID: <m@example.org>\n\nbody\n"
HEADING = Heading("message 1", at=NOW - 1000)


class ImportTestCase(SynchronousTestCase):
    """A mailbox."""

    def setUp(self) -> None:
        """Where it will be."""
        self.path = os.path.join(self.mktemp(), "joe")

    def name(self, directory: str = "new", path: str = "") -> str:
        """The name of the one message there."""
        (name,) = files_in(path or self.path, directory)
        return name


class MessageTests(ImportTestCase):
    """One message."""

    def test_as_delivered(self) -> None:
        """It is a message like any other: its name has the time of delivery, an id, and its sizes; POP3 lists it."""
        import_into(self.path, Messages((HEADING, TEXT)))
        name = self.name()
        self.assertEqual(read(self.path, "new", name), TEXT)
        self.assertEqual(maildir.seconds_of(name.encode()), NOW - 1000)
        self.assertTrue(name.endswith(f",S={len(TEXT)},W={len(TEXT) + TEXT.count(10)}"))
        self.assertTrue(is_queue_id(maildir.queue_id_of(name.encode())))
        listing = scan(self.path)
        self.assertEqual(listing.wire_sizes[0], len(TEXT) + TEXT.count(10))
        self.assertEqual(listing.unique_id(0), name.partition(",")[0])
        self.assertEqual(os.stat(os.path.join(self.path, "new", name)).st_mtime, NOW - 1000)
        self.assertEqual(os.stat(os.path.join(self.path, "new", name)).st_mode & 0o777, 0o600)

    def test_flags(self) -> None:
        """What has been shown goes to cur, with the flags that the name or the header of its source had."""
        import_into(self.path, Messages((Heading("a", flags="FS", is_old=True), TEXT), keeping=Keeping.MAILDIR))
        self.assertTrue(self.name("cur").endswith(":2,FS"))
        other = os.path.join(self.path, ".Other")
        import_into(self.path, Messages((HEADING, b"Status: RO\nX-Status: A\n" + TEXT)), folder=".Other")
        self.assertTrue(self.name("cur", other).endswith(":2,RS"))
        self.assertEqual(stored(other), [TEXT])

    def test_time(self) -> None:
        """A time that is not known, or is to come, is now; one before the beginning of time is its beginning."""
        for number, (at, expected) in enumerate(
            ((None, NOW), (NOW + 5000, NOW), (-5.0, 0), (999_999_999.0, 999_999_999))
        ):
            folder = f".F{number}"
            import_into(self.path, Messages((Heading("a", at=at), TEXT)), folder=folder)
            name = self.name(path=os.path.join(self.path, folder))
            self.assertEqual(maildir.seconds_of(name.encode()), expected)
            # Sorted as text they are sorted by time.
            self.assertEqual(name.index("."), 10)

    def test_sender(self) -> None:
        """A sender that was kept beside a message becomes its Return-Path, if he is an address and it has none."""
        named = b"Return-Path: <bob@example.com>\n"
        for number, (sender, text, expected) in enumerate((
            ("anna@example.org", TEXT, b"Return-Path: <anna@example.org>\n" + TEXT),
            ("anna@example.org", named + TEXT, named + TEXT),
            ("MAILER-DAEMON", TEXT, TEXT),
            ("-", TEXT, TEXT),
            ("???@???", TEXT, TEXT),
            ("1234@xxx", TEXT, TEXT),
            ("a@example.org> x", TEXT, TEXT),
            ("anna@example.org", b"\nbody\n", b"Return-Path: <anna@example.org>\n\nbody\n"),
        )):  # fmt: skip
            folder = f".F{number}"
            import_into(self.path, Messages((Heading("a", sender=sender), text)), folder=folder)
            self.assertEqual(stored(os.path.join(self.path, folder)), [expected])

    def test_large(self) -> None:
        """A large message is the same, and leaves nothing in tmp; so is one just at the limit of memory."""
        texts = [b"a: b\n\n" + b"x" * (SMALL_OCTETS + more - 7) + b"\n" for more in (-1, 0, 1, 100_000, 2_000_000)]
        source = Messages(*((Heading(f"{len(text)}"), text) for text in texts), cut=64 * 1024)
        self.assertEqual(import_into(self.path, source).imported, len(texts))
        self.assertEqual(stored(self.path), sorted(texts))
        self.assertEqual(in_tmp(self.path), [])
        self.assertEqual(import_into(self.path, source).already, len(texts))
        self.assertEqual(in_tmp(self.path), [])

    def test_size_limit(self) -> None:
        """A message of the largest size is imported, a larger one is told, and those behind it come."""
        limits = Limits(len(TEXT), 0)
        source = Messages((HEADING, TEXT + b"\n"), (Heading("message 2"), TEXT))
        done = import_into(self.path, source, limits=limits)
        self.assertEqual((done.imported, done.failed), (1, 1))
        self.assertEqual(done.problems, [f"message 1: it is larger than {len(TEXT)} octets"])
        self.assertEqual(stored(self.path), [TEXT])

    def test_much_too_large(self) -> None:
        """Of a message without end no more is written than the limit."""
        limits = Limits(SMALL_OCTETS * 2, 0)
        most = 0

        class Endless(Messages):
            def items(source) -> object:  # type: ignore[override]
                nonlocal most
                yield HEADING
                for _ in range(100):
                    yield b"x" * 100_000
                    here = os.path.join(self.path, "tmp")
                    most = max([most, *(entry.stat().st_size for entry in os.scandir(here))])

        done = import_into(self.path, Endless(), limits=limits)
        self.assertEqual((done.imported, done.failed), (0, 1))
        self.assertLessEqual(most, SMALL_OCTETS * 2)
        self.assertEqual(in_tmp(self.path), [])

    def test_no_messages(self) -> None:
        """What is no message is counted by why, and nothing comes of it."""
        source = Messages(
            (HEADING, b"X-IMAP: 1 2\n" + TEXT), (HEADING, b"X-Mozilla-Status: 0008\n" + TEXT), (HEADING, b"")
        )
        done = import_into(self.path, source)
        self.assertEqual(done.imported, 0)
        self.assertEqual(sum(done.passed_over.values()), 3)
        self.assertEqual(done.passed_over["empty"], 1)
        self.assertEqual(stored(self.path), [])

    def test_problems_have_an_end(self) -> None:
        """Of many only the first are told, and all are counted."""
        done = Imported()
        for number in range(MAX_PROBLEMS + 1):
            done.problem(f"message {number}", "it is ill")
        self.assertEqual((done.failed, len(done.problems)), (MAX_PROBLEMS + 1, MAX_PROBLEMS))

    def test_unreadable(self) -> None:
        """What cannot be read is told; what has been read of it is forgotten, and others come."""

        class Ill(Messages):
            def items(self) -> object:  # type: ignore[override]
                first: list[Item] = [Unreadable("a", "it is a link"), HEADING, TEXT]
                yield from first
                yield Heading("b")
                yield b"x" * (SMALL_OCTETS + 1)
                yield Unreadable("b", "ill")

        done = import_into(self.path, Ill(cut=1))
        self.assertEqual((done.imported, done.problems), (1, ["a: it is a link", "b: ill"]))
        self.assertEqual(stored(self.path), [TEXT])
        self.assertEqual(in_tmp(self.path), [])

    def test_order(self) -> None:
        """Messages of one second keep the order that they had."""
        texts = [b"Subject: %d\n\n" % number for number in range(30)]
        import_into(self.path, Messages(*((HEADING, text) for text in texts)))
        listing = scan(self.path)
        self.assertEqual([read(self.path, "new", listing.name(number).decode()) for number in range(30)], texts)


class OnceTests(ImportTestCase):
    """No message comes twice."""

    def test_twice(self) -> None:
        """The same source again brings nothing."""
        first = import_into(self.path, numbered(20))
        self.assertEqual((first.imported, first.already), (20, 0))
        before = stored(self.path)
        again = import_into(self.path, numbered(20))
        self.assertEqual((again.imported, again.already, again.octets), (0, 20, 0))
        self.assertEqual(stored(self.path), before)

    def test_grown(self) -> None:
        """What has come to a source since is imported, wherever it stands in it."""
        import_into(self.path, numbered(5))
        self.assertEqual(import_into(self.path, numbered(9)).imported, 4)

    def test_read_and_deleted(self) -> None:
        """A message that its owner has deleted does not come again."""
        import_into(self.path, Messages((HEADING, TEXT)))
        os.unlink(os.path.join(self.path, "new", self.name()))
        self.assertEqual(import_into(self.path, Messages((HEADING, TEXT))).already, 1)
        self.assertEqual(stored(self.path), [])

    def test_equal_messages(self) -> None:
        """Who has kept a message twice gets it twice, and not three times."""
        twins = Messages((HEADING, TEXT), (HEADING, TEXT))
        self.assertEqual(import_into(self.path, twins).imported, 2)
        self.assertEqual(import_into(self.path, twins).already, 2)
        self.assertEqual(stored(self.path), [TEXT, TEXT])

    def test_folders(self) -> None:
        """Each folder is for itself: a message may be in two."""
        source = Messages((HEADING, TEXT), (Heading("b", ".Sub"), TEXT))
        self.assertEqual(import_into(self.path, source).imported, 2)
        self.assertEqual(import_into(self.path, source, folder=".Old").imported, 2)
        for folder in ("", ".Sub", ".Old", ".Old.Sub"):
            self.assertEqual(stored(os.path.join(self.path, folder)), [TEXT])

    def test_without_the_record(self) -> None:
        """Messages that are still there are known by their names, whatever has become of their flags."""
        import_into(self.path, numbered(3))
        os.unlink(os.path.join(self.path, FILE))
        name = files_in(self.path, "new")[0]
        os.rename(os.path.join(self.path, "new", name), os.path.join(self.path, "cur", f"{name}:2,RS"))
        before = stored(self.path)
        told: list[Event] = []
        done = import_into(self.path, numbered(3), tell=lambda events, octets: told.extend(events))
        self.assertEqual((done.imported, done.octets, len(told)), (3, 0, 3))
        self.assertEqual(stored(self.path), before)
        self.assertEqual(import_into(self.path, numbered(3)).already, 3)

    def test_left_in_tmp(self) -> None:
        """What an import that died has left goes; what others are writing stays."""
        maildir.make(self.path)
        put(self.path, "tmp", "import.12.3")
        put(self.path, "tmp", f"1700000000.0000001-M00000000000_0.{'0' * 32},S=1,W=1:2,S")
        put(self.path, "tmp", "1700000000.01GA4GC6N2T0_0.mail.example.org,S=1,W=1")
        folder = os.path.join(self.path, ".Work")
        put(folder, "tmp", f"1700000000.0000001-M00000000000_0.{'0' * 32},S=1,W=1:2,S")
        import_into(self.path, Messages((Heading("a", ".Work"), TEXT)))
        self.assertEqual(in_tmp(folder), [])
        self.assertEqual(in_tmp(self.path), ["1700000000.01GA4GC6N2T0_0.mail.example.org,S=1,W=1"])

    def test_limit_of_the_record(self) -> None:
        """When no more can be remembered, no more comes."""
        self.patch(importing, "MAX_REMEMBERED", 2)
        self.assertRaises(MailboxFullError, import_into, self.path, numbered(3))
        self.assertEqual(len(stored(self.path)), 2)
        self.assertEqual(import_into(self.path, numbered(2)).already, 2)

    def test_longest_folder(self) -> None:
        """A folder whose name would become too long is told, and nothing of it comes; those of others come."""
        source = Messages((Heading("a", "." + "x" * 200), TEXT), (Heading("b", ".Short"), TEXT))
        done = import_into(self.path, source, folder="." + "y" * 39)
        self.assertEqual((done.imported, done.failed), (1, 1))
        self.assertTrue(done.problems[0].startswith("a: "))
        self.assertEqual(import_into(self.path, source, folder="." + "y" * 38).imported, 2)


class TraceTests(ImportTestCase):
    """What is told."""

    def test_event(self) -> None:
        """One fact for each message, by which it is found: its Message-ID, the account, and the id in its name."""
        told: list[Event] = []
        counted: list[int] = []

        def tell(events: Sequence[Event], octets: int) -> None:
            told.extend(events)
            counted.append(octets)

        import_into(self.path, Messages((HEADING, TEXT)), tell=tell)
        queue_id = maildir.queue_id_of(self.name().encode())
        facts = {"service": "import", "size_octets": len(TEXT) + TEXT.count(10), "arrived": "2023-11-14T21:56:40.000Z"}
        self.assertEqual(told, [Event(NOW, Kind.IMPORTED, queue_id, "joe", None, "<m@example.org>", facts)])
        self.assertEqual(counted, [len(TEXT)])
        import_into(self.path, Messages((HEADING, TEXT)), folder=".Old", tell=tell)
        self.assertEqual(told[-1].facts["folder"], ".Old")
        self.assertNotEqual(told[-1].queue_id, queue_id)

    def test_between_mail_and_record(self) -> None:
        """It is told when the message is there, and remembered after it was told."""

        def tell(events: Sequence[Event], octets: int) -> None:
            self.assertEqual(stored(self.path), [TEXT])
            self.assertEqual(os.path.getsize(os.path.join(self.path, FILE)), 0)

        import_into(self.path, Messages((HEADING, TEXT)), tell=tell)
        self.assertGreater(os.path.getsize(os.path.join(self.path, FILE)), 0)


class RoomTests(ImportTestCase):
    """Quota, and disks."""

    def test_quota(self) -> None:
        """What fits is imported; the first that does not ends it, and when there is room it goes on."""
        size = len(TEXT)
        source = Messages(*((HEADING, TEXT) for _ in range(5)))
        put(self.path, "new", f"1.other.host,S={size}")
        error = self.assertRaises(MailboxFullError, import_into, self.path, source, limits=Limits(10**9, 3 * size))
        # What has been imported counts, too.
        self.assertIn(f"it holds {3 * size} octets and may hold {3 * size}:", str(error))
        self.assertEqual(len(files_in(self.path, "new")), 3)
        self.assertRaises(MailboxFullError, import_into, self.path, source, limits=Limits(10**9, 4 * size - 1))
        done = import_into(self.path, source, limits=Limits(10**9, 6 * size))
        self.assertEqual((done.imported, done.already), (3, 2))

    def test_others_make_room(self) -> None:
        """Before somebody is refused it is counted anew: mail may have been deleted meanwhile."""
        size = len(TEXT)
        other = put(self.path, "new", f"1.other.host,S={size}")

        class Deleting(Messages):
            def items(self) -> object:  # type: ignore[override]
                yield HEADING
                yield TEXT
                yield Heading("message 2")
                os.unlink(other)
                yield TEXT

        self.assertEqual(import_into(self.path, Deleting(), limits=Limits(10**9, 2 * size)).imported, 2)

    def test_large_and_full(self) -> None:
        """A large message that does not fit leaves nothing behind."""
        self.assertRaises(MailboxFullError, import_into, self.path, numbered(7), limits=Limits(10**9, 100_000))
        self.assertEqual(in_tmp(self.path), [])
        self.assertEqual(len(stored(self.path)), 6)

    def test_disk_full(self) -> None:
        """A disk that is full ends it; nothing that was not durable is counted or remembered, and later it goes on."""
        full = OSError(errno.ENOSPC, "No space left on device")
        for call in ("fsync", "rename", "write"):
            path = os.path.join(self.path, call)
            self.patch(importing.os, call, Failing(getattr(os, call), full, 3))
            with self.assertRaises(OSError):
                import_into(path, numbered(7))
            self.patch(importing.os, call, getattr(os, call)._original)  # type: ignore[attr-defined]
            record = ImportRecord(path)
            record.close()
            self.assertLessEqual(len(record.known), len(stored(path)))
            import_into(path, numbered(7))
            self.assertEqual(len(stored(path)), 7)
            self.assertEqual(in_tmp(path), [])

    def test_groups(self) -> None:
        """No more than so many messages, or octets, become durable at once."""
        for limit, number in (("GROUP_MESSAGES", 2), ("GROUP_OCTETS", 400)):
            told: list[int] = []
            path = os.path.join(self.path, limit)
            self.patch(importing, limit, number)
            import_into(path, numbered(6), tell=lambda events, octets, told=told: told.append(len(events)))
            self.assertEqual(told, [2, 2, 2], limit)
            self.patch(importing, limit, 10**9)
