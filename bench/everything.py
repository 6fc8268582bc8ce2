"""Settings with which every check is on that needs no network, and the files that they name."""

from __future__ import annotations

from pathlib import Path

#: Without them nothing is asked of the DNS, and nothing is counted but what accounts send.
OFF = """
[sender_checks]
no_reverse_name = off
unconfirmed_reverse_name = off
own_hello = off
address_hello = off
unqualified_hello = off
unknown_hello = off
unknown_sender = off
null_mx_sender = off
"""

#: The limits are never reached. Greylisting is for the measurement inside one process: others would have to wait.
ON = """
[filters]
file = transflt.mer

[compliance]
require_size = yes
killfile = killfile.txt
exceptions = exceptions.txt
refuse_not_mime = yes
require_subject = text
require_date = yes
refuse_html_only = yes
no_longer_valid = gone.txt

[sender_checks]
no_reverse_name = off
unconfirmed_reverse_name = off
own_hello = refuse
address_hello = refuse
unqualified_hello = refuse
unknown_hello = off
unknown_sender = off
null_mx_sender = off

[rates]
address_messages = 90000000/minute, 90000000/hour, 90000000/day
address_recipients = 90000000/minute, 90000000/hour, 90000000/day
address_octets = 9000G/minute, 9000G/hour, 9000G/day
network_messages = 90000000/minute, 90000000/hour, 90000000/day
network_recipients = 90000000/minute, 90000000/hour, 90000000/day
network_octets = 9000G/minute, 9000G/hour, 9000G/day
"""

#: A hundred entries of connection control, of which none is about the client.
ENTRIES = "".join(f"\n[access:net{n}]\naddresses = 198.18.{n}.0/24\naction = refuse\n" for n in range(100))


def write_files(data: Path) -> None:
    """Lists as a busy site has them: twenty filters, four for each stage, ten thousand entries in the killfile, as many moved."""
    filters = [f'{stage}, "*bad{n}*{stage}*", F, "554 5.7.1 No"' for n in range(4) for stage in "HDMRS"]
    (data / "transflt.mer").write_text("\n".join(filters) + "\n")
    (data / "killfile.txt").write_text("".join(f"spam{n}@example{n}.com\n" for n in range(10_000)))
    (data / "exceptions.txt").write_text("".join(f"friend{n}@example.com\n" for n in range(100)))
    (data / "gone.txt").write_text("".join(f"gone{n}@example.org Write to somebody else\n" for n in range(10_000)))
