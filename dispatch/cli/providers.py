"""Looking at the providers of models: `providers`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from dispatch.cli import output
from dispatch.cli.context import CommandContext
from dispatch.cli.options import JsonOption
from dispatch.errors import NotFoundError
from dispatch.models.provider import ProviderRecord
from dispatch.providers import ProviderCheck, check_providers, key_of
from dispatch.readiness.providers import BreakerState, retry_from, state_of
from dispatch.settings import ProviderSettings, Settings
from dispatch.store import Store


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: `dispatch providers --check`")(providers)


def providers(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Ask each of them now, and show what it answers.")] = False,
    release: Annotated[
        str | None, typer.Option(metavar="NAME", help="Let all runs use this one again.", show_default="none")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the providers of models: state, price, and what went wrong last."""
    command = CommandContext.of(context)
    configured = command.settings.providers
    if release is not None and release not in configured:
        known = ", ".join(configured) or "none"
        raise NotFoundError(thing="provider", name=release, cure=f"Configured are: {known}.")
    with command.store() as store:
        if release is not None:
            store.providers.forget_failures(release)
        checks = check_providers(configured) if check else []
        view = provider_views(store, command.settings, checks)
    if as_json:
        output.write_json(view)
        return
    rows = [
        (one["name"], one["kind"], one["model"], one["state"], _price(one["usd_per_mtok"]), one["key"], _told(one))
        for one in view
    ]
    output.write_table(
        ("provider", "kind", "model", "state", "$/Mtok in, out", "key", "last"),
        rows,
        empty="No provider is configured; docs/models.md shows how.",
    )


def provider_views(store: Store, settings: Settings, checks: Sequence[ProviderCheck]) -> list[dict[str, Any]]:
    """Return what there is to say of each configured provider. `checks` are looks that were just taken."""
    known, now = store.providers.all(), store.providers.now()
    found = {check.name: check.health for check in checks}
    views = []
    for name, provider in settings.providers.items():
        view = _view(name, provider, known.get(name) or ProviderRecord(name=name), settings, now)
        health = found.get(name)
        views.append(view | ({"check": health.told, "check_ok": health.trouble is None} if health is not None else {}))
    return views


def _view(
    name: str, provider: ProviderSettings, record: ProviderRecord, settings: Settings, now: datetime
) -> dict[str, Any]:
    state = state_of(record, settings.guards, now)
    return {
        "name": name,
        "kind": provider.kind,
        "model": provider.model,
        "base_url": provider.endpoint,
        "state": "up" if state is BreakerState.CLOSED else "down" if state is BreakerState.OPEN else "on trial",
        "retry_from": retry_from(record, settings.guards),
        "usd_per_mtok": provider.usd_per_mtok,
        "key": _key(provider),
        "failures": record.failures,
        "last_cause": record.cause,
        "last_error": record.error,
        "failed_at": record.failed_at,
        "succeeded_at": record.succeeded_at,
        "checked_at": record.checked_at,
        "check_error": record.check_error,
        "roles": [role for role in settings.roles if name in settings.role_providers(role)],
    }


def _key(provider: ProviderSettings) -> str:
    if not provider.api_key_env:
        return "none needed"
    return f"{provider.api_key_env}{' (not set here)' if key_of(provider) is None else ''}"


def _price(pair: Sequence[Any]) -> str:
    return ", ".join(f"{price:g}" for price in pair)


def _told(view: dict[str, Any]) -> str:
    if "check" in view:
        return str(view["check"])
    told = []
    if view["failures"] and view["last_error"]:
        told.append(f"{view['failures']} failed in a row: {view['last_error']}")
    elif view["failures"]:
        told.append(f"{view['failures']} failed in a row: {view['last_cause']}")
    elif view["succeeded_at"]:
        told.append(f"answered {output.moment(view['succeeded_at'])}")
    if view["state"] == "down":
        told.append(f"tried again from {output.moment(view['retry_from'])} on")
    if view["check_error"] and view["check_error"] != view["last_error"]:
        told.append(view["check_error"])
    return "; ".join(told)
