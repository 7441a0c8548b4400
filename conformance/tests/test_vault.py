"""Secrets that are given out are names on the timeline, the same for the same, and themselves on the wire."""

from __future__ import annotations

from conformance.world.vault import Vault

ANSWER = {"data": {"accessToken": "eyJ/secret+one", "refresh_token": "opaque-secret-two", "user": {"id": "u1"}}}


def test_secrets_are_found_by_their_names() -> None:
    """Tokens in an answer become names wherever they stand later; what is no secret stays."""
    vault = Vault()
    vault.learn(ANSWER)
    said = vault.sealed('{"error": "opaque-secret-two is used", "url": "x?t=eyJ%2Fsecret%2Bone", "id": "u1"}')
    assert "secret" not in said
    assert '"id": "u1"' in said


def test_a_name_opens_what_it_stands_for() -> None:
    """The same secret has the same name, and a body with names is sent with the secrets."""
    vault = Vault()
    name = vault.keep("refreshToken", "opaque-secret-two")
    assert name == vault.keep("token", "opaque-secret-two")
    assert vault.opened({"refreshToken": name, "other": ["x", name]}) == {
        "refreshToken": "opaque-secret-two",
        "other": ["x", "opaque-secret-two"],
    }


def test_short_texts_are_no_secrets() -> None:
    """A text too short to hide anything is left alone."""
    vault = Vault()
    assert vault.keep("token", "abc") == "abc"
    assert vault.sealed("abc") == "abc"
