"""The section ``[sender_checks]``: reverse DNS, the name in HELO, and the domain of the sender."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class SenderChecksSettings:
    """
    What the DNS says about strangers who send: reverse DNS, the name in HELO, and the domain of the sender's address.

    What is done when a test fails is off (it is not made), note (the trace has it), score N (N points against the message, and
    noted), or refuse. Mail for postmaster, and clients who have logged in, may relay or are exempt, are not checked.
    """

    no_reverse_name: str = setting("text", "note", "The client's address has no name in reverse DNS.")
    unconfirmed_reverse_name: str = setting("text", "note", "It has one, and no such name leads back to the address.")
    own_hello: str = setting(
        "text", "note", "The client calls itself by our own name, one of our domains, or our address."
    )
    address_hello: str = setting("text", "note", "It gives an address without brackets instead of a name.")
    unqualified_hello: str = setting("text", "note", "It gives a name without a dot, like localhost.")
    unknown_hello: str = setting("text", "note", "It gives a name that has neither address nor MX in the DNS.")
    unknown_sender: str = setting(
        "text", "note", "The domain of the sender's address has neither MX nor address: nobody could answer."
    )
    null_mx_sender: str = setting("text", "note", "That domain says that it has no mail at all (null MX).")
    dns_failure: str = setting(
        "choice",
        "pass",
        "When a test that refuses could not be made since DNS gave no answer: pass, or later (451, and the client tries again).",
        choices=("pass", "later"),
    )
    refuse_above: int = setting(
        "number", 1000, "Points, of all checks together, above which a message is refused; 1000 are never reached."
    )
