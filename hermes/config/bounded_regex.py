"""
Regular expressions in the syntax of RE2, for those who prefer it to Mercury's.

RE2 knows what Perl's expressions (PCRE) know, except back references and looking around, and in return it needs time that grows
no faster than the text, whatever somebody writes or sends. Python's own ``re`` knows these but may take years.
"""

from __future__ import annotations

from collections.abc import Callable

#: What one expression may grow to in memory; what needs more is refused when it is read.
MAX_MEMORY_OCTETS = 1024**2

#: As for Mercury's: what somebody writes by hand is far shorter.
MAX_EXPRESSION = 1000


def compile_regex(text: str) -> Callable[[str], bool]:
    """What says whether the expression is found anywhere in a text; raise ValueError with a remedy."""
    try:
        import re2  # noqa: PLC0415 - few need it
    except ImportError:
        raise ValueError("the syntax regex needs a library: pip install 'hermes-mail[regex]'") from None
    if len(text) > MAX_EXPRESSION:
        raise ValueError(f"the expression has {len(text)} characters: write {MAX_EXPRESSION} at most")
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MAX_MEMORY_OCTETS
    try:
        pattern = re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        what = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(
            f"is no expression that RE2 knows: {what}; see https://github.com/google/re2/wiki/Syntax"
        ) from None

    def found(subject: str) -> bool:
        # Half a surrogate pair, which is no UTF-8, cannot come from the wire.
        return pattern.search(subject.encode("utf-8", "replace").decode()) is not None

    return found
