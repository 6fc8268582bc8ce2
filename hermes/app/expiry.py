"""Who is told when that a certificate is about to expire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.logger import Logger

#: Days left at which it is said, once each. At 30 authorities renew by themselves; a week is time to find out why one did not.
DAYS = (30, 14, 7, 1)


class ExpiryWarnings:
    """Remembers what has been said. It is to be asked several times a day."""

    _log = Logger()

    def __init__(self) -> None:
        self._said: dict[str, int] = {}

    def look(self, certificates: Iterable[Mapping[str, Any]]) -> None:
        """Say of each certificate (:meth:`hermes.net.certificates.Certificates.describe`) what has not been said."""
        said: dict[str, int] = {}
        for each in certificates:
            file, days = str(each["file"]), int(each["days_left"])
            # One that has expired is worth a line each day.
            mark = next((mark for mark in reversed(DAYS) if days <= mark), None) if days >= 0 else days
            if mark is None:
                continue
            said[file] = mark
            if self._said.get(file) == mark:
                continue
            if days < 0:
                self._log.error("The certificate {file} has expired {days} days ago: renew it", file=file, days=-days)
            else:
                self._log.warn(
                    "The certificate {file} expires in {days} days: renew it; it is taken without a restart",
                    file=file,
                    days=days,
                )
        self._said = said
