"""What can be done about signing in: links, sessions, devices (TOK-1..5)."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reference_impl.domain.accounts import (
    DeviceGrant,
    Rotation,
    Secret,
    Session,
    grant_refusal,
    is_email,
    next_interval,
    refused_poll,
    typed_code,
    user_code,
)
from reference_impl.domain.errors import Refusal, unauthorized
from reference_impl.mail import Mail
from reference_impl.store.accounts import Confirmed

if TYPE_CHECKING:
    from reference_impl.auth import Principal
    from reference_impl.auth.tokens import Signer
    from reference_impl.clock import Clock
    from reference_impl.ids import Ids
    from reference_impl.mail import Mailer
    from reference_impl.settings import Auth
    from reference_impl.store import UserStore
    from reference_impl.store.accounts import AccountStore

_BYTES: Final = 32
_ACCOUNTS: Final = uuid.UUID("5d1f4f3e-6f3b-4d0e-9a53-0d2c6f1d7b11")
"""Addresses become user ids under this: two links of one new address, followed at once, make one account."""


class Reused(Refusal):
    """A refresh token came a second time (TOK-1)."""

    def __init__(self, user_id: str) -> None:
        right = unauthorized("The refresh token was used before; the session has been ended")
        super().__init__(right.code, right.sentence, status=right.status, headers=right.headers)
        self.user_id = user_id


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What signing in and refreshing give."""

    user_id: str
    email: str | None
    access_token: str
    refresh_token: str
    expires_in_s: float

    def shown(self) -> dict[str, Any]:
        """The resource."""
        return {
            "accessToken": self.access_token,
            "refreshToken": self.refresh_token,
            "expiresIn": self.expires_in_s,
            "user": {"id": self.user_id, "email": self.email},
        }


class AccountDesk:
    """The operations on accounts."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ports it joins
        self,
        store: AccountStore,
        users: UserStore,
        mailer: Mailer,
        signer: Signer,
        clock: Clock,
        ids: Ids,
        settings: Auth,
    ) -> None:
        self._store = store
        self._users = users
        self._mailer = mailer
        self._signer = signer
        self._clock = clock
        self._ids = ids
        self._settings = settings

    async def send_link(self, email: str) -> None:
        """Send a sign-in link; nothing depends on whether the address has an account (TOK-3)."""
        now, token = self._clock.now_ms(), secrets.token_urlsafe(_BYTES)
        ends = now + round(self._settings.link_ttl_s * 1000)
        await self._store.keep_link(Secret(digest(token), ends), email.lower(), now)
        await self._mailer.send(Mail(email, token, f"{self._settings.link_url}?token={token}"))

    async def follow_link(self, token: str) -> SignedIn:
        """Turn the token of a link into tokens; an address without an account gets one (TOK-4)."""
        email = await self._store.use_link(digest(token), self._clock.now_ms())
        if email is None:
            raise unauthorized("The link is not valid, or no longer")
        user_id = await self._users.by_email(email)
        if user_id is None:
            user_id = str(uuid.uuid5(_ACCOUNTS, email))
            await self._users.ensure(user_id, email)
        return await self._begin(user_id)

    async def _begin(self, user_id: str) -> SignedIn:
        session, now = Session(self._ids.unique(), user_id), self._clock.now_ms()
        refresh, kept = self._refresh_token(user_id, now)
        await self._store.begin(session, kept, now)
        return await self._signed_in(session, refresh, now)

    async def refresh(self, token: str) -> SignedIn:
        """Use a refresh token up (TOK-1)."""
        now, used = self._clock.now_ms(), digest(token)
        known = await self._store.session_of(used)
        if known is None:
            raise unauthorized("The refresh token is not valid, or no longer")
        fresh, kept = self._refresh_token(known.user_id, now)
        session, refused = await self._store.rotate(used, kept, now)
        if session is None or refused is Rotation.UNKNOWN:
            raise unauthorized("The refresh token is not valid, or no longer")
        if refused is Rotation.REUSED:
            raise Reused(session.user_id)
        return await self._signed_in(session, fresh, now)

    def _refresh_token(self, user_id: str, now: int) -> tuple[str, Secret]:
        """A token, and what is kept of it."""
        ttl = self._settings.refresh_ttl_s
        token = self._signer.sign("refresh", now // 1000, ttl, sub=user_id, jti=secrets.token_urlsafe(_BYTES))
        return token, Secret(digest(token), now + round(ttl * 1000))

    async def _signed_in(self, session: Session, refresh: str, now: int) -> SignedIn:
        email, ttl = await self._users.email_of(session.user_id), self._settings.access_ttl_s
        access = self._signer.sign(
            "access", now // 1000, ttl, sub=session.user_id, email=email, sid=session.id, jti=self._ids.unique()
        )
        return SignedIn(session.user_id, email, access, refresh, ttl)

    async def sign_out(self, caller: Principal, refresh: str | None) -> int:
        """End the session of the access token, and that of the refresh token; says how many ended (TOK-2)."""
        ids = {caller.session_id} if caller.session_id else set()
        if refresh and (session := await self._store.session_of(digest(refresh))):
            ids.add(session.id)
        now = self._clock.now_ms()
        return sum([await self._store.revoke(caller.user_id, session_id, now) for session_id in sorted(ids)])

    async def email_of(self, caller: Principal) -> str | None:
        """The caller's address: the one that is kept, else the one that the token names."""
        named = caller.email if caller.email and is_email(caller.email) else None
        return await self._users.email_of(caller.user_id) or named

    async def begin_device(self) -> tuple[str, str, DeviceGrant]:
        """Begin a device grant: device code, user code, and what is kept of them (RFC 8628, 3.2)."""
        device, code, now = secrets.token_urlsafe(_BYTES), user_code(secrets.choice), self._clock.now_ms()
        ends = now + round(self._settings.device_ttl_s * 1000)
        interval = round(self._settings.device_interval_s * 1000)
        grant = DeviceGrant(digest(device), digest(typed_code(code)), ends, interval)
        await self._store.keep_grant(grant, now)
        return device, code, grant

    async def confirm_device(self, user_id: str, code: str) -> None:
        """Let a device in as this user (TOK-5)."""
        try:
            known = await self._store.approve(digest(typed_code(code)), user_id, self._clock.now_ms())
        except Confirmed:
            raise Refusal("ALREADY_CONFIRMED", "The device was confirmed before", status=409) from None
        if not known:
            raise Refusal("USER_CODE_NOT_FOUND", "There is no such code, or no longer", status=404)

    async def poll_device(self, device_code: str) -> SignedIn:
        """Answer a device that asks for its tokens; it gets them once (RFC 8628, 3.4 and 3.5)."""
        device, now = digest(device_code), self._clock.now_ms()
        grant = await self._store.grant(device)
        if (refusal := refused_poll(grant, now)) is not None:
            if grant is not None:
                await self._store.polled(device, next_interval(grant, now), now)
            raise refusal
        user_id = await self._store.redeem(device, now)
        if user_id is None:  # another poll was quicker
            raise grant_refusal("invalid_grant")
        return await self._begin(user_id)


def digest(secret: str) -> str:
    """What is kept of a secret; it is random and long, or lives only minutes, so a plain hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
