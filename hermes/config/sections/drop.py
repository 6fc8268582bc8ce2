"""The drop directory: how programs on this machine hand over mail without a connection."""

from __future__ import annotations

import attrs

from hermes.config.setting import setting


@attrs.frozen
class DropSettings:
    """
    Taking mail from files: what ``hermes sendmail`` leaves, and what other programs do.

    Whoever may write into one of these directories may send to everybody, as any sender.
    """

    directory: str = setting(
        "path", "drop", "Where hermes sendmail leaves messages. Empty: nothing is taken.", fixed=True
    )
    shared: bool = setting(
        "flag",
        False,
        "Whether every user of this machine may leave messages there; the directory must then lie where they can reach it.",
        fixed=True,
    )
    queues: tuple[str, ...] = setting(
        "words",
        (),
        "More directories, in which other programs leave whole messages as files (Mercury's secondary queues): *.101, *.eml, "
        "*.msg. Their headers say from whom and to whom; a file is taken when it has not changed between two looks.",
    )
    poll: int = setting("time", 10, "How often they are looked at.")
