"""Settings with which every check of the SMTP server is on, and the files that they name."""

from __future__ import annotations

from pathlib import Path

FILTERS = """\
H, "*badhost*", RS, "554 Not you"
D, "*later*", F, "554 Not you either"
M, "*<spam@*", F, "550 No thank you"
R, "*trap@*", BS, "554 That was a trap"
S, "*buy now*", R, "554 We do not buy"
S, "*watch*", L, "somebody writes about watches"
"""

SETTINGS = """\
[filters]
file = transflt.mer

[compliance]
require_size = no
killfile = killfile.txt
exceptions = exceptions.txt
refuse_not_mime = yes
require_subject = text
require_date = yes
refuse_html_only = yes
no_longer_valid = gone.txt

[dnsbl:zen]
zone = zen.example.net
action = reject

[sender_checks]
no_reverse_name = score 3
unconfirmed_reverse_name = score 2
own_hello = refuse
address_hello = refuse
unqualified_hello = score 2
unknown_hello = score 1
unknown_sender = refuse
null_mx_sender = refuse
refuse_above = 7

[greylist]
enabled = yes

[rates]
address_messages = 1000/minute
address_recipients = 1000/minute
address_octets = 100M/hour
network_messages = 1000/minute
network_recipients = 1000/minute
network_octets = 100M/hour
account_messages = 1000/minute
account_recipients = 1000/minute
account_octets = 100M/hour
"""


def write_files(directory: Path) -> None:
    """Write the files into the directory that paths in the settings begin at."""
    directory.mkdir(exist_ok=True)
    (directory / "transflt.mer").write_text(FILTERS)
    (directory / "killfile.txt").write_text("killed@example.net\n*@bad.example\n")
    (directory / "exceptions.txt").write_text("friend@example.net\n")
    (directory / "gone.txt").write_text("joe@example.org Joe has left us\n")
