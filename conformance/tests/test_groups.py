"""Users: which a case plays, and which cases may run beside others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.engine.groups import Groups
from conformance.rule import Provocation, provocation
from conformance.target import Target
from conformance.world.credentials import Keyring

if TYPE_CHECKING:
    from conformance.world.world import World

FIRST, SECOND, THIRD = ("a", "b", "c"), ("d", "e", "f"), ("g", "h", "i")


async def script(_world: World) -> None:
    """Nothing."""


USUAL, ALONE = provocation()(script), provocation(alone=True)(script)


@pytest.mark.parametrize(
    ("users", "groups"),
    [
        ("ab", [("a", "b")]),
        ("abcde", [("a", "b", "c", "d", "e")]),
        ("abcdef", [FIRST, SECOND]),
        ("abcdefgh", [FIRST, SECOND]),
    ],
)
def test_users_make_groups_of_three(users: str, groups: list[tuple[str, ...]]) -> None:
    """Each has enough users for any case; fewer than six are one group."""
    keyring = Keyring(Target("http://localhost:1", jwt_secret="x" * 32, users=tuple(users)))
    assert list(keyring.groups) == groups


async def test_one_group_is_shared() -> None:
    """Where there is one, all cases play it at the same time, and what needs a user alone bears no company."""
    groups = Groups((FIRST,))
    async with groups.lent(USUAL) as one, groups.lent(USUAL) as other:
        assert (one, other) == (FIRST, FIRST)
    assert groups.bears_company(USUAL)
    assert not groups.bears_company(ALONE)


async def test_several_are_lent_to_one_case_each() -> None:
    """Each but the first has one case at a time. Who finds none free plays the first, or waits if it must be alone."""
    groups = Groups((FIRST, SECOND, THIRD))
    async with AsyncExitStack() as cases:
        wanted = (USUAL, provocation(needs="mail")(script), ALONE, USUAL)
        assert [await cases.enter_async_context(groups.lent(p)) for p in wanted] == [SECOND, FIRST, THIRD, FIRST]
        late = asyncio.create_task(groups.lent(ALONE).__aenter__())
        await asyncio.sleep(0)
        assert not late.done()
    assert await late == THIRD  # the last that was lent is the first to come back
    assert groups.bears_company(ALONE)


@pytest.mark.parametrize("need", ["restart", "rest-limit", "load", "destructive"])
def test_what_other_users_feel_bears_no_company(need: str) -> None:
    """Unless the backend is the bundled one, which has servers of their own for it."""
    far = provocation(alone=True, needs=need)(script)
    assert not Groups((FIRST, SECOND)).bears_company(far)
    assert Groups((FIRST, SECOND), bundled=True).bears_company(far)


@pytest.mark.parametrize(("need", "company"), [("restart", False), ("destructive", True)])
def test_what_is_generated_asks_for_no_server_of_its_own(need: str, company: bool) -> None:
    """A restart is felt by all; a stop is, by contract, felt by its own user, and so many are drawn."""
    drawn = replace(provocation(alone=True, needs=need)(script), document={})
    assert Groups((FIRST, SECOND), bundled=True).bears_company(drawn) == company
    assert not Groups((FIRST,)).bears_company(drawn)


@pytest.mark.parametrize("apart", [provocation(heavy=True)(script), provocation(timed=True)(script)])
def test_what_measures_or_fills_a_backend_bears_none(apart: Provocation) -> None:
    """What fills it not even there; what measures does there, for what comes late is looked at again."""
    assert apart.alone
    assert not Groups((FIRST, SECOND)).bears_company(apart)
    assert Groups((FIRST, SECOND), bundled=True).bears_company(apart) is not apart.heavy
