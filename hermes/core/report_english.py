"""The texts of reports as they are built in: English. Each has the form of a file that can take its place."""

from __future__ import annotations

TEXTS = {
    "failure": """\
Subject: Your message could not be delivered

This is the mail server ~N.

Your message "~S" of ~p0 could not be delivered. It will not be tried again.

~R

~p7 Its number on this server was ~p3. If you need help, forward this whole report to ~p6.
""",
    "delay": """\
Subject: Your message has not been delivered yet

This is the mail server ~N.

Your message "~S" of ~p0 has not been delivered yet. You need not send it again: delivery will be tried until ~p5, and you will be told if it fails.

~R

~p7 Its number on this server is ~p3. If you need help, forward this whole report to ~p6.
""",  # noqa: E501 - long lines are folded when a report is written
    "success": """\
Subject: Your message has been delivered

This is the mail server ~N.

You asked to be told when your message "~S" of ~p0 is delivered.

~R

~p7 Its number on this server was ~p3.
""",
    "relay": """\
Subject: Your message has been passed on

This is the mail server ~N.

You asked to be told when your message "~S" of ~p0 is delivered. It has been passed on; this server cannot say more.

~R

~p7 Its number on this server was ~p3.
""",
    "postmaster": """\
Subject: Copy for the postmaster: a message could not be delivered

This is the mail server ~N.

A message from ~p4, accepted on ~p0, could not be delivered. It will not be tried again.

~R

The header of the message is attached. Its number on this server was ~p3.
""",
    "confirmation": """\
Subject: Your message has arrived

This is the mail server ~N.

Your message "~S" of ~p0 was put into the mailbox of

~R

That does not mean that it has been read. You are told because the message asked for it, with Return-Receipt-To.
""",
    "transcript": """\
Subject: How your message was delivered

This is the mail server ~p6.

You asked for a transcript of the delivery of your message "~p1" of ~p2. Its number on this server is ~p4; what follows went on from ~p5 to ~p3.

~R
""",  # noqa: E501
}

PHRASES = """\
answered = The server ~h answered:
answered-unnamed = The other server answered:
wrong = What went wrong:
expired = It was tried again and again, for as long as this server does. At the last attempt:
delivered = The message has been delivered. That does not mean that it has been read.
relayed = The server ~h has taken the message. That server sends no confirmations, so this is the last one.
relayed-unnamed = The other server has taken the message. It sends no confirmations, so this is the last one.
expanded = The address stands for several recipients, and the message is on its way to each. You will be told only of those \
that cannot be reached.
more = And ~n more; the second part of this report says why:
nothing = (nothing)
whole = Your message is attached.
header = The header of your message is attached.
no-subject = (without a subject)
nobody = <> (the null sender: it was a report itself)
attempt = Attempt ~n at ~d
to = To:
result = Result:
host = Server:
tls = Encryption:
no-tls = none
reply = Answer:
next = Next attempt:
advice-1 = There is something wrong with the address. Compare it with one that you know to be right.
advice-1.1 = There is no such mailbox. Look for a typing error in the part before the @, and send the message again.
advice-1.2 = There is no such domain. Look for a typing error in the part after the @, and send the message again.
advice-1.8 = The other server did not like your own address. Ask whoever looks after your mail.
advice-1.10 = The domain does not take mail at all. Look for a typing error in the part after the @.
advice-2 = The mailbox cannot take mail at present. Try to reach the recipient in another way.
advice-2.1 = The mailbox is closed. Try to reach the recipient in another way.
advice-2.2 = The mailbox is full. Try again later, or reach the recipient in another way.
advice-2.3 = The message is too large for this mailbox. Send something smaller, or a link to it.
advice-3 = The other server could not handle the message. Try again later.
advice-3.4 = The message is too large. Send something smaller, or a link to it.
advice-4 = The other server could not be reached. It may be out of order, or the domain may be misspelt.
advice-4.4 = Nobody could say which server takes mail for this domain. Look for a typing error after the @.
advice-5 = The two servers did not understand one another. Tell whoever looks after your mail.
advice-6 = The other server cannot handle this kind of content. Send it in another form.
advice-6.7 = The other server cannot handle addresses with letters outside English. Ask for another address.
advice-7 = The other server refused the message by one of its rules; its words above may say which one.
"""
