"""Redaction of what was cut: no long part of a secret is left, in whatever spelling."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.redact import MARK, WINDOW, Redactor

letters = st.characters(exclude_categories=["Cs"], exclude_characters="*")
secrets = st.text(letters, min_size=WINDOW, max_size=60)
words = st.text(letters, max_size=30)


def parts(secret: str) -> set[str]:
    return {secret[i : i + WINDOW] for i in range(len(secret) - WINDOW + 1)}


@given(secret=secrets, cut=st.tuples(st.integers(0, 60), st.integers(0, 60)), before=words, after=words)
def test_no_long_part_of_a_secret_survives(secret: str, cut: tuple[int, int], before: str, after: str) -> None:
    """Wherever a text was cut, no twelve characters of a secret in a row are left in it."""
    told = Redactor([secret]).text(before + secret[min(cut) : max(cut)] + after)
    assert not [part for part in parts(secret) if part in told]


@given(secret=st.text(st.characters(codec="ascii", exclude_characters="*"), min_size=24), around=st.binary(max_size=5))
def test_no_other_spelling_survives(secret: str, around: bytes) -> None:
    """Nor does it in base64, wherever it begins there, nor in JSON, in a URL or as Python shows it."""
    redactor = Redactor([secret])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        told = redactor.text(encode(around + secret.encode() + around).decode())
        assert len(told) <= 24 + len(MARK)  # what is around it
    for spelling in (json.dumps(secret)[1:-1], quote(secret, safe=""), repr(secret)[1:-1]):
        told = redactor.text(spelling[1:-1])
        assert not [part for part in parts(spelling) if part in told]


@pytest.mark.parametrize(
    "shown", ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", "eyJhbGciOiJIUzI1NiJ9.eyJz", "eyJhbGciOiJIUzI1"]
)
def test_a_token_that_was_cut_is_one(shown: str) -> None:
    """A web token with one, two or three of its parts."""
    assert Redactor().text(f"got {shown}…") == f"got {MARK}…"


def test_bytes() -> None:
    """Bytes lose their secrets and nothing else."""
    redactor = Redactor(["opaque-token-of-alice"])
    assert redactor.binary(b"\xff\x00opaque-token-of\xfe") == b"\xff\x00***\xfe"
    assert redactor.binary(bytes(range(256))) == bytes(range(256))
