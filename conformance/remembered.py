"""Views that are worked out once for all rules that ask for them: a run judges some 200 timelines by all rules."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.connection import Connection
    from conformance.timeline import Timeline

T = TypeVar("T")
On = TypeVar("On", "Timeline", "Connection")
P = ParamSpec("P")


def remembered(view: Callable[Concatenate[On, P], Iterator[T]]) -> Callable[Concatenate[On, P], tuple[T, ...]]:
    """A view of a timeline or connection that is worked out once, for all rules that ask for it.

    Whatever it is asked about beside that must be hashable.
    """

    def kept(on: On, /, *about: P.args, **options: P.kwargs) -> tuple[T, ...]:
        key = (view, about, *options.items())
        if (found := on.remembered.get(key)) is None:
            found = on.remembered[key] = tuple(view(on, *about, **options))
        return found

    return update_wrapper(kept, view)


def known(view: Callable[..., tuple[T, ...]], on: Timeline | Connection, found: tuple[T, ...]) -> None:
    """Remembers what somebody else worked out: what a remembered view finds, asked about nothing more."""
    on.remembered[view.__wrapped__, ()] = found  # type: ignore[attr-defined]  # see `update_wrapper`
