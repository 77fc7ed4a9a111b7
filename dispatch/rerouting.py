"""Roles and workflows follow the configuration: what is kept of each bead's wish was found by the names of one."""

from collections.abc import Mapping
from typing import Any

from dispatch.interop.fields import FieldReader
from dispatch.interop.intake import take_bead
from dispatch.models.identity import ProjectId
from dispatch.models.routing import Route
from dispatch.placing import Placer
from dispatch.settings import Settings
from dispatch.store import Store


def follow_configuration(store: Store, settings: Settings) -> int:
    """Route the beads of all projects anew that were routed by other names; return how many go elsewhere now."""
    return sum(follow_names(store, Placer(settings, project.id), project.id) for project in store.projects.all())


def follow_names(store: Store, placer: Placer, project_id: ProjectId) -> int:
    """Place the beads of a project anew if that was done by other names; return how many go elsewhere now."""
    if store.routing.routed_by(project_id) == placer.fingerprint:
        return 0

    def route(document: Mapping[str, Any]) -> Route:
        return placer.place(take_bead(FieldReader(document, line=None)))

    return store.routing.reroute(project_id, placer.fingerprint, route)
