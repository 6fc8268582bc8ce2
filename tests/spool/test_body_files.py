"""Large bodies: files that are written as the octets come, are whole before the message exists, and go with it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from hermes.core.envelope import Origin
from hermes.core.event import Kind
from hermes.core.message import Finished, QueuedMessage
from hermes.interfaces import ISpoolWriter, SpoolFullError
from hermes.spool.bodies import MOVED_OCTETS, SYNC_OCTETS, Disk
from hermes.spool.body_stream import CONGESTED_OCTETS, DRAINED_OCTETS, STEP_OCTETS
from hermes.spool.writer import MAX_ROW_OCTETS
from tests.support.real_spool import SpoolTestCase, begun, envelope, fact

LARGE = MAX_ROW_OCTETS + 1
SENT = envelope("a@example.com")


def no_room(*arguments: object) -> None:
    """What a full disk says."""
    raise OSError(errno.ENOSPC, "No space left on device")


class BodyFileTests(SpoolTestCase):
    """From the first octet to the last unlink."""

    def commit(self, writer: ISpoolWriter) -> Deferred[QueuedMessage]:
        """Begin to commit."""
        return begun(writer.commit(SENT, Origin("ESMTP"), {"a@example.com": "local:a"}, "", 0, 0, {}))

    def large(self) -> QueuedMessage:
        """A message with a body file."""
        return self.accept(SENT, bytes(LARGE))

    def test_streams(self) -> None:
        """Octets go to the disk as they come; only what the disk has not taken yet is in memory."""
        writer = self.spool.create()
        for _ in range(40):
            writer.write(b"x" * 65536)
            self.assertFalse(writer.congested)
        (name,) = self.body_files()
        self.assertEqual(name, writer.queue_id)
        committed = self.successResultOf(self.commit(writer))
        assert committed.content.path is not None
        self.assertEqual(os.path.getsize(committed.content.path), 40 * 65536)
        self.assertEqual(committed.content.size_octets, 40 * 65536)

    def test_pieces_are_joined(self) -> None:
        """While the disk is busy with one write, what comes meanwhile waits and becomes one more."""
        writer = self.spool.create()
        self.body_worker.paused = True
        for number in range(10):
            writer.write(bytes([number]) * LARGE)
        self.body_worker.resume()
        self.assertEqual(len(self.body_worker.groups) - 1, 2)
        committed = self.successResultOf(self.commit(writer))
        assert committed.content.path is not None
        self.assertEqual(
            Path(committed.content.path).read_bytes(), b"".join(bytes([number]) * LARGE for number in range(10))
        )

    def test_insertion(self) -> None:
        """Octets can be put between those that were written, however many have to move for them."""
        octets = bytes(number % 251 for number in range(MOVED_OCTETS + LARGE))
        for offset in (0, 10, len(octets) - 1, len(octets)):
            writer = self.spool.create()
            writer.write(octets)
            self.successResultOf(begun(writer.insert(offset, b"in between")))
            self.assertEqual(writer.size_octets, len(octets) + 10)
            self.successResultOf(begun(writer.insert(0, b"first")))
            content = self.successResultOf(begun(writer.content()))
            assert content.path is not None
            expected = b"first" + octets[:offset] + b"in between" + octets[offset:]
            self.assertEqual(Path(content.path).read_bytes(), expected)
            committed = self.successResultOf(self.commit(writer))
            assert committed.content.path is not None
            self.assertEqual(Path(committed.content.path).read_bytes(), expected)

    def test_insertion_into_a_row(self) -> None:
        """The same where there is no file."""
        writer = self.spool.create()
        writer.write(b"ac")
        writer.write(b"de")
        self.successResultOf(begun(writer.insert(1, b"b")))
        self.assertEqual(self.successResultOf(begun(writer.content())).data, b"abcde")
        self.assertEqual(self.successResultOf(self.commit(writer)).content.data, b"abcde")

    def test_insertion_without_room(self) -> None:
        """A disk that is full says so, and nothing is left of the message."""
        writer = self.spool.create()
        writer.write(bytes(LARGE))
        self.patch(Disk, "write_at", no_room)
        failure = self.failureResultOf(begun(writer.insert(0, b"x")))
        failure.trap(SpoolFullError)
        writer.abort()
        self.assertEqual(self.body_files(), [])

    def test_congestion(self) -> None:
        """A writer is congested above a mebibyte on its way to the disk, and drains when nearly all has been written."""
        writer = self.spool.create()
        self.body_worker.paused = True
        writer.write(bytes(CONGESTED_OCTETS - 1))
        self.assertFalse(writer.congested)
        writer.write(b"x")
        self.assertFalse(writer.congested)
        writer.write(b"x")
        self.assertTrue(writer.congested)
        drained = begun(writer.drained())
        self.assertNoResult(drained)
        self.body_worker.resume()
        self.successResultOf(drained)
        self.assertFalse(writer.congested)
        writer.abort()

    def test_drained_before_the_last_octet(self) -> None:
        """The next write is asked for while the disk still has some to do, so that it never waits."""
        writer = self.spool.create()
        self.body_worker.paused = True
        writer.write(bytes(CONGESTED_OCTETS))
        writer.write(bytes(DRAINED_OCTETS))
        drained = begun(writer.drained())
        self.body_worker.step()
        self.successResultOf(drained)
        self.assertFalse(writer.congested)
        self.body_worker.resume()
        writer.abort()

    def test_small_messages_never_wait(self) -> None:
        """A message in memory is neither congested nor has it anything to drain."""
        writer = self.spool.create()
        writer.write(bytes(MAX_ROW_OCTETS))
        self.assertFalse(writer.congested)
        self.successResultOf(begun(writer.drained()))
        writer.abort()
        self.assertEqual(self.body_files(), [])

    def test_abort(self) -> None:
        """The file of a message that is given up goes, before, while and after the disk works on it."""
        writer = self.spool.create()
        writer.write(bytes(LARGE))
        writer.abort()
        writer.abort()
        self.assertEqual(self.body_files(), [])
        writer = self.spool.create()
        self.body_worker.paused = True
        writer.write(bytes(LARGE))
        writer.write(bytes(LARGE))
        writer.abort()
        self.assertFalse(writer.congested)
        self.body_worker.resume()
        self.assertEqual(self.body_files(), [])

    def test_abort_after_commit(self) -> None:
        """What has been committed stays."""
        writer = self.spool.create()
        writer.write(bytes(LARGE))
        self.successResultOf(self.commit(writer))
        writer.abort()
        self.assertEqual(self.body_files(), [writer.queue_id])

    def test_durable_before_the_message_exists(self) -> None:
        """The octets are brought to the disk, then the name, then the message; a power cut finds no message without body."""
        steps: list[str] = []
        for name in ("make_directory", "open", "write", "sync", "sync_directory", "commit"):
            self.disk.__dict__[name] = self.noted(steps, name)
        self.large()
        self.assertEqual(
            steps, ["make_directory", "sync_directory", "open", "write", "sync", "sync_directory", "commit"]
        )

    def noted(self, steps: list[str], name: str) -> Callable[..., object]:
        """A step that is taken down before it is taken."""
        step: Callable[..., object] = getattr(self.disk, name)

        def take(*arguments: object) -> object:
            steps.append(name)
            return step(*arguments)

        return take

    def test_made_durable_together(self) -> None:
        """Bodies that end at the same time are synced one after the other, and their directory once."""
        writers = [self.spool.create() for _ in range(3)]
        for writer in writers:
            writer.write(bytes(LARGE))
        steps: list[str] = []
        for name in ("sync", "sync_directory"):
            self.disk.__dict__[name] = self.noted(steps, name)
        self.body_worker.paused = True
        committing = [self.commit(writer) for writer in writers]
        self.body_worker.resume()
        for each in committing:
            self.successResultOf(each)
        self.assertEqual(steps, ["sync", "sync", "sync", "sync_directory"])

    def test_one_of_several_fails(self) -> None:
        """A body that cannot be made durable harms no other of its group."""
        writers = [self.spool.create() for _ in range(3)]
        for writer in writers:
            writer.write(bytes(LARGE))
        sync = self.disk.sync
        calls: list[int] = []

        def second_fails(descriptor: int) -> None:
            calls.append(descriptor)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        self.disk.__dict__["sync"] = second_fails
        self.body_worker.paused = True
        first, second, third = (self.commit(writer) for writer in writers)
        self.body_worker.resume()
        self.failureResultOf(second, SpoolFullError)
        self.assertEqual(self.due_ids(), [self.successResultOf(each).queue_id for each in (first, third)])
        self.assertEqual(self.body_files(), [writers[0].queue_id, writers[2].queue_id])

    def test_synced_as_it_comes(self) -> None:
        """A very large body is brought to the disk piece by piece, so that its end does not hold up everybody else."""
        steps: list[str] = []
        self.disk.__dict__["sync"] = self.noted(steps, "sync")
        writer = self.spool.create()
        for _ in range((2 * SYNC_OCTETS + 2 * STEP_OCTETS) // 65536):
            writer.write(bytes(65536))
        self.done(writer.content())
        self.assertEqual(len(steps), 2)
        writer.abort()

    def test_written_in_steps(self) -> None:
        """What comes from the network bit by bit is written when it is enough, or when its end is asked for."""
        writer = self.spool.create()
        writer.write(bytes(LARGE))
        path = next(Path(self.directory, "bodies").rglob(writer.queue_id))
        self.assertEqual(path.stat().st_size, LARGE)
        for octets, written in (
            (STEP_OCTETS - 1, LARGE),
            (1, LARGE + STEP_OCTETS),
            (STEP_OCTETS + 1, LARGE + 2 * STEP_OCTETS + 1),
            (1, LARGE + 2 * STEP_OCTETS + 1),
        ):
            writer.write(bytes(octets))
            self.assertEqual(path.stat().st_size, written)
        self.assertEqual(self.done(writer.content()).size_octets, path.stat().st_size)
        writer.write(b"end")
        committed = self.successResultOf(self.commit(writer))
        self.assertEqual(path.read_bytes(), bytes(LARGE + 2 * STEP_OCTETS + 2) + b"end")
        self.assertEqual(committed.content.path, str(path))

    def test_nothing_waits_behind_a_step(self) -> None:
        """What comes while a step is at work is written with the next, at once when there is enough of it."""
        writer, groups = self.spool.create(), self.body_worker.groups
        groups.clear()
        self.body_worker.paused = True
        writer.write(bytes(LARGE))
        writer.write(bytes(STEP_OCTETS))
        writer.write(b"more")
        self.body_worker.step()
        self.assertEqual(groups, [1])
        self.body_worker.step()
        writer.write(b"little")
        self.body_worker.step()
        self.assertEqual(groups, [1, 1])
        committing = self.commit(writer)
        self.body_worker.resume()
        expected = bytes(LARGE + STEP_OCTETS) + b"morelittle"
        self.assertEqual(Path(self.successResultOf(committing).content.path or "").read_bytes(), expected)

    def test_cancelled_before_the_body_is_durable(self) -> None:
        """A session that ends before the message exists leaves nothing behind."""
        writer = self.spool.create()
        writer.write(bytes(LARGE))
        self.body_worker.paused = True
        committing = self.commit(writer)
        committing.cancel()
        self.failureResultOf(committing, CancelledError)
        self.body_worker.resume()
        self.assertEqual(self.body_files(), [])
        self.assertEqual(self.due_ids(), [])

    def test_settled(self) -> None:
        """The file goes after the row, and only when the last recipient is finished."""
        committed = self.accept(envelope("a@example.com", "b@example.com"), bytes(LARGE))
        self.done(self.spool.settle(committed.queue_id, [Finished(1)], []))
        self.assertEqual(self.body_files(), [committed.queue_id])
        self.worker.paused = True
        settling = begun(self.spool.settle(committed.queue_id, [Finished(0)], []))
        self.assertEqual(self.body_files(), [committed.queue_id])
        self.worker.resume()
        self.successResultOf(settling)
        self.assertEqual(self.body_files(), [])

    def test_settled_after_a_restart(self) -> None:
        """A file from an earlier run goes with its message too."""
        committed = self.large()
        self.reopen()
        self.assertEqual(self.body_files(), [committed.queue_id])
        self.done(self.spool.settle(committed.queue_id, [Finished(0)], []))
        self.assertEqual(self.body_files(), [])

    def test_removed(self) -> None:
        """A message that the administrator takes out takes its file along."""
        committed = self.large()
        self.assertTrue(self.done(self.spool.remove(committed.queue_id, fact(Kind.REMOVED, committed.queue_id))))
        self.assertEqual(self.body_files(), [])

    def test_not_removable(self) -> None:
        """A file that cannot be removed is reported in the log, and goes when the spool is opened the next time."""
        for give_up in (self.settle_large, self.abort_large):
            unlink = self.disk.unlink
            self.disk.unlink = refuse  # type: ignore[method-assign]
            queue_id = give_up()
            self.assertEqual(self.body_files(), [queue_id])
            self.disk.unlink = unlink  # type: ignore[method-assign]
            self.reopen()
            self.assertEqual(self.body_files(), [])

    def settle_large(self) -> str:
        """Finish a message with a file."""
        committed = self.large()
        self.done(self.spool.settle(committed.queue_id, [Finished(0)], []))
        return committed.queue_id

    def abort_large(self) -> str:
        """Give up a message with a file."""
        writer = self.spool.create()
        writer.write(bytes(LARGE))
        writer.abort()
        return str(writer.queue_id)

    def test_vanished(self) -> None:
        """That a file is gone already is no fault."""
        committed = self.large()
        assert committed.content.path is not None
        os.unlink(committed.content.path)
        self.done(self.spool.settle(committed.queue_id, [Finished(0)], []))
        self.assertEqual(self.done(self.spool.select(None)), [])

    def test_left_over(self) -> None:
        """Opening removes files of messages that do not exist, and nothing else."""
        committed = self.large()
        assert committed.content.path is not None
        directory = Path(committed.content.path).parent
        orphan = directory / f"0000{directory.name}000000"
        stranger = directory / "README"
        for path in (orphan, stranger):
            path.write_bytes(b"x")
        (Path(self.directory) / "bodies" / "stray").write_bytes(b"x")
        self.reopen()
        self.assertEqual(self.body_files(), sorted([committed.queue_id, "README", "stray"]))

    def test_disk_full(self) -> None:
        """No room for a body: SpoolFullError from drained() and commit(), nothing left behind; and then there is room again."""
        for error in (errno.ENOSPC, errno.EDQUOT):
            self.disk.error = error
            for step in ("open", "write"):
                writer = self.spool.create()
                self.disk.full = step
                writer.write(bytes(LARGE))
                writer.write(bytes(CONGESTED_OCTETS))
                self.failureResultOf(begun(writer.drained()), SpoolFullError)
                self.assertFalse(writer.congested)
                self.failureResultOf(self.commit(writer), SpoolFullError)
                self.assertEqual(self.body_files(), [])
                self.disk.full = ""
                self.done(self.spool.remove(self.large().queue_id, fact(Kind.REMOVED)))

    def test_disk_full_at_the_end(self) -> None:
        """That there is no room may show only when the octets or the name are brought to the disk."""
        for step in ("sync", "sync_directory"):
            writer = self.spool.create()
            writer.write(bytes(LARGE))
            self.disk.full = step
            self.failureResultOf(self.commit(writer), SpoolFullError)
            self.disk.full = ""
            self.assertEqual(self.body_files(), [])
        self.assertEqual(self.due_ids(), [])

    def test_disk_full_while_draining(self) -> None:
        """Whoever waits for the disk is told when it fails."""
        writer = self.spool.create()
        self.body_worker.paused = True
        writer.write(bytes(2 * CONGESTED_OCTETS))
        drained = begun(writer.drained())
        self.disk.full = "write"
        self.body_worker.resume()
        self.failureResultOf(drained, SpoolFullError)
        writer.abort()
        self.assertEqual(self.body_files(), [])

    def test_other_faults(self) -> None:
        """A fault of the disk that is not a matter of room is not called one."""
        self.disk.error = errno.EIO
        for step in ("write", "sync"):
            self.disk.full = step
            writer = self.spool.create()
            writer.write(bytes(LARGE))
            failure = self.failureResultOf(self.commit(writer))
            self.assertIsInstance(failure, Failure)
            self.assertEqual(failure.check(SpoolFullError), None)
            self.assertEqual(failure.check(OSError), OSError)
            self.disk.full = ""
        self.assertEqual(self.body_files(), [])

    def test_fault_of_the_database(self) -> None:
        """When the transaction fails, the body file that was written for it goes."""
        sent = envelope("\udcff@example.com")
        failing = begun(self.accepting(sent, bytes(LARGE), destinations={"\udcff@example.com": "local:a"}))
        self.failureResultOf(failing, UnicodeEncodeError)
        self.assertEqual(self.body_files(), [])

    def test_write_after_the_spool_was_closed(self) -> None:
        """A session that outlives the spool does no harm; what it leaves goes at the next start."""
        writer = self.spool.create()
        writer.write(bytes(LARGE))
        self.done(self.spool.close())
        writer.write(bytes(LARGE))
        writer.abort()
        self.spool = self.opened()
        self.assertEqual(self.body_files(), [])


def refuse(path: str) -> None:
    """What a disk that has become read-only says."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
