"""Where sessions, sign-in links and device grants are kept: the port.

Every step that uses a secret up decides and writes in one transaction, so that two nodes that are
asked at once cannot both say yes (TOK-1, TOK-4, TOK-5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from reference_impl.domain.accounts import DeviceGrant, Rotation, Secret, Session


class Confirmed(Exception):  # noqa: N818 - it is an answer
    """The device was approved before."""


class AccountStore(Protocol):
    """Everything is committed when a method returns; times in ms since 1970."""

    async def begin(self, session: Session, first: Secret, now: int) -> None:
        """Keep a new session and its first refresh token; what has expired is forgotten."""

    async def rotate(self, used: str, fresh: Secret, now: int) -> tuple[Session | None, Rotation | None]:
        """Use a refresh token up and keep the one that follows it.

        Args:
            used: the hash of the token that was shown.
            fresh: the token that takes its place.
            now: the moment.

        Returns:
            The session, and nothing more; or why not, with the session where it is known. A token
            that was used before revokes its session (TOK-1).
        """

    async def session_of(self, token: str) -> Session | None:
        """The session of a refresh token, by its hash."""

    async def revoke(self, user_id: str, session_id: str, now: int) -> bool:
        """End a session of this user; says whether there was one to end (TOK-2)."""

    async def keep_link(self, link: Secret, email: str, now: int) -> None:
        """Keep a sign-in link; what has expired is forgotten."""

    async def use_link(self, link: str, now: int) -> str | None:
        """Use a link up, by its hash; the address it was sent to, or None if it opens nothing."""

    async def keep_grant(self, grant: DeviceGrant, now: int) -> None:
        """Keep a device grant; what ended a while ago is forgotten."""

    async def grant(self, device: str) -> DeviceGrant | None:
        """The grant of a device code, by its hash."""

    async def polled(self, device: str, interval_ms: int, now: int) -> None:
        """Remember when the device asked, and how long it must wait from now on."""

    async def approve(self, user_code: str, user_id: str, now: int) -> bool:
        """Let a device in, by the hash of its user code; says whether there is such a code.

        Raises:
            Confirmed: somebody did so before.
        """

    async def redeem(self, device: str, now: int) -> str | None:
        """Use an approved device code up, by its hash; who approved it, or None if it opens nothing."""
