"""``hermes user rename`` and ``erase`` while a server delivers, and when they are killed on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from hermes.app.accounts import local_accounts
from hermes.cli import user_change, user_data
from hermes.config.loader import load
from hermes.core.message import QueuedMessage
from hermes.core.outcome import Outcome, Result
from hermes.directory.app_password_file import AppPasswordFile
from hermes.directory.directory import Directory
from hermes.directory.sources.local import LocalAccounts
from hermes.directory.sources.watched import LOOK_SECONDS
from hermes.mailbox.delivery import LocalDelivery
from hermes.mailbox.deposit import Depositor
from tests.cli.test_user_life import AccountTestCase
from tests.support.accounts import passwords_with
from tests.support.maildirs import calling_worker, clock_at, content_of, files_in, mailboxes_in, queued
from tests.support.worker import ImmediateWorker


class _KilledError(BaseException):
    """The command is killed here."""


class DepartingTestCase(AccountTestCase):
    """A server's way of delivering to Bob, whose deliveries wait for the disk when a test wants it."""

    def setUp(self) -> None:
        """The server has read the accounts."""
        super().setUp()
        settings = load(self.config)
        self.clock = clock_at()
        self.source = local_accounts(settings).sources[0]
        self.source._now = self.clock.seconds
        self.source.load()
        directory = Directory(self.source, settings.hermes.domains, "", passwords_with())
        self.disk = ImmediateWorker()
        self.disk.start(Depositor().perform)
        self.mail = str(self.data / "mail")
        self.agent = LocalDelivery(mailboxes_in(self.mail, calling_worker(), self.clock), directory, self.disk)

    def message(self, number: int = 1, attempts: int = 0) -> QueuedMessage:
        """A message to Bob's address."""
        message = queued(content_of(b"Subject: x\n\nbody\n"), number=number, attempts=attempts)
        for recipient in message.recipients:
            recipient.address = "bob@example.org"
        return message

    def deliver(self, message: QueuedMessage) -> Deferred[list[Outcome]]:
        """Begin to."""
        return Deferred.fromCoroutine(self.agent.deliver("bob", message, message.recipients))

    def delivered(self, number: int = 1, attempts: int = 0) -> Result:
        """What comes of a message."""
        (outcome,) = self.successResultOf(self.deliver(self.message(number, attempts)))
        return outcome.result

    def mailboxes(self) -> list[str]:
        """Those that there are."""
        return sorted(name for name in os.listdir(self.mail) if not name.startswith("."))

    def count(self, name: str) -> int:
        """The messages in a mailbox."""
        return len(files_in(os.path.join(self.mail, name), "new"))


