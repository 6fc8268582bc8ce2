"""Mercury's list of foreign boxes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hermes.config.errors import MercuryFileError
from hermes.config.loader import load
from hermes.config.mercury_collectors import sections_of_boxes
from tests.support.configuration import MINIMAL, write_config


class MercuryBoxesTests(SynchronousTestCase):
    """``MERCURYD.DAT`` (mercuryd.dat of the distribution)."""

    def test_boxes(self) -> None:
        """What is printed can be put into config.ini as it is, and says what Mercury's file said."""
        text = (
            "# comment\n\npop.example.net,joe,secret,joe,-\npop.example.net,info@example.org,pw,-,anna\n"
            "mail.example.net:1110,joe,x,-,-\n"
        )
        settings = load(write_config(self, MINIMAL + sections_of_boxes(text, "MERCURYD.DAT")))
        one, many, third = settings.collector.values()
        self.assertEqual(list(settings.collector), ["joe", "info", "joe-2"])
        self.assertEqual((one.host, one.port, one.username, one.password), ("pop.example.net", 110, "joe", "secret"))
        self.assertEqual((one.account, one.tls), ("joe", "starttls"))
        self.assertEqual((many.account, many.default, many.username), ("", "anna", "info@example.org"))
        self.assertEqual((third.host, third.port, third.default), ("mail.example.net", 1110, ""))

    def test_encrypted(self) -> None:
        """A password that only Mercury can read is not taken over, and where to write it is said."""
        printed = sections_of_boxes("[Encrypted]\npop.example.net,joe,A1B2C3,joe,-,8\n", "f")
        self.assertNotIn("A1B2C3", printed)
        self.assertIn("password = file:joe.password", printed)
        self.assertIn("number for port and TLS was 8", printed)
        self.assertIn("password = file:joe.password", sections_of_boxes("h.example,joe,-,joe\n", "f"))

    def test_wrong(self) -> None:
        """What is no box is told with file and line, all at once."""
        with self.assertRaises(MercuryFileError) as caught:
            sections_of_boxes("a,b\n-,joe,x,joe,-\na,-,x,joe,-\n1,2,3,4,5,6,7\n", "M.DAT")
        told = str(caught.exception).splitlines()
        self.assertEqual([line.partition(": ")[0] for line in told], ["M.DAT:1", "M.DAT:2", "M.DAT:3", "M.DAT:4"])

    @given(st.text(max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever stands there, there are sections or there is an error."""
        try:
            sections_of_boxes(text, "f")
        except MercuryFileError as error:
            self.assertTrue(str(error))
