"""What no single key can tell: names that must agree with each other, and times that must fit."""

import re
from collections.abc import Iterator

from dispatch.settings.addresses import is_amqp
from dispatch.settings.container_checks import container_contradictions
from dispatch.settings.durations import format_duration
from dispatch.settings.fields import normal_name
from dispatch.settings.finding import Finding
from dispatch.settings.model import Settings
from dispatch.settings.nearest import did_you_mean
from dispatch.settings.project_checks import project_contradictions
from dispatch.settings.provider_checks import provider_contradictions
from dispatch.settings.runner_checks import runner_contradictions

_NAMES = {
    "workers": (r"[A-Za-z0-9][A-Za-z0-9_-]*", "letters, digits, hyphens and underscores"),
    "runners": (r"[A-Za-z0-9][A-Za-z0-9_.-]*", "letters, digits, points, hyphens and underscores"),
    "providers": (r"[A-Za-z0-9][A-Za-z0-9_.-]*", "letters, digits, points, hyphens and underscores"),
    "roles": (r"[a-z0-9]+(-[a-z0-9]+)*", "lower-case words joined by hyphens"),
    "projects": (r"[A-Za-z0-9][A-Za-z0-9_.-]*", "letters, digits, points, hyphens and underscores"),
}


def contradictions(settings: Settings) -> Iterator[Finding]:
    """Find what contradicts itself in a configuration whose every key is right."""
    yield from _names(settings)
    if settings.home.exists() and not settings.home.is_dir():
        yield Finding(("home",), f"the home {settings.home} is not a directory", "Name a directory, or a new one.")
    directory = settings.workflows.directory
    if directory is not None and not directory.is_dir():
        yield Finding(
            ("workflows", "directory"),
            f"there is no directory {directory} with definitions of workflows",
            "Make it, or correct the path; it is relative to the configuration file.",
        )
    yield from _times(settings)
    yield from _servers(settings)
    for name, runner in settings.runners.items():
        yield from runner_contradictions(name, runner)
    yield from provider_contradictions(settings)
    yield from _roles(settings)
    yield from _aliases(settings)
    yield from _workers(settings)
    yield from _projects(settings)
    yield from container_contradictions(settings)
    for name, project in settings.projects.items():
        yield from project_contradictions(name, project)
    yield from _bug_evidence(settings)


def _names(settings: Settings) -> Iterator[Finding]:
    for table, (pattern, allowed) in _NAMES.items():
        for name in getattr(settings, table):
            if not re.fullmatch(pattern, name):
                yield Finding((table, name), f'"{name}" cannot be a name in [{table}]', f"Use {allowed}.")


def _times(settings: Settings) -> Iterator[Finding]:
    heartbeat, lease = settings.dispatch.heartbeat, settings.dispatch.lease
    if lease <= 2 * heartbeat:
        yield Finding(
            ("dispatch", "lease"),
            f"the lease ({format_duration(lease)}) is not longer than two heartbeats ({format_duration(heartbeat)} "
            "each), so that one late heartbeat would lose a healthy run",
            f"Make the lease longer than {format_duration(2 * heartbeat)}, or the heartbeat shorter.",
        )
    grace, hard_grace = settings.dispatch.grace, settings.dispatch.hard_grace
    if grace >= hard_grace:
        yield Finding(
            ("dispatch", "grace"),
            f"the grace ({format_duration(grace)}) is not shorter than hard_grace ({format_duration(hard_grace)}), so "
            "that the process that is to commit the work of an agent at its limit would be killed before",
            "Make the grace shorter, or hard_grace longer.",
        )
    for key in ("cooldown", "provider_cooldown"):
        first, longest = getattr(settings.guards, key)
        if first > longest:
            yield Finding(
                ("guards", key),
                f"the first cooldown ({format_duration(first)}) is longer than the longest "
                f"({format_duration(longest)})",
                "Write the shorter one first.",
            )


def _servers(settings: Settings) -> Iterator[Finding]:
    if is_amqp(settings.broker_url) and not settings.result_backend_url:
        yield Finding(
            ("broker_url",),
            "an AMQP broker keeps no results, and the hand-over of a run needs them",
            "Set result_backend_url to a Valkey or Redis, for example redis://host:6379/0.",
        )


def _roles(settings: Settings) -> Iterator[Finding]:
    for name, role in settings.roles.items():
        for runner in role.runners:
            if runner not in settings.runners:
                yield Finding(
                    ("roles", name, "runners"),
                    f'role "{name}" names the unknown runner "{runner}"',
                    did_you_mean(runner, settings.runners) or f"Add [runners.{runner}], or name one that exists.",
                )
        if role.instructions is not None and not role.instructions.is_file():
            yield Finding(
                ("roles", name, "instructions"),
                f'there is no file {role.instructions} with the instructions of role "{name}"',
                "Write that file, or correct the path; it is relative to the configuration file.",
            )


def _aliases(settings: Settings) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for name, role in settings.roles.items():
        for alias in map(normal_name, role.aliases):
            path = ("roles", name, "aliases")
            if not alias:
                yield Finding(path, f'role "{name}" has an empty alias', "Remove it.")
            elif alias in settings.roles:
                yield Finding(
                    path, f'the alias "{alias}" of role "{name}" is itself a role', "Choose another alias, or none."
                )
            elif owners.setdefault(alias, name) != name:
                yield Finding(
                    path,
                    f'the alias "{alias}" of role "{name}" is also one of role "{owners[alias]}"',
                    "Leave it to one of them.",
                )


def _workers(settings: Settings) -> Iterator[Finding]:
    for name, worker in settings.workers.items():
        path = ("workers", name, "roles")
        if not worker.roles:
            yield Finding(path, f'worker "{name}" serves no roles', 'List at least one: roles = ["backend-engineer"].')
        for role in worker.roles:
            if role in settings.roles:
                if not settings.roles[role].runners:
                    yield Finding(
                        ("roles", role),
                        f'role "{role}" has no runner, and worker "{name}" serves it',
                        'Say how its agents are started: runners = ["<name of a runner>"].',
                    )
            else:
                yield Finding(path, f'worker "{name}" serves the unknown role "{role}"', _role_cure(settings, role))


def _projects(settings: Settings) -> Iterator[Finding]:
    for name, project in settings.projects.items():
        asked = "default_role" in project.model_fields_set
        if asked and settings.resolve_role(project.default_role) not in settings.roles:
            yield Finding(
                ("projects", name, "default_role"),
                f'project "{name}" has the unknown default role "{project.default_role}"',
                _role_cure(settings, project.default_role),
            )


def _bug_evidence(settings: Settings) -> Iterator[Finding]:
    for number, evidence in enumerate(settings.bug_evidence):
        if settings.resolve_role(evidence.role) not in settings.roles:
            yield Finding(
                ("bug_evidence", str(number), "role"),
                f'evidence number {number + 1} speaks for the unknown role "{evidence.role}"',
                _role_cure(settings, evidence.role),
            )


def _role_cure(settings: Settings, written: str) -> str:
    resolved = settings.resolve_role(written)
    if resolved in settings.roles:
        return f'Write the role itself: "{resolved}".'
    return did_you_mean(resolved, settings.roles) or f"Add [roles.{resolved}], or name a role that exists."
