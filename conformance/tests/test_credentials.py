"""Credentials: the good ones are good, and each bad kind is bad for the reason that its name says."""

from __future__ import annotations

import time

import jwt
import pytest

from conformance.target import DEVELOPMENT_SECRET, Target
from conformance.timeline import VALID
from conformance.world.credentials import WITH_KEY, WITHOUT_KEY, Keyring, subject

SECRET = "a-signing-key-of-these-tests-0123456789"
SIGNING = Keyring(Target("https://h.example", jwt_secret=SECRET, users=("alice", "bob"), claims={"aud": "us"}))
OPTIONS = {"require": ["exp", "sub"]}


def checked(token: str | None) -> dict[str, object]:
    """The claims of a good access token of a known user; raises as a backend would refuse."""
    claims = jwt.decode(token or "", SECRET, algorithms=["HS256"], audience="us", options=OPTIONS)  # type: ignore[arg-type]
    if claims["sub"] not in {"alice", "bob"}:
        raise jwt.InvalidTokenError("unknown subject")
    if claims["typ"] != "access":
        raise jwt.InvalidTokenError("no access token")
    return dict(claims)


def test_a_good_token_is_good() -> None:
    """The suite's own token has every claim of the contract and those that the target wants beside them."""
    for user in SIGNING.users:
        claims = checked(SIGNING.credential(VALID, user))
        assert claims["sub"] == user
        assert set(claims) == {"sub", "iat", "exp", "typ", "aud"}
        assert int(str(claims["exp"])) > time.time() + 600


def test_a_token_can_be_short_lived() -> None:
    """A token's life is as long as was asked."""
    claims = jwt.decode(SIGNING.token("alice", lifetime=5), options={"verify_signature": False})
    assert 0 < claims["exp"] - claims["iat"] <= 5


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("none", jwt.DecodeError),
        ("malformed", jwt.DecodeError),
        ("not-a-token", jwt.DecodeError),
        ("bad-signature", jwt.InvalidSignatureError),
        ("alg-none", jwt.InvalidAlgorithmError),
        ("alg-none-cased", jwt.InvalidAlgorithmError),
        ("empty-key", jwt.InvalidSignatureError),
        ("expired", jwt.ExpiredSignatureError),
        ("not-yet-valid", jwt.ImmatureSignatureError),
        ("unknown-subject", jwt.InvalidTokenError),
        ("refresh", jwt.InvalidTokenError),
    ],
)
def test_each_bad_kind_is_bad_for_its_own_reason(kind: str, why: type[Exception]) -> None:
    """A backend that checks everything refuses each bad credential for what its name says."""
    assert kind in SIGNING.kinds
    with pytest.raises(why) as caught:
        checked(SIGNING.credential(kind, "alice"))
    assert type(caught.value) is why


def test_every_bad_kind_is_tried() -> None:
    """The kinds that a keyring names are all that there are, and each can be made."""
    assert set(SIGNING.kinds) == {*WITHOUT_KEY, *WITH_KEY}
    assert [k for k in SIGNING.kinds if SIGNING.credential(k, "alice") is None] == ["none"]


@pytest.mark.parametrize("kind", WITH_KEY)
def test_what_only_the_key_can_make_is_wrong_in_one_thing(kind: str) -> None:
    """Expired, early, foreign and refresh tokens are signed with the right key: only the one thing is wrong."""
    token = SIGNING.credential(kind, "alice")
    assert token is not None
    claims = jwt.decode(
        token, SECRET, algorithms=["HS256"], audience="us", options={"verify_exp": False, "verify_nbf": False}
    )
    wrong = {
        "exp": claims["exp"] <= time.time(),
        "nbf": claims.get("nbf", 0) > time.time(),
        "sub": claims["sub"] != "alice",
        "typ": claims["typ"] != "access",
    }
    named = {"expired": "exp", "not-yet-valid": "nbf", "unknown-subject": "sub", "refresh": "typ"}
    assert [name for name, is_wrong in wrong.items() if is_wrong] == [named[kind]]


def test_given_tokens_are_used_as_they_are() -> None:
    """Tokens that were given are good, name their users by subject, and no others can be signed."""
    tokens = tuple(jwt.encode({"sub": user}, SECRET) for user in ("u-1", "u-2"))
    keyring = Keyring(Target("https://h.example", tokens=tokens))
    assert keyring.users == ("u-1", "u-2")
    assert [keyring.token(u) for u in keyring.users] == list(tokens)
    assert keyring.subject("u-2") == "u-2"
    assert not keyring.can_sign
    assert keyring.kinds == WITHOUT_KEY
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(keyring.credential("bad-signature", "u-1") or "", SECRET, algorithms=["HS256"])


def test_opaque_tokens_hide_their_users() -> None:
    """Opaque tokens get names of our own, no subject, and only the bad kinds that need no JWT."""
    keyring = Keyring(Target("https://h.example", tokens=("opaque-1", "opaque-2")))
    assert keyring.users == ("user-1", "user-2")
    assert keyring.subject("user-1") is None
    assert keyring.kinds == ("none", "malformed", "not-a-token")


def test_two_tokens_of_one_user_are_told_apart() -> None:
    """Two tokens of the same subject still make two names, and the subject says that they are one."""
    tokens = (jwt.encode({"sub": "u", "n": 1}, SECRET), jwt.encode({"sub": "u", "n": 2}, SECRET))
    keyring = Keyring(Target("https://h.example", tokens=tokens))
    assert keyring.users == ("user-1", "user-2")
    assert [keyring.subject(u) for u in keyring.users] == ["u", "u"]


def test_the_published_secret_is_for_this_machine_alone() -> None:
    """With nothing given the development secret signs on loopback, and nothing opens any other place."""
    local = Keyring(Target("http://localhost:3001"))
    assert local.users == ("alice", "bob")
    assert jwt.decode(local.token("alice"), DEVELOPMENT_SECRET, algorithms=["HS256"])["sub"] == "alice"
    assert Keyring(Target("https://h.example")).is_empty


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJ.eyJ.", jwt.encode({"sub": "x"}, SECRET) + "!"])
def test_a_subject_is_read_or_none(token: str) -> None:
    """Reading the subject of whatever was given as a token never fails."""
    assert subject(token) in {None, "x"}


def test_a_subject_that_is_no_text_is_none() -> None:
    """A token without subject has none."""
    assert subject(jwt.encode({}, SECRET)) is None
