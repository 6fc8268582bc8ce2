"""A load balancer and a filter in front of a site, both played by swaks: it says by PROXY or XCLIENT whose mail it brings."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.catalog import SECTIONS
from tests.integration.site import PASSWORD, USER, Site, need, run

CLIENT = "192.0.2.9"

#: Where the front ends are. The tests themselves come from 127.0.0.1, and are none.
FRONT_END = "127.0.0.2"

#: The tests of strangers that ask the DNS.
TESTS = tuple(key for key, setting in SECTIONS["sender_checks"].settings.items() if setting.kind == "text")

#: Submission: a login, and an address of its own.
LOGIN = ("--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD, "--from", "joe@example.org")


class FrontEndTests(SynchronousTestCase):
    """One site, of which a part of this machine is the front."""

    skip = need("swaks")
    settings = f"front_ends = {FRONT_END}/32\n"

    def setUp(self) -> None:
        """Start it."""
        self.site = Site()
        self.addCleanup(self.site.close)
        text = self.site.config.read_text()
        text = text.replace("[smtp]\n", f"[smtp]\n{self.settings}", 1)
        # These clients are made up, and no name server shall be asked about them.
        off = "".join(f"{test} = off\n" for test in TESTS)
        self.site.config.write_text(text.replace("[sender_checks]\n", f"[sender_checks]\n{off}", 1))
        self.site.start()

    def swaks(self, *options: str, port: str = "smtp", source: str = FRONT_END, check: bool = True) -> str:
        """Run swaks from an address of this machine; its transcript."""
        done = run(
            "swaks", "--server", "127.0.0.1", "--port", str(self.site.ports[port]), "--local-interface", source,
            "--from", "sender@example.net", "--to", "joe@example.org", "--helo", "front.example.net", *options, check=check,
        )  # fmt: skip
        return done.stdout.decode()

    def received(self) -> dict[str, Any]:
        """What the trace has of the message that came."""
        self.site.wait_for_messages(1)
        (event,) = [event for event in self.site.ask("track", "joe@example.org") if event["event"] == "received"]
        return dict(event)


class XClientTests(FrontEndTests):
    """swaks --xclient."""

    def test_attributes(self) -> None:
        """Address, name and protocol are the client's, in the trace and in Received:."""
        self.swaks("--xclient-addr", CLIENT, "--xclient-helo", "client.example.net", "--xclient-proto", "SMTP")
        event = self.received()
        self.assertEqual((event["peer"], event["via"], event["hello"]), (CLIENT, FRONT_END, "client.example.net"))
        (message,) = self.site.messages()
        self.assertRegex(
            message, rb"Received: from client\.example\.net \(\[192\.0\.2\.9\]\) by mail\.example\.org\s+with SMTP\b"
        )

    def test_in_parts(self) -> None:
        """What several commands say adds up, and one may be written by hand."""
        self.swaks(
            "--xclient-helo",
            "client.example.net",
            "--xclient",
            "ADDR=IPV6:2001:db8::9",
            "--xclient-name",
            "[TEMPUNAVAIL]",
        )
        event = self.received()
        self.assertEqual(
            (event["peer"], event["via"], event["hello"]), ("2001:db8::9", FRONT_END, "client.example.net")
        )

    def test_pipelining(self) -> None:
        """It goes together with pipelining."""
        self.swaks("--pipeline", "--xclient-addr", CLIENT)
        self.assertEqual(self.received()["peer"], CLIENT)

    def test_with_tls_and_login(self) -> None:
        """After STARTTLS, before the login."""
        self.swaks(
            *("--tls", "--xclient-addr", CLIENT), *LOGIN, port="submission",
        )  # fmt: skip
        event = self.received()
        self.assertEqual((event["peer"], event["account"], event["protocol"]), (CLIENT, USER, "ESMTPSA"))

    def test_strangers(self) -> None:
        """To others it is not offered, and it is refused."""
        transcript = self.swaks("--xclient", f"ADDR={CLIENT}", "--xclient-no-verify", source="127.0.0.1", check=False)
        self.assertNotIn("250-XCLIENT", transcript)
        self.assertEqual(self.site.messages(), [])


class ProxyTests(FrontEndTests):
    """swaks --proxy."""

    settings = f"front_ends = {FRONT_END}/32\nproxy_protocol = yes\n"

    def proxied(
        self, version: str, family: str = "TCP4", source: str = CLIENT, dest: str = "198.51.100.1"
    ) -> list[str]:
        """The options for a header."""
        return [
            *(
                "--proxy-version",
                version,
                "--proxy-family",
                family,
                "--proxy-source",
                source,
                "--proxy-source-port",
                "40000",
            ),
            *("--proxy-dest", dest, "--proxy-dest-port", "25"),
        ]

    def test_version_1(self) -> None:
        """The line."""
        self.swaks(*self.proxied("1"))
        event = self.received()
        self.assertEqual((event["peer"], event["via"]), (CLIENT, FRONT_END))

    def test_version_2(self) -> None:
        """The octets."""
        self.swaks(*self.proxied("2", "AF_INET"))
        event = self.received()
        self.assertEqual((event["peer"], event["via"]), (CLIENT, FRONT_END))

    def test_ipv6(self) -> None:
        """A client that came by IPv6."""
        self.swaks(*self.proxied("1", "TCP6", "2001:db8::9", "2001:db8::1"))
        self.assertEqual(self.received()["peer"], "2001:db8::9")

    def test_implicit_tls(self) -> None:
        """The header comes before TLS."""
        self.swaks(
            *self.proxied("1"), "--tls-on-connect", *LOGIN, port="submissions",
        )  # fmt: skip
        event = self.received()
        self.assertEqual((event["peer"], event["account"]), (CLIENT, USER))

    def test_strangers(self) -> None:
        """Others are served without a header, and with one they are not believed."""
        self.swaks(source="127.0.0.1")
        self.assertEqual(self.received()["peer"], "127.0.0.1")
        self.swaks(*self.proxied("1"), source="127.0.0.1", check=False)
        self.assertEqual(
            {event.get("peer") for event in self.site.ask("track", "joe@example.org")} - {None}, {"127.0.0.1"}
        )
