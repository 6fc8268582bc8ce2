"""``[route:NAME]`` in the configuration."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import ConfigError
from hermes.config.loader import load
from hermes.config.sections.routes import MAX_TEXT, REFUSED, lmtp_place, routes_of, way_of
from hermes.core.route import Route
from tests.support.configuration import write_config


class WayTests(SynchronousTestCase):
    """way_of() and lmtp_place()."""

    def test_ways(self) -> None:
        """Every way there is."""
        for text, way in (
            ("smarthost:office", ("smarthost", "office")),
            ("direct", ("direct", "")),
            ("lmtp:127.0.0.1:24", ("lmtp", "127.0.0.1:24")),
            ("lmtp:unix:/run/lmtp", ("lmtp", "unix:/run/lmtp")),
            ("pipe:/usr/bin/tool --in 'a b:c'", ("pipe", "/usr/bin/tool --in 'a b:c'")),
            ("hold", ("hold", "")),
            ("discard", ("discard", "")),
            ("refuse", ("refuse", REFUSED)),
            ("refuse Ask us at +1: 555", ("refuse", "Ask us at +1: 555")),
        ):
            self.assertEqual(way_of(text), way)

    def test_no_ways(self) -> None:
        """What is none is refused with words that help."""
        for text in (
            "",
            "pigeon",
            "smarthost",
            "smarthost:",
            "direct:example.net",
            "hold:x",
            "pipe: ",
            "refused",
            "lmtp",
        ):
            self.assertIn("is not a way: write", str(self.assertRaises(ValueError, way_of, text)), text)

    def test_text(self) -> None:
        """The words of a refusal fit into a line of a reply."""
        for length in (MAX_TEXT - 1, MAX_TEXT):
            self.assertEqual(way_of(f"refuse {'x' * length}")[1], "x" * length)
        for text in ("x" * (MAX_TEXT + 1), "Schöne Grüße", "a\x07b"):
            self.assertIn("one line", str(self.assertRaises(ValueError, way_of, f"refuse {text}")))

    def test_places(self) -> None:
        """LMTP is spoken to a host and port, or at a socket; never on port 25 (RFC 2033 5)."""
        for text, place in (
            ("127.0.0.1:24", ("127.0.0.1", 24, "")),
            ("[::1]:1", ("::1", 1, "")),
            ("store.example.org:65535", ("store.example.org", 65535, "")),
            ("unix:/run/lmtp", ("", 0, "/run/lmtp")),
        ):
            self.assertEqual(lmtp_place(text), place)
        for text, words in (
            ("127.0.0.1", "write HOST:PORT"),
            ("127.0.0.1:0", "write HOST:PORT"),
            ("127.0.0.1:65536", "write HOST:PORT"),
            ("127.0.0.1:x", "write HOST:PORT"),
            ("127.0.0.1:25", "not spoken on port 25"),
            ("a_b:24", "not a domain name"),
            ("unix:lmtp", "names no socket"),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, lmtp_place, text)), text)


class SectionTests(SynchronousTestCase):
    """Whole sections."""

    def test_table(self) -> None:
        """The routes, in the order of the file."""
        text = (
            "[route:b]\nrecipients = example.net, x@example.com\nto = hold\n[route:a]\nsenders = <>\nto = refuse No\n"
        )
        settings = load(write_config(self, text))
        table = routes_of(settings.route)
        self.assertEqual(table.named("b"), Route("b", ("example.net", "x@example.com"), (), "hold"))
        self.assertEqual(table.named("a"), Route("a", (), ("<>",), "refuse", "No"))

    def test_faults(self) -> None:
        """Each fault is told with its place."""
        for lines, where, words in (
            ("recipients = *@*\nto = hold", ":2: [route:r] recipients", "names no addresses"),
            ("senders = @\nto = hold", ":2: [route:r] senders", "names no addresses"),
            ("to = hold", ":1: [route:r] recipients", "the route is for all mail"),
            ("recipients = *\nto = up", ":3: [route:r] to", "'up' is not a way"),
            ("recipients = *", ":1: [route:r] to", "'' is not a way"),
            ("recipients = *\nto = smarthost:x", ":3: [route:r] to", "there is no smart host 'x': there are none"),
            ("recipients = *\nto = direct", ":3: [route:r] to", "[direct]"),
            ("recipients = *\nto = hold\nopen = yes", ":4: [route:r] open", "everybody could send"),
            ("senders = <>\nto = hold\nopen = yes", ":4: [route:r] open", "everybody could send"),
        ):
            error = self.assertRaises(ConfigError, load, write_config(self, f"[route:r]\n{lines}\n"))
            self.assertEqual(len(error.problems), 1, str(error))
            self.assertIn(where, str(error))
            self.assertIn(words, str(error))
        load(write_config(self, "[route:r]\nrecipients = example.net\nto = hold\nopen = yes\n"))
