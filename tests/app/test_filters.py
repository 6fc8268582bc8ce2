"""Filters in a whole server: in force, and refused as a whole when a line of their file is wrong."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.support.ports import free_port
from tests.support.server import ServerTestCase, Talk


class FiltersTests(ServerTestCase):
    """A file of filters, and sections."""

    async def test_in_force(self) -> None:
        """File and sections hold at once; a reload with a mistake in the file is refused, with its line, and changes nothing."""
        port, file = free_port(), Path(self.directory()) / "t.mer"
        file.write_text('H, "*bad*", F, "550 By the file"\n')
        server = await self.start(
            f"[smtp]\nlisten = 127.0.0.1:{port}\n[filters]\nfile = {file}\n[filter:own]\npattern = *worse*\ntext = 550 Mine\n"
        )

        def greet() -> list[str]:
            talk = Talk(("127.0.0.1", port))
            said = [talk.say(f"HELO {name}") for name in ("bad", "worse", "[127.0.0.1]")]
            talk.close()
            return said

        expected = ["550 By the file", "550 Mine", "250 mail.example.org Hello [127.0.0.1]"]
        self.assertEqual(await deferToThread(greet), expected)
        file.write_text('H, "*", F\nH, "*", Q\n')
        with self.assertRaises(ValueError) as caught:
            await server.reload()
        self.assertIn(f"{file}:2: has no action", str(caught.exception))
        self.assertEqual(await deferToThread(greet), expected)

    async def test_compliance(self) -> None:
        """Strangers' mail is looked at, by settings and files; who writes to an address that is gone is told."""
        port, directory = free_port(), Path(self.directory())
        for name, text in (
            ("kill", "*@example.net\n"),
            ("except", "good@example.com\n"),
            ("gone", "joe@example.org Gone\n"),
        ):
            (directory / name).write_text(text)
        await self.start(
            f"[smtp]\nlisten = 127.0.0.1:{port}\nfront_ends = 127.0.0.1\n[compliance]\nrefuse_html_only = yes\n"
            f"killfile = {directory}/kill\nexceptions = {directory}/except\nno_longer_valid = {directory}/gone\n"
        )

        def talk() -> list[str]:
            client = Talk(("127.0.0.1", port))
            client.say("XCLIENT ADDR=192.0.2.7")
            client.say("HELO x")
            said = [client.say("MAIL FROM:<x@example.net>")]
            for sender in ("a@example.com", "good@example.com"):
                client.say(f"MAIL FROM:<{sender}>")
                said.append(client.say("RCPT TO:<joe@example.org>"))
                client.say("RCPT TO:<anna@example.org>")
                client.say("DATA")
                said.append(client.say("Content-Type: text/html\r\n\r\n<p>\r\n."))
            client.close()
            return [line[:9] for line in said]

        expected = ["550 5.7.1", "550 5.1.6", "550 5.6.0", "550 5.1.6", "250 2.0.0"]
        self.assertEqual(await deferToThread(talk), expected)

    def test_mistake_at_the_start(self) -> None:
        """A server does not start with a file that is not there, or that it does not understand."""
        file = Path(self.directory()) / "t.mer"
        self.assertIn(f"{file}: cannot be read: No such file", self.cannot_be_made(f"[filters]\nfile = {file}\n"))
        file.write_text("\nH\n")
        self.assertIn(f"{file}:2: has no expression", self.cannot_be_made(f"[filters]\nfile = {file}\n"))
