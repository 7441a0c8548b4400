"""Tokens of another issuer, by JWKS: each key for its own algorithm and nothing else (AUTH-1)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from reference_impl.auth.jwks import JwkSet, from_url
from reference_impl.clock import SystemClock
from reference_impl.logs import make_log
from reference_impl.tests.harness import serving, signed

if TYPE_CHECKING:
    from pathlib import Path

    from reference_impl.tests.harness import World

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {"sub": "alice", "iat": 1, "exp": 4_000_000_000, "typ": "access"}
PUBLIC_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(key: Any, **more: str) -> dict[str, Any]:
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **more}


KEYS = [
    jwk(RSA, kid="r1", alg="RS256", use="sig"),
    jwk(EC, kid="e1"),
    {
        "kty": "oct",
        "kid": "shared",
        "k": "c2VjcmV0IHRoYXQgc3RhbmRzIGluIHRoZSBzZXQgZm9yIGFsbCB0byByZWFk",
        "alg": "HS256",
    },
    {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
    "no key at all",
]


def token(key: Any, algorithm: str, kid: str | None = None, **claims: object) -> str:
    return jwt.encode({**CLAIMS, **claims}, key, algorithm, headers={"kid": kid} if kid else {})


async def status(world: World, bearer: str) -> int:
    return (await world.rest("GET", "/agents", None, headers={"Authorization": f"Bearer {bearer}"}))[0]


def as_hs256(kid: str) -> str:
    """A token signed with the public key's own bytes as if they were a shared secret."""
    import base64  # noqa: PLC0415 - only here: no library helps to do this
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415

    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    said = b".".join(part(json.dumps(item).encode()) for item in ({"alg": "HS256", "kid": kid}, CLAIMS))
    return (said + b"." + part(hmac.new(PUBLIC_PEM, said, hashlib.sha256).digest())).decode()


async def test_who_is_let_in(tmp_path: Path) -> None:
    """RS256 and ES256 with the named key, and HS256 with the secret, open the API; every mixture opens nothing."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": KEYS}))
    async with serving(str(tmp_path / "db"), auth={"jwks_file": str(path)}) as world:
        for good in (token(RSA, "RS256", "r1"), token(EC, "ES256", "e1"), token(RSA, "RS256"), signed("alice")):
            assert await status(world, good) == 200
        bad = {
            "another key": token(OTHER_RSA, "RS256", "r1"),
            "unknown key": token(RSA, "RS256", "r2"),
            "another key's name": token(RSA, "RS256", "e1"),
            "another digest": token(RSA, "RS384", "r1"),
            "another padding": token(RSA, "PS256", "r1"),
            "the public key as a secret": as_hs256("r1"),
            "a secret out of the set": token("secret that stands in the set for all to read", "HS256", "shared"),
            "unsigned": token(None, "none", "r1"),
            "broken key": token(RSA, "RS256", "broken"),
            "refresh token": token(RSA, "RS256", "r1", typ="refresh"),
            "unknown subject": token(RSA, "RS256", "r1", sub="mallory"),
            "expired": token(RSA, "RS256", "r1", exp=2),
        }
        assert {name: await status(world, one) for name, one in bad.items()} == dict.fromkeys(bad, 401)


async def test_without_a_set_only_the_secret_signs(tmp_path: Path) -> None:
    """Where no JWKS is set, a token of another issuer opens nothing."""
    async with serving(str(tmp_path / "db")) as world:
        assert await status(world, token(RSA, "RS256", "r1")) == 401


class Still(SystemClock):
    """A clock that is put forward by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


async def test_a_new_key_is_found() -> None:
    """A key that was added is found once the set may be read again; a set that cannot be read changes nothing."""
    keys, clock, reads = [KEYS[0]], Still(), []

    def source() -> bytes:
        reads.append(clock.now)
        if clock.now == 20:
            raise OSError("away")
        return json.dumps({"keys": keys}).encode()

    found = JwkSet(source, clock, make_log("critical"))
    assert all(await asyncio.gather(*(found.find("RS256", "r1") for _ in range(4))))
    keys.append(KEYS[1])
    assert await found.find("ES256", "e1") is None
    clock.now = 11
    assert await found.find("ES256", "e1") is not None
    clock.now = 20
    assert await found.find("ES256", "e2") is None
    assert await found.find("RS256", "r1") is not None
    assert reads == [0, 11]
    clock.now = 700
    assert await found.find("RS256", "r1") is not None
    assert reads == [0, 11, 700]


async def test_a_set_behind_a_url(tmp_path: Path) -> None:
    """A JWKS is read over HTTP too, and from nothing but HTTP."""
    async with serving(str(tmp_path / "db")) as world:
        found = JwkSet(from_url(f"{world.url}/health"), SystemClock(), make_log("critical"))
        assert await found.find("RS256", "r1") is None  # it answers, and holds no keys
    with pytest.raises(ValueError, match="http"):
        from_url("file:///etc/passwd")
