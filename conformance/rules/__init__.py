"""The rules, one file for each subject: a file that defines `RULE` or `RULES` is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.rule import Rule


@lru_cache(maxsize=1)
def all_rules() -> dict[str, Rule]:
    """Every rule by id, in the order of files and of their writing."""
    found: dict[str, Rule] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda i: i.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        rules: tuple[Rule, ...] = getattr(module, "RULES", None) or (module.RULE,)
        for rule in rules:
            if rule.id in found:
                raise ValueError(f"two rules have the id {rule.id}")
            found[rule.id] = rule
    return found
