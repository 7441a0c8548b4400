"""Agent items carry the raw metadata of the row, and no last_metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._shapes import rest_items, without
from reference_impl.defects._through import Replacing
from reference_impl.domain.presenters.legacy import LegacyPresenter

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent
    from reference_impl.domain.events import Body


def _blob(agent: Agent, item: Body) -> Body:
    return {**without(item, "last_metrics"), "metadata": LegacyPresenter().listed(agent)["metadata"]}


DEFECT = Replacing(
    "rest-metadata-blob",
    ("AGT-2", "AGT-3"),
    "Agent items carry the raw metadata, and no last_metrics",
    rest_items(_blob),
)
