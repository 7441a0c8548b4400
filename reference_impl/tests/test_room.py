"""What a node knows of a user follows what others tell, each entry once and in order, or starts over (CNS-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reference_impl.domain.events import Event, Topic
from reference_impl.hub.bus import Entered, Entry
from reference_impl.hub.room import Room

if TYPE_CHECKING:
    from collections.abc import Sequence


class Dashboard:
    """Hears everything, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def wants(self, event: Event) -> bool:
        return event.topic is Topic.AGENT

    def deliver(self, event: Event) -> None:
        self.heard.append(f"{event.frame(1)}")

    def start_over(self) -> None:
        self.heard.append("over")


class Agent:
    """An agent's connection, which remembers what is done with it."""

    agent_id, connection_id = "a1", "c1"

    def __init__(self) -> None:
        self.heard: list[str] = []

    def replaced(self) -> None:
        self.heard.append("replaced")

    def send(self, type: str, payload: object) -> None:  # noqa: A002 - the word of the envelope
        self.heard.append(f"{type} {payload}")

    def start_over(self) -> None:
        self.heard.append("over")


def told(number: int, *words: Sequence[object]) -> Entry:
    return Entry(number, "other", words)


def event(text: str) -> list[object]:
    return ["event", "AGENT_STATUS", "AGENT", "a1", {"1": {"is": text}, "0": None}]


@pytest.fixture
def room() -> Room:
    """In the middle of a turn; entry 7 was the last."""
    made = Room("alice", lambda _kind, body: str(body["is"]))
    made.members[Dashboard()] = None
    made.links["here/c1"] = Agent()
    made.begin(Entered(fence=1, number=7, entries=None, seats={"a1": "here/c1"}))
    return made


def heard(room: Room) -> list[str]:
    (dashboard,) = room.members
    assert isinstance(dashboard, Dashboard)
    return dashboard.heard


def test_each_entry_counts_once(room: Room) -> None:
    """What was heard already is not heard again, from wherever it comes."""
    assert room.hear(told(8, event("x")))
    assert room.hear(told(8, event("x")))
    room.begin(Entered(fence=2, number=9, entries=[told(8, event("x")), told(9, event("y"))], seats={}))
    assert room.hear(told(9, event("y")))
    assert heard(room) == ["x", "y"]


def test_gap_is_not_jumped(room: Room) -> None:
    """An entry that comes too early is left alone; the next turn brings all."""
    assert not room.hear(told(9, event("y")))
    assert heard(room) == []
    room.begin(Entered(fence=2, number=9, entries=[told(8, event("x")), told(9, event("y"))], seats={}))
    assert heard(room) == ["x", "y"]


def test_what_cannot_be_had_any_more_ends_the_sockets(room: Room) -> None:
    """Who has missed something comes back for a snapshot, or to be told anew."""
    room.begin(Entered(fence=2, number=900, entries=None, seats={}))
    assert heard(room) == ["over"]
    room.end(None)
    assert heard(room) == ["over", "over"]


def test_words_for_an_agent(room: Room) -> None:
    """A message and a replacement reach the one connection they are meant for; the agent's seat follows."""
    (agent,) = room.links.values()
    words = (["moved", "a1", "there/c2"], ["said", "here/c1", "AGENT_CONTROL", {}], ["replaced", "here/c1"])
    room.hear(told(8, *words, ["said", "there/c2", "AGENT_CONTROL", {}]))
    assert isinstance(agent, Agent)
    assert agent.heard == ["AGENT_CONTROL {}", "replaced"]
    assert room.seats == {"a1": "there/c2"}


def test_turn_leaves_what_was_done_in_it(room: Room) -> None:
    """Events go to the dashboards here at once, and to the others once, when the turn ends."""
    happened = Event(
        "alice", "AGENT_STATUS", Topic.AGENT, "a1", lambda v: {"is": "z"} if v else None, lambda _k, b: b["is"]
    )
    assert room.publish(happened, (0, 1)) == 1
    room.move("a1", None)
    outcome = room.outcome()
    assert outcome.follow
    assert outcome.seats == {"a1": None}
    assert outcome.words == [event("z"), ["moved", "a1", None]]
    assert room.outcome().words == []
    assert heard(room) == ["z"]
