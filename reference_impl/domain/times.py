"""Times: milliseconds since 1970 inside and on sockets, RFC 3339 UTC strings in REST."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(ms: int) -> str:
    """Write milliseconds since 1970 as an RFC 3339 string in UTC, always with three decimals.

    The fixed width makes the strings sort as the times do.
    """
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def rfc3339_or_none(ms: int | None) -> str | None:
    """Write a time that may be missing."""
    return None if ms is None else rfc3339(ms)


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