class RenameTests(DepartingTestCase):
    """Another name."""

    def test_under_way(self) -> None:
        """A delivery that looked the account up before is put off, leaves no old mailbox, and then finds the new one."""
        self.delivered(1)
        self.disk.paused = True
        waiting = self.deliver(self.message(2))
        self.hermes("rename", "bob", "robert")
        self.disk.resume()
        (outcome,) = self.successResultOf(waiting)
        self.assertIs(outcome.result, Result.DEFERRED)
        self.assertEqual(self.mailboxes(), ["robert"])
        # The server has not looked at the accounts since, and is as wrong about them as before.
        self.assertIs(self.delivered(3), Result.DEFERRED)
        self.assertEqual(self.mailboxes(), ["robert"])
        self.clock.advance(LOOK_SECONDS)
        for number in (2, 3):
            self.assertIs(self.delivered(number, attempts=1), Result.DELIVERED)
        self.assertEqual((self.mailboxes(), self.count("robert")), (["robert"], 3))

    def test_first_message(self) -> None:
        """The same for somebody who has had no mail yet, but others have."""
        (self.data / "mail").mkdir()
        self.disk.paused = True
        waiting = self.deliver(self.message())
        self.hermes("rename", "bob", "robert")
        self.disk.resume()
        self.assertIs(self.successResultOf(waiting)[0].result, Result.DEFERRED)
        self.assertEqual(self.mailboxes(), [])
        self.clock.advance(LOOK_SECONDS)
        self.assertIs(self.delivered(attempts=1), Result.DELIVERED)
        self.assertEqual(self.mailboxes(), ["robert"])

    def test_in_the_middle_of_a_delivery(self) -> None:
        """At whatever step of a delivery the mailbox gets another name: the message is there once, and nowhere else."""
        steps = ("create", "write", "fsync", "rename", "fsync new")
        for number, step in enumerate(steps, 1):
            old, new = ("bob", "robert") if number % 2 else ("robert", "bob")
            if number == 1:
                self.delivered(100)
            renamed: list[str] = []

            def before(each: str, step: str = step, old: str = old, new: str = new, done: list[str] = renamed) -> None:
                if each == step and not done:
                    done.append(each)
                    self.hermes("rename", old, new)

            disk = ImmediateWorker()
            disk.start(Depositor(before).perform)
            self.agent._worker = disk
            self.clock.advance(LOOK_SECONDS)
            message = self.message(number)
            self.successResultOf(Deferred.fromCoroutine(self.agent.deliver(old, message, message.recipients)))
            self.assertEqual(renamed, [step])
            self.assertEqual(self.mailboxes(), [new], step)
            self.clock.advance(LOOK_SECONDS)
            again = self.message(number, attempts=1)
            (outcome,) = self.successResultOf(Deferred.fromCoroutine(self.agent.deliver(old, again, again.recipients)))
            self.assertIs(outcome.result, Result.DELIVERED, step)
            self.assertEqual((self.mailboxes(), self.count(new)), ([new], number + 1), step)

    def test_killed(self) -> None:
        """Killed at whatever step, no old mailbox comes back; said again, everything is under the new name."""
        places: list[tuple[Any, str]] = [
            (user_change, "_move_mailbox"),
            (LocalAccounts, "change"),
            (AppPasswordFile, "rename"),
            (LocalAccounts, "rename"),
        ]
        for number, (owner, name) in enumerate(places, 1):
            for after in (False, True):
                with self.subTest(step=name, after=after):
                    old, new = f"old{number}{after}".lower(), f"new{number}{after}".lower()
                    self.run_hermes("user", "add", "-c", self.config, old, "--generate")
                    self.run_hermes("user", "app-password", "add", "-c", self.config, old, "phone")
                    os.makedirs(os.path.join(self.mail, old, "new"))
                    kill = self.patch(owner, name, _dying(getattr(owner, name), after))
                    try:
                        self.run_hermes("user", "rename", "-c", self.config, "--keep-address", old, new)
                    except _KilledError:
                        pass
                    else:
                        self.fail("it was to be killed")
                    kill.restore()
                    self.clock.advance(LOOK_SECONDS)
                    message = self.message(number)
                    before = self.mailboxes()
                    self.successResultOf(Deferred.fromCoroutine(self.agent.deliver(old, message, message.recipients)))
                    self.assertEqual(self.mailboxes(), before)
                    if any(each.name == old for each in local_accounts(load(self.config)).list()):
                        self.run_hermes("user", "rename", "-c", self.config, "--keep-address", old, new)
                    self.assertIn(new, self.mailboxes())
                    self.assertNotIn(old, self.mailboxes())
                    listed = self.run_json("user", "app-password", "list", "-c", self.config, new)
                    self.assertEqual([each["name"] for each in listed], ["phone"])

    def test_back_again(self) -> None:
        """Who gets the old name back, or is new under it, has mail at once."""
        self.delivered(1)
        self.hermes("rename", "bob", "robert")
        self.hermes("rename", "robert", "bob")
        self.clock.advance(LOOK_SECONDS)
        self.assertIs(self.delivered(2), Result.DELIVERED)
        self.hermes("rename", "bob", "robert")
        self.run_hermes("user", "add", "-c", self.config, "bob", "--generate")
        self.clock.advance(LOOK_SECONDS)
        self.assertIs(self.delivered(3), Result.DELIVERED)
        self.assertEqual((self.count("robert"), self.count("bob")), (2, 1))

    def test_refused(self) -> None:
        """A rename that is refused leaves everything as it was, for deliveries as well."""
        self.delivered(1)
        self.mailbox("robert")
        self.hermes("rename", "bob", "robert", exit_code=1)
        self.assertEqual([name for name in os.listdir(self.mail) if name.startswith(".")], [])
        self.assertIs(self.delivered(2), Result.DELIVERED)


class EraseTests(DepartingTestCase):
    """Gone for good."""

    def test_under_way(self) -> None:
        """A delivery that looked the account up before leaves no mailbox, and then there is nobody."""
        self.delivered(1)
        self.disk.paused = True
        waiting = self.deliver(self.message(2))
        self.hermes("erase", "bob", "--yes")
        self.disk.resume()
        self.assertIs(self.successResultOf(waiting)[0].result, Result.DEFERRED)
        self.assertIs(self.delivered(3), Result.DEFERRED)
        self.assertEqual(self.mailboxes(), [])
        self.clock.advance(LOOK_SECONDS)
        self.assertIs(self.delivered(2, attempts=1), Result.FAILED)
        self.assertEqual(self.mailboxes(), [])

    def test_somebody_new(self) -> None:
        """A new account of that name, also one of a table, has mail at once."""
        for add in (
            lambda: self.run_hermes("user", "add", "-c", self.config, "bob", "--generate"),
            lambda: self.hermes("import", self.table()),
        ):
            self.delivered(1)
            self.hermes("erase", "bob", "--yes")
            add()
            self.clock.advance(LOOK_SECONDS)
            self.assertIs(self.delivered(2), Result.DELIVERED)
            self.assertEqual(self.count("bob"), 1)

    def table(self) -> str:
        """A table with Bob."""
        path = self.data.parent / "people.csv"
        path.write_text("name\nbob\n")
        return str(path)

    def test_killed(self) -> None:
        """Killed before the mail is gone, what is left is no mailbox or still his, and goes when it is said again."""
        for after in (False, True):
            self.delivered(1)
            kill = self.patch(user_data, "_take_away", _dying(user_data._take_away, after))
            with self.assertRaises(_KilledError):
                self.hermes("erase", "bob", "--yes")
            kill.restore()
            self.clock.advance(LOOK_SECONDS)
            self.assertIs(self.delivered(2), Result.FAILED)
            if not after:
                self.hermes("erase", "bob", "--yes")
            self.assertEqual(self.mailboxes(), [])
            self.run_hermes("user", "add", "-c", self.config, "bob", "--generate")
            self.clock.advance(LOOK_SECONDS)
            self.source.load()


def _dying(original: Callable[..., Any], after: bool) -> Callable[..., Any]:
    """The same, at whose beginning or end the process dies."""

    def call(*arguments: Any, **more: Any) -> Any:
        if after:
            original(*arguments, **more)
        raise _KilledError

    return call
