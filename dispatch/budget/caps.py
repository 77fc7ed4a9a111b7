"""The caps: plain functions over what was spent. A cap of 0 is none; one is reached when nothing of it is left.

Dollars are decimal numbers and days those of UTC. Source: SPEC, "Dispatch", step 6.
"""

from collections.abc import Iterable
from decimal import Decimal

from dispatch.models.guarding import Spent
from dispatch.models.identity import ProjectId
from dispatch.settings import CapSettings


def bead_cap(caps: CapSettings) -> Decimal | None:
    """Return the dollars that a bead may cost in all its runs; None: no cap."""
    return caps.bead_usd or None


def bead_refusal(spent_usd: Decimal, caps: CapSettings) -> str | None:
    """Say why a bead gets no more runs; None: it may."""
    cap = bead_cap(caps)
    return None if cap is None or spent_usd < cap else used_up(caps)


def used_up(caps: CapSettings) -> str:
    """Say that a bead has reached its cap."""
    return f"It has used up the {dollars(caps.bead_usd)} that a bead may cost (bead_usd)."


def project_reason(project_id: ProjectId, spent: Spent, caps: CapSettings) -> str | None:
    """Say why a project may spend no more today; None: it may."""
    cap = caps.project_usd_day
    if not cap or spent.usd < cap:
        return None
    used = f"{dollars(spent.usd)} of {dollars(cap)} (project_usd_day)"
    return _until_tomorrow(f"The budget of {project_id} for today is spent, {used}")


def system_reason(spent: Iterable[Spent], caps: CapSettings) -> str | None:
    """Say why all projects together may spend no more today; None: they may."""
    total = sum(spent, start=Spent())
    if caps.system_usd_day and total.usd >= caps.system_usd_day:
        used = f"{dollars(total.usd)} of {dollars(caps.system_usd_day)} (system_usd_day)"
    elif caps.system_tokens_day and total.tokens >= caps.system_tokens_day:
        used = f"{total.tokens:,} of {caps.system_tokens_day:,} tokens (system_tokens_day)"
    else:
        return None
    return _until_tomorrow(f"The system's budget for today is spent, {used}")


def _until_tomorrow(what: str) -> str:
    return f"{what}: it goes on at 00:00 UTC, or with a higher cap."


def dollars(amount: Decimal) -> str:
    """Write an amount in cents, and with as many more places as it has."""
    cents = amount.quantize(Decimal("0.01"))
    return f"${cents:,}" if cents == amount else f"${amount.normalize():,f}"
