"""Whether a deployment has nothing left to do: what `up --until-idle` ends by."""

from collections.abc import Callable

from dispatch.budget import bead_refusal
from dispatch.dispatcher import role_for
from dispatch.dispatcher.parking import obstacles
from dispatch.models.bead import HUMAN_LABELS, NEVER_DISPATCHED_TYPES, Bead
from dispatch.models.dispatching import Supply
from dispatch.settings import Settings
from dispatch.store import Store

Choice = Callable[[Bead], bool]
"""Tells whether a bead is among those that this `up` works on."""


def is_idle(store: Store, settings: Settings, chosen: Choice) -> bool:
    """Tell whether no run is open, nothing waits to land, and no bead can go, now or after its cooldown.

    Parked projects do not count, nor do beads that wait for a human, those that wait for ever for a role which nobody
    serves, and a landing that something stands in the way of. The answers come from several looks: ask twice, with no
    event in between, before acting on it.
    """
    with store.dispatching.look() as round_:
        supply = round_.supply(lock=False)
    if supply.open_runs or any(store.landings.next(project.id) is not None for project in supply.projects):
        return False
    return supply.paused or not any(
        _can_go(bead, supply, settings) and chosen(bead)
        for project in supply.projects
        if not obstacles(project, supply, settings).lasts
        for bead in store.reading.ready(project.id, as_tracker=True)
    )


def _can_go(bead: Bead, supply: Supply, settings: Settings) -> bool:
    if bead.issue_type in NEVER_DISPATCHED_TYPES or HUMAN_LABELS & set(bead.labels):
        return False
    if bead.hold or role_for(bead.role_hint, bead.project_id, supply, settings) in supply.paused_roles:
        return False
    if bead_refusal(bead.usd, settings.project_caps(bead.project_id)) is not None:
        return False
    if settings.dispatch.patience is not None:
        return True
    role = settings.resolve_role(bead.wanted_role)
    configured = {settings.resolve_role(name) for worker in settings.workers.values() for name in worker.roles}
    return not role or role in supply.served_roles | configured
