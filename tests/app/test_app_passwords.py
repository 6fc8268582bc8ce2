"""App passwords with a whole server: made while it runs, used to send and to read, and taken away."""

from __future__ import annotations

import contextlib
import poplib
import re
import smtplib

from click.testing import CliRunner
from twisted.internet.threads import deferToThread

from hermes.cli.main import main
from hermes.core.event import Kind
from tests.app.test_mail import MailTestCase, _trusting
from tests.support.ports import free_port
from tests.support.server import PASSWORD, USER, Talk


class AppPasswordTests(MailTestCase):
    """A server at which Anna sends and reads."""

    def hermes(self, command: str, *words: str) -> str:
        """What the command line says, while the server runs."""
        result = CliRunner().invoke(main, ["user", "app-password", command, "-c", self.path, *words])
        self.assertEqual(result.exit_code, 0, result.output)
        return result.output

    def send(self, password: str) -> int:
        """The code of the answer to a login for sending."""
        with smtplib.SMTP("127.0.0.1", self.submission, timeout=10) as client:
            client.starttls(context=_trusting())
            client.ehlo()
            try:
                # One mechanism: login() would try the next one.
                client.user, client.password = USER, password
                return client.auth("PLAIN", client.auth_plain)[0]
            except smtplib.SMTPAuthenticationError as error:
                return error.smtp_code

    def read(self, password: str) -> bool:
        """Whether the mailbox is opened."""
        client = poplib.POP3("127.0.0.1", self.pop3, timeout=10)
        with contextlib.closing(client):
            client.user(USER)
            try:
                client.pass_(password)
            except poplib.error_proto:
                return False
            client.quit()
        return True

    async def test_life(self) -> None:
        """One opens what it is for, beside the account's own password; its name is in the trace; removed it opens nothing."""
        _, events = await self.mail_server(f"[poppass]\nlisten = 127.0.0.1:{(poppass := free_port())}\n")
        both = re.findall("password: (.*)", await deferToThread(self.hermes, "add", USER, "phone"))[0]
        reads = re.findall(
            "password: (.*)", await deferToThread(self.hermes, "add", USER, "reader", "--scope", "pop3")
        )[0]
        self.assertEqual(await deferToThread(self.send, both), 235)
        self.assertTrue(await deferToThread(self.read, both))
        self.assertTrue(await deferToThread(self.read, reads))
        self.assertEqual(await deferToThread(self.send, reads), 535)
        self.assertTrue(await deferToThread(self.read, PASSWORD))
        logins = await events.until(Kind.LOGIN, 5)
        self.assertEqual(
            [(each.facts["service"], each.facts["result"], each.facts.get("app_password")) for each in logins],
            [
                ("smtp", "accepted", "phone"),
                ("pop3", "accepted", "phone"),
                ("pop3", "accepted", "reader"),
                ("smtp", "refused", None),
                ("pop3", "accepted", None),
            ],
        )
        self.assertEqual(logins[3].facts["reason"], "the app password reader is not for smtp")
        listed = await deferToThread(self.hermes, "list", USER)
        self.assertEqual(len(re.findall(r"(?:smtp|pop3) 127\.0\.0\.1", listed)), 2, listed)
        self.assertRegex(await deferToThread(self.change, poppass, both), "^500")
        await deferToThread(self.hermes, "remove", USER, "phone")
        self.assertFalse(await deferToThread(self.read, both))
        self.assertTrue(await deferToThread(self.read, reads))

    def change(self, port: int, password: str) -> str:
        """What the password server says to it as the old password."""
        talk = Talk(("127.0.0.1", port))
        try:
            talk.say(f"user {USER}")
            return talk.say(f"pass {password}")
        finally:
            talk.close()
