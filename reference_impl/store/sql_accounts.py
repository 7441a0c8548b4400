"""Sessions, sign-in links and device grants in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, update

from reference_impl.domain.accounts import DeviceGrant, Rotation, Secret, Session
from reference_impl.store.account_tables import device_grants, magic_links, refresh_tokens, sessions
from reference_impl.store.accounts import Confirmed
from reference_impl.store.group_commit import Statement
from reference_impl.store.reading import Reads

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from reference_impl.store.database import Engine
    from reference_impl.store.group_commit import GroupCommit

_REMEMBERED_MS: Final = 3_600_000
"""So long a device code that ran out is still known as one (`expired_token`)."""


class SqlAccounts:
    """The tables `sessions`, `refresh_tokens`, `magic_links` and `device_grants`."""

    def __init__(self, engine: Engine, commits: GroupCommit) -> None:
        self._reads = Reads(engine)
        self._commits = commits

    async def begin(self, session: Session, first: Secret, now: int) -> None:
        """Keep a new session and its first refresh token."""
        row = {"id": session.id, "user_id": session.user_id, "created_at": now, "expires_at": first.expires_at}

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            await connection.execute(delete(refresh_tokens).where(refresh_tokens.c.expires_at <= now))
            await connection.execute(insert(sessions).values(row))
            await _keep(connection, session.id, first)

        await self._commits.write(write)

    async def rotate(self, used: str, fresh: Secret, now: int) -> tuple[Session | None, Rotation | None]:
        """Use a refresh token up and keep the one that follows it."""
        mine = refresh_tokens.c.hash == used

        async def write(connection: AsyncConnection) -> tuple[Session | None, Rotation | None]:
            found = (await connection.execute(_WHOLE.where(mine))).mappings().first()
            if found is None:
                return None, Rotation.UNKNOWN
            session = Session(found["id"], found["user_id"])
            its = sessions.c.id == session.id
            if found["revoked_at"] is not None or found["expires_at"] <= now:
                return session, Rotation.UNKNOWN
            first = update(refresh_tokens).where(mine, refresh_tokens.c.used_at.is_(None)).values(used_at=now)
            if not (await connection.execute(first)).rowcount:
                await connection.execute(update(sessions).where(its).values(revoked_at=now))
                return session, Rotation.REUSED
            await connection.execute(update(sessions).where(its).values(expires_at=fresh.expires_at))
            await _keep(connection, session.id, fresh)
            return session, None

        return await self._commits.write(write)

    async def session_of(self, token: str) -> Session | None:
        """The session of a refresh token."""
        found = await self._reads.first(_WHOLE.where(refresh_tokens.c.hash == token))
        return None if found is None else Session(found["id"], found["user_id"])

    async def revoke(self, user_id: str, session_id: str, now: int) -> bool:
        """End a session of this user."""
        mine = (sessions.c.id == session_id) & (sessions.c.user_id == user_id) & sessions.c.revoked_at.is_(None)
        return bool(await self._write(update(sessions).where(mine).values(revoked_at=now)))

    async def keep_link(self, link: Secret, email: str, now: int) -> None:
        """Keep a sign-in link."""
        row = {"hash": link.hash, "email": email, "expires_at": link.expires_at}

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(delete(magic_links).where(magic_links.c.expires_at <= now))
            await connection.execute(insert(magic_links).values(row))

        await self._commits.write(write)

    async def use_link(self, link: str, now: int) -> str | None:
        """Use a link up: who deletes the row has used it."""
        good = (magic_links.c.hash == link) & (magic_links.c.expires_at > now)
        return await self._taken(delete(magic_links).where(good).returning(magic_links.c.email))

    async def keep_grant(self, grant: DeviceGrant, now: int) -> None:
        """Keep a device grant."""
        row = {
            "device_hash": grant.device_hash,
            "user_hash": grant.user_hash,
            "interval_ms": grant.interval_ms,
            "expires_at": grant.expires_at,
        }

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(delete(device_grants).where(device_grants.c.expires_at <= now - _REMEMBERED_MS))
            await connection.execute(insert(device_grants).values(row))

        await self._commits.write(write)

    async def grant(self, device: str) -> DeviceGrant | None:
        """The grant of a device code."""
        found = await self._reads.first(select(device_grants).where(device_grants.c.device_hash == device))
        return None if found is None else DeviceGrant(**found)

    async def polled(self, device: str, interval_ms: int, now: int) -> None:
        """Remember when the device asked."""
        mine = device_grants.c.device_hash == device
        await self._write(update(device_grants).where(mine).values(polled_at=now, interval_ms=interval_ms))

    async def approve(self, user_code: str, user_id: str, now: int) -> bool:
        """Let a device in; the first who does so counts."""
        mine = (device_grants.c.user_hash == user_code) & (device_grants.c.expires_at > now)
        first = update(device_grants).where(mine, device_grants.c.user_id.is_(None)).values(user_id=user_id)

        async def write(connection: AsyncConnection) -> bool | None:
            if (await connection.execute(first)).rowcount:
                return True
            found = (await connection.execute(select(device_grants.c.user_id).where(mine))).first()
            return None if found is None else False

        done = await self._commits.write(write)
        if done is False:
            raise Confirmed
        return done is True

    async def redeem(self, device: str, now: int) -> str | None:
        """Use an approved device code up: who deletes the row has used it."""
        good = (device_grants.c.device_hash == device) & (device_grants.c.expires_at > now)
        approved = device_grants.c.user_id.is_not(None)
        return await self._taken(delete(device_grants).where(good, approved).returning(device_grants.c.user_id))

    async def _taken(self, statement: Any) -> str | None:
        async def write(connection: AsyncConnection) -> str | None:
            found: str | None = (await connection.execute(statement)).scalar()
            return found

        return await self._commits.write(write)

    async def _write(self, statement: Any) -> int:
        return await self._commits.write(Statement(statement))


_WHOLE: Final = select(sessions.c.id, sessions.c.user_id, sessions.c.revoked_at, refresh_tokens.c.expires_at).join_from(
    refresh_tokens, sessions
)


async def _keep(connection: AsyncConnection, session_id: str, token: Secret) -> None:
    row = {"hash": token.hash, "session_id": session_id, "expires_at": token.expires_at}
    await connection.execute(insert(refresh_tokens).values(row))
