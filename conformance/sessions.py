"""Sessions as a timeline shows them: which answer gave which tokens, of which family, and what ended it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.resources import data_of
from conformance.rest_views import judged
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.timeline import Exchange, Timeline

GIVING = frozenset({"verifyMagicLink", "refreshTokens", "pollDeviceToken"})
UNAUTHORIZED = 401


@dataclass(slots=True)
class Family:
    """The tokens that descend from one sign-in."""

    opened: Exchange
    refresh: dict[str, Exchange] = field(default_factory=dict)
    """Refresh token → the answer that gave it."""
    access: dict[str, Exchange] = field(default_factory=dict)
    uses: list[Exchange] = field(default_factory=list)
    """Every request that showed one of its refresh tokens, in order of sending."""
    logouts: list[Exchange] = field(default_factory=list)
    """Every logout with one of its tokens that was answered with success."""

    def uses_of(self, token: object) -> list[Exchange]:
        """The requests that showed this token."""
        return [e for e in self.uses if shown(e) == token]

    def reuses(self) -> Iterator[Exchange]:
        """Requests with a token that had been used with success before."""
        for e in self.uses:
            if any(x.status == OK and x.ended <= e.at for x in self.uses_of(shown(e))):
                yield e


def said(e: Exchange, name: str) -> str | None:
    """A text in the body of a request."""
    value = e.request.get(name) if isinstance(e.request, dict) else None
    return value if isinstance(value, str) else None


def shown(e: Exchange) -> str | None:
    """The refresh token in a request."""
    return said(e, "refreshToken")


def user_of(e: Exchange) -> dict[str, Any]:
    """The user in an answer with tokens."""
    user = data_of(e).get("user")
    return user if isinstance(user, dict) else {}


def families(t: Timeline) -> tuple[Family, ...]:
    """Every family that was opened here."""
    return t.remember(_families)


def _families(t: Timeline) -> tuple[Family, ...]:
    found: list[Family] = []
    by_token: dict[str | None, Family] = {}
    for e in sorted(judged(t, credential=None), key=lambda e: e.ended):
        family = by_token.get(shown(e)) if e.operation == "refreshTokens" else None
        if family is not None:
            family.uses.append(e)
        given = data_of(e)
        if e.operation in GIVING and e.status == OK and isinstance(given.get("refreshToken"), str):
            if e.operation != "refreshTokens":
                family = Family(e)
                found.append(family)
            if family is not None:
                family.refresh.setdefault(given["refreshToken"], e)
                family.access.setdefault(str(given.get("accessToken")), e)
                by_token.setdefault(given["refreshToken"], family)
    for e in judged(t, credential="session"):
        if e.operation == "logout" and e.status < 300:  # noqa: PLR2004 - 2xx
            for family in found:
                if e.request_headers.get("authorization") in family.access:
                    family.logouts.append(e)
    for family in found:
        family.uses.sort(key=lambda e: e.at)
    return tuple(found)


def givers(t: Timeline) -> Mapping[str, Exchange]:
    """Access token → the answer that gave it."""
    return {token: e for family in families(t) for token, e in family.access.items()}
