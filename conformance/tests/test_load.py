"""What is still missing under load is waited for until it counts as lost, and no longer."""

from types import SimpleNamespace
from typing import Any

import pytest

from conformance.contract import load_contract
from conformance.rules import load
from conformance.scene import Scene
from conformance.timeline import Timeline


def played(*, lose: int = -1) -> Timeline:
    """Ten agents that beat before ten dashboards, one of which may not be told of one heartbeat."""
    scene = Scene(load_contract())
    load._beat_and_tell(scene, load.TEN, lambda _: 0.02, lose=lose)
    return scene.timeline()


class Quiet:
    """A world in which nothing comes any more; each look finds the next timeline, the last again and again."""

    def __init__(self, *timelines: Timeline) -> None:
        self.left = list(timelines)
        self.looks = 0
        self.recorder = SimpleNamespace(last=7)
        self.site = SimpleNamespace(terms=timelines[0].terms)

    def timeline(self) -> Timeline:
        """What is there now."""
        self.looks += 1
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "STILL", 0.0)
    monkeypatch.setattr(load, "STEP", 0.0)


async def test_the_load_ends_once_every_dashboard_was_told_of_every_heartbeat() -> None:
    world: Any = Quiet(played(lose=4), played(lose=4), played())
    await load._all_told(world, load.TEN)
    assert world.looks == 3


async def test_it_ends_without_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    world: Any = Quiet(played(lose=4))
    monkeypatch.setattr(load, "WITHIN", -world.site.terms.slack)
    await load._all_told(world, load.TEN)
    assert world.looks == 1
