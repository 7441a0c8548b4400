"""A process that judges beside the one that talks to the backend: in one they would wait for each other's turns.

It is a fork of this one, so it has the rules and the contract as they are here. It sees nothing but timelines, which it
gets and answers one after the other, and ends when nobody is there any more to ask.
"""

from __future__ import annotations

import gc
import math
import mmap
import os
import pickle
import signal
import struct
import sys
import time
import warnings
from contextlib import suppress
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from conformance.judge import judge_all
from conformance.reached import reached
from conformance.remembered import known
from conformance.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection

    from conformance.contract import Contract
    from conformance.judge import Judgement
    from conformance.rule import Rule
    from conformance.terms import Terms

EVENTS = 500
"""Events that are handed over in one go: whatever else this process does goes on in between."""
NICE = 10
"""How much it gives way: nobody waits for a judgement, and all wait for a backend that shares the machine with it."""
GARBAGE = (50_000, 10, 10)
"""When it is looked for: a timeline leaves next to none, but rules may."""
MOMENT: Final = "d"
"""How the moment is kept from which on all are to hurry: as a float."""


class Question(NamedTuple):
    """A timeline, but for its events, and by which rules it is to be judged until when (of the monotonic clock)."""

    case: str
    epoch: float
    end: float
    terms: Terms
    rules: tuple[str, ...]
    until: float
    parts: int
    """How many messages with events follow."""


class Answer(NamedTuple):
    """What was found, and whether there was time for all of it."""

    judgements: list[Judgement]
    reached: tuple[tuple[str, str], ...]
    is_over: bool


class NobodyError(Exception):
    """There is no such process, or no longer: judge here."""


class JudgingProcess:
    """One such process. Its methods block and are for one thread at a time, but for `hurry` and `end`."""

    def __init__(self, rules: Mapping[str, Rule], contract: Contract) -> None:
        """Starts it. Raises `NobodyError`."""
        if sys.platform != "linux":  # elsewhere a fork may hold what a library of the system's needs
            raise NobodyError(sys.platform)
        self._until = mmap.mmap(-1, struct.calcsize(MOMENT))
        self.hurry(math.inf)
        self._line, other = Pipe()
        try:
            self._pid = _forked(lambda: _Judge(other, rules, contract, self._until).work(), other.fileno())
        except OSError as error:
            raise NobodyError(str(error)) from error
        other.close()

    def hurry(self, until: float) -> None:
        """Nothing is to be judged after that moment."""
        self._until[:] = struct.pack(MOMENT, until)

    def judged(self, timeline: Timeline, rules: Sequence[str], until: float) -> tuple[list[Judgement], bool]:
        """What the rules say, and whether time was over; what the timeline reaches is remembered on it.

        Raises `NobodyError`.
        """
        try:
            events = timeline.events
            parts = [pickle.dumps(events[n : n + EVENTS], 5) for n in range(0, len(events), EVENTS)]
            facts = (timeline.case, timeline.epoch, timeline.end, timeline.terms)
            self._line.send_bytes(pickle.dumps(Question(*facts, tuple(rules), until, len(parts)), 5))
            for part in parts:
                self._line.send_bytes(part)
            answer: Answer = pickle.loads(self._line.recv_bytes())  # noqa: S301 - from our own fork
        except (OSError, EOFError, ValueError, RecursionError, pickle.PickleError) as error:
            self.end()
            raise NobodyError(str(error)) from error
        if not answer.is_over:
            known(reached, timeline, answer.reached)
        return answer.judgements, answer.is_over

    def end(self) -> None:
        """Ends it, whatever it does: it holds nothing."""
        pid, self._pid = self._pid, 0
        if pid:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self._line.close()


class _Judge:
    """The other side."""

    def __init__(self, line: Connection, rules: Mapping[str, Rule], contract: Contract, until: mmap.mmap) -> None:
        self._line = line
        self._rules = rules
        self._contract = contract
        self._hurried = memoryview(until).cast(MOMENT)

    def work(self) -> None:
        """Answers until nobody asks any more."""
        gc.freeze()  # what the tester holds is never looked through for garbage
        gc.set_threshold(*GARBAGE)
        with suppress(EOFError, OSError):
            while True:
                self._line.send_bytes(pickle.dumps(self._answer(), 5))

    def _answer(self) -> Answer:
        question: Question = pickle.loads(self._line.recv_bytes())  # noqa: S301 - from whom it is a fork of
        events = [event for _ in range(question.parts) for event in pickle.loads(self._line.recv_bytes())]  # noqa: S301

        clock, until = time.monotonic, question.until

        def is_over() -> bool:
            now = clock()
            return now > until or now > self._hurried[0]

        timeline = Timeline(
            events,
            contract=self._contract,
            terms=question.terms,
            epoch=question.epoch,
            case=question.case,
            end=question.end,
        )
        found = judge_all([self._rules[name] for name in question.rules], timeline, is_over)
        answer = Answer(found, () if is_over() else reached(timeline), is_over())
        timeline.forget()
        return answer


def _forked(work: Any, kept: int) -> int:
    """The number of a process that works, and has none of what this one has open but one file.

    Signals are not its business: who interrupts a run wants a report of what was done, which takes judging.
    """
    numbers = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads hold nothing that judging needs
            pid = os.fork()
        if pid:
            return pid
        try:
            signal.set_wakeup_fd(-1)
            for number in numbers:
                signal.signal(number, signal.SIG_IGN)
            os.nice(NICE)
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1):
                os.dup2(nothing, stream)
            os.closerange(3, kept)
            os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
            work()
        finally:
            os._exit(0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
