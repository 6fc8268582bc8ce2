"""Mercury's definitions of lists, as sections of ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import MercuryFileError
from hermes.config.loader import load
from hermes.config.mercury_lists import sections_of_mercury
from tests.support.configuration import write_config

MERCURY = """\
# Spam control definitions
Begin
   Name: Spamhaus ZEN
   Enabled: Y
   QueryType: Blacklist
   QueryForm: Address
   Hostname: zen.spamhaus.org
   Strictness: Range 127.0.0.2 - 127.0.0.11
   Action: Reject
   Parameter: Sorry; see http://www.spamhaus.org
End

begin
NAME: Friends
Enabled: n
QueryType: whitelist
QueryForm: domain
Hostname: list.example
Strictness: Draconian
End
Begin
Name: Friends
Hostname: tag.example
Strictness: Normal
Action: Tag
Parameter: X-Blocked: by tag.example
End
Begin
Hostname: to.example
Action: Redirect
Parameter: spam@example.org
End
"""


class MercuryListsTests(SynchronousTestCase):
    """``MS_SPAM.MER``."""

    def refused(self, text: str, *problems: str) -> None:
        """What is wrong, line by line."""
        error = self.assertRaises(MercuryFileError, sections_of_mercury, text, "MS_SPAM.MER")
        lines = str(error).split("\n")
        self.assertEqual(len(lines), len(problems), lines)
        for line, problem in zip(lines, problems, strict=True):
            self.assertIn(problem, line)

    def test_whole(self) -> None:
        """What is printed is a configuration that says the same, in the same order."""
        settings = load(write_config(self, sections_of_mercury(MERCURY, "MS_SPAM.MER")))
        self.assertEqual(list(settings.dnsbl), ["spamhaus-zen", "friends", "friends-2", "to-example"])
        zen, friends, tag, to = settings.dnsbl.values()
        self.assertEqual((zen.zone, zen.answers), ("zen.spamhaus.org", "127.0.0.2-127.0.0.11"))
        self.assertEqual((zen.enabled, zen.action, zen.text), (True, "reject", "Sorry; see http://www.spamhaus.org"))
        self.assertEqual(
            (friends.enabled, friends.kind, friends.lookup, friends.answers), (False, "whitelist", "domain", "any")
        )
        self.assertEqual((tag.action, tag.header, tag.answers), ("tag", "X-Blocked: by tag.example", "normal"))
        self.assertEqual((to.action, to.redirect_to), ("redirect", "spam@example.org"))

    def test_problems(self) -> None:
        """All problems are told at once, each with its line."""
        self.refused(
            "Hostname: x\nBegin\nColor: red\nEnabled: maybe\nHostname:\nStrictness: Range 1.2.3.4 - 5.6.7.8\nBegin\n"
            "Hostname: x.example\nAction: Tag\nParameter: no header\nEnd\nEnd\nBegin\nHostname: y.example\nParameter: \u00e9\n",
            "MS_SPAM.MER:1: 'Hostname: x' stands outside",
            "MS_SPAM.MER:2: the definition has no Hostname",
            "MS_SPAM.MER:3: 'Color: red' is not a property",
            "MS_SPAM.MER:4: enabled: 'maybe' is not one of",
            "MS_SPAM.MER:5: hostname: is empty",
            "MS_SPAM.MER:6: strictness: 1.2.3.4-5.6.7.8",
            "MS_SPAM.MER:7: the definition of line 2 has no End",
            "MS_SPAM.MER:10: parameter: 'no header'",
            "MS_SPAM.MER:12: there is no Begin",
            "MS_SPAM.MER:13: this Begin has no End",
            "MS_SPAM.MER:15: parameter: is said in a reply",
        )

    def test_nothing(self) -> None:
        """A file of comments has no lists."""
        self.assertEqual(sections_of_mercury("# nothing\n\n", "x"), "")

    @given(st.text(), st.lists(st.sampled_from(MERCURY.splitlines()), max_size=30))
    def test_anything(self, text: str, lines: list[str]) -> None:
        """Whatever the file holds, it is read or refused."""
        for each in (text, "\n".join(lines), f"Begin\nName: {text}\nHostname: a.example\nEnd"):
            try:
                sections_of_mercury(each, "x")
            except MercuryFileError as error:
                self.assertTrue(str(error).startswith("x:"))
