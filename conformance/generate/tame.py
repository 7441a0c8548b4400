"""Bodies of generated requests without what would reach further than their own case.

Every agent of the user, the one default, the name of another's preset and a real mail address are left alone, so that
cases can run side by side, and on a backend that others use too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.contract.shapes import Disagreement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.contract import Operation
    from conformance.world.world import World

FORMATTED = frozenset({"email"})
"""Members of bodies whose schema has a format."""
SHORT = 60
"""Characters up to which a name has room for what makes it unlike any other."""
NAMED = ("presets", "constraints")
NOBODYS = "@conformance.invalid"


def keeps_schema(world: World, operation: Operation, body: Any) -> bool | None:
    """Whether a body keeps the schema; None where our two validators disagree, as they do about formats."""
    contract = world.site.contract
    if FORMATTED.isdisjoint(body):
        return contract.shapes.accepts(operation.body, body)
    try:
        return not contract.violations(operation.body, body)
    except Disagreement:
        return None


def tame(world: World, operation: Operation, body: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """The body as it may go out; `agent` is the case's own, if it has one."""
    tamed = dict(body)
    if tamed.get("broadcast") is True:
        tamed["broadcast"] = False
        tamed["targetAgents"] = tamed.get("targetAgents") or ["-"]
    targets = tamed.get("targetAgents")
    if agent and isinstance(targets, list) and targets and all(isinstance(t, str) for t in targets):
        right = all(world.site.contract.shapes.accepts("common.json#/$defs/AgentId", t) for t in targets)
        tamed["targetAgents"] = [agent] if right else targets
    if tamed.get("isDefault") is True:
        tamed["isDefault"] = False
    if isinstance(tamed.get("name"), str) and operation.path.split("/")[1] in NAMED:
        tamed["name"] = _own(tamed["name"], world.new_id())
    if isinstance(tamed.get("email"), str) and "@" in tamed["email"]:
        tamed["email"] = tamed["email"].rpartition("@")[0] + NOBODYS
    return tamed


def _own(name: str, mark: str) -> str:
    """A name like no other, in its own length where that is long."""
    if not name:
        return name
    return f"{name} {mark}" if len(name) <= SHORT else name[: -len(mark)] + mark
