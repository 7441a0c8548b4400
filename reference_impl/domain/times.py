"""Times: milliseconds since 1970 inside and on sockets, RFC 3339 UTC strings in REST."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

RFC3339: Final = (  # UTC, as REST writes times
    "^[0-9]{4}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-5][0-9]:[0-6][0-9]([.][0-9]+)?([Zz]|[+]00:00)$"
)
_RFC3339: Final = re.compile(RFC3339[:-1] + r"\Z")
_LAST: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: RFC 3339 has no later one, and a client may send one."""


@lru_cache(10_000)
def rfc3339(ms: int) -> str:
    """Write milliseconds since 1970 as an RFC 3339 string in UTC, always with three decimals.

    The fixed width makes the strings sort as the times do.
    """
    seconds, rest = divmod(min(ms, _LAST), 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def rfc3339_or_none(ms: int | None) -> str | None:
    """Write a time that may be missing."""
    return None if ms is None else rfc3339(ms)


@lru_cache(10_000)
def parse_ms(text: str) -> int:
    """Read any ISO 8601 time as milliseconds since 1970; a time without a zone is in UTC.

    Raises:
        ValueError: the text is no time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def parse_rfc3339(text: str) -> int:
    """Read an RFC 3339 time in UTC as milliseconds since 1970; an earlier one counts as 1970.

    Rounded up: what is as late as the time itself, or later, is so in whole milliseconds too.

    Raises:
        ValueError: the text is no such time.
    """
    found = _RFC3339.match(text)
    if found is None:
        raise ValueError("must be an RFC 3339 time in UTC")
    seconds, fraction = text[:19].upper(), (found[1] or ".")[1:]
    if seconds.startswith("0000"):  # RFC 3339 has the year 0, a leap year, and Python has not
        seconds = f"0004{seconds[4:]}"
    if seconds.endswith(":60"):  # the same with leap seconds
        seconds, fraction = f"{seconds[:-2]}59", "999"
    moment = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    ms = int(moment.timestamp()) * 1000 + int(f"{fraction}000"[:3]) + bool(fraction[3:].strip("0"))
    return min(max(0, ms), _LAST)
