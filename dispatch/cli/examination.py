"""The checks of `doctor`: each looks at one part of the deployment and says how to mend it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dispatch.cli.answering import ask_version
from dispatch.cli.context import CommandContext
from dispatch.dispatcher.checking import find_check
from dispatch.embedders import make_embedder
from dispatch.errors import ContainerError, DispatchError
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.models.queues import SERVICE_QUEUES, role_queue
from dispatch.placing import Placer
from dispatch.providers import check_providers
from dispatch.routing import role_names
from dispatch.settings import (
    KNOWN_PROGRAMS,
    Isolation,
    Landing,
    RunnerKind,
    RunnerSettings,
    Settings,
    format_duration,
    mask_password,
)
from dispatch.store import Store
from dispatch.wiring import Addresses, require_broker, require_result_backend
from dispatch.workflow.library import read_definitions
from dispatch.workspaces import (
    ContainerOrchestrator,
    OpenRepository,
    RepositoryCheck,
    landing_of,
    local_repository,
    works_in_clone,
)

LATE_TICKS = 3
"""Ticks that may be missing before the clockwork counts as stopped."""
_NAMED = 5


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `cure` says what to do; empty when all is well."""

    part: str
    health: Health
    found: str
    cure: str = ""


def examine(command: CommandContext) -> Iterator[Finding]:
    """Look at all parts, from the ground up; what stands on a broken part is left out."""
    yield _git()
    try:
        settings = command.settings
    except DispatchError as error:
        yield Finding("configuration", Health.BROKEN, str(error), "Correct it first.")
        return
    yield Finding("configuration", Health.OK, str(settings.config_file or "none; the defaults hold"))
    yield from _runners(settings)
    yield from _providers(settings)
    yield from _containers(settings)
    yield from _readiness_check(settings)
    workflows = list(_workflows(settings))
    yield from workflows
    try:
        yield from _servers(command)
        with command.store() as store:
            yield Finding("schema", Health.OK, "current")
            yield from _consumers(store, settings)
            yield _clockwork(store, settings)
            for project in store.projects.all():
                yield from _project(project, settings)
            yield _lessons(store, settings)
            yield from _orphans(store)
            if all(finding.health is Health.OK for finding in workflows):
                yield from _wishes(store, settings)
    except DispatchError as error:
        yield Finding("servers", Health.BROKEN, str(error), "Mend it and ask again.")


def _git() -> Finding:
    found = shutil.which("git")
    if found is None:
        return Finding("git", Health.BROKEN, "the program git is not on PATH", "Install git 2.36 or later.")
    return Finding("git", Health.OK, found)


def _runners(settings: Settings) -> Iterator[Finding]:
    base = settings.config_file.parent if settings.config_file else Path.cwd()
    for name, runner in settings.runners.items():
        part = f"runner {name}"
        match runner.kind:
            case RunnerKind.COMMAND:
                yield _command(part, name, runner, base)
            case RunnerKind.PYTHON:
                yield Finding(part, Health.OK, runner.target)
            case RunnerKind.LLM:
                place = ", its commands in the image of the project" if runner.isolation is Isolation.CONTAINER else ""
                found = f"an agent of dispatch's own, {runner.max_iterations} iterations a run{place}"
                yield Finding(part, Health.OK, found)


def _command(part: str, name: str, runner: RunnerSettings, base: Path) -> Finding:
    program = runner.command_line[0]
    if runner.isolation is Isolation.CONTAINER:
        return Finding(part, Health.OK, f"{program} in the image of the project")
    if _finds(program, base):
        return _program(part, name, runner, base)
    found = f"the program {program!r} is not on PATH"
    return Finding(part, Health.BROKEN, found, f"Install it, or correct argv of [runners.{name}].")


def _providers(settings: Settings) -> Iterator[Finding]:
    """Ask every provider of models for its list of models. What breakers remember is not changed by that."""
    for check in check_providers(settings.providers):
        part, health = f"provider {check.name}", check.health
        if not health.was_asked:
            cure = "Set it where dispatch and its workers are started; only the environment holds keys."
            yield Finding(part, Health.WARNING, health.told, cure)
        elif health.trouble is not None:
            cure = f"See [providers.{check.name}], and `dispatch providers`."
            yield Finding(part, Health.BROKEN, health.told, cure)
        else:
            yield Finding(part, Health.OK, health.told)


def _containers(settings: Settings) -> Iterator[Finding]:
    """Look at the engine of this host and the images of the projects, when anything needs containers."""
    containers = ContainerOrchestrator(settings)
    if not containers.is_used:
        return
    try:
        yield Finding("containers", Health.OK, str(containers.examine()))
    except ContainerError as error:
        yield Finding("containers", Health.BROKEN, error.facts["problem"], error.facts["cure"])
        return
    for name, project in settings.projects.items():
        if project.image:
            yield _image(containers, ProjectId(name))


def _image(containers: ContainerOrchestrator, project_id: ProjectId) -> Finding:
    part = f"image of {project_id}"
    try:
        return Finding(part, Health.OK, containers.examine_project(project_id))
    except ContainerError as error:
        return Finding(part, Health.BROKEN, error.facts["problem"], error.facts["cure"])


def _program(part: str, name: str, runner: RunnerSettings, base: Path) -> Finding:
    """Ask a program whether it answers, if its preset tells that it can be asked: others might begin to work."""
    program = runner.command_line[0]
    if runner.preset not in KNOWN_PROGRAMS:
        return Finding(part, Health.OK, program)
    answer = ask_version(runner.command_line, base=base)
    if answer.problem:
        cure = f"Install it anew, or correct argv of [runners.{name}]."
        return Finding(part, Health.BROKEN, f"{program} {answer.problem}", cure)
    return Finding(part, Health.OK, f"{program} ({answer.version})")


def _readiness_check(settings: Settings) -> Iterator[Finding]:
    target = settings.guards.readiness_check
    if not target:
        return
    try:
        find_check(target)
    except Exception as error:  # noqa: BLE001 - importing a module of the user may raise anything
        cure = "Correct readiness_check of [guards], or make the module importable where dispatch runs."
        yield Finding("readiness check", Health.BROKEN, f"{target} cannot be imported ({error!r})", cure)
    else:
        yield Finding("readiness check", Health.OK, target)


def _workflows(settings: Settings) -> Iterator[Finding]:
    if settings.workflows.directory is None:
        return
    definitions = read_definitions(settings, role_names(settings))
    faulty = [definition for definition in definitions if definition.faults]
    for definition in faulty:
        cure = "`dispatch workflow validate` tells every fault."
        yield Finding(f"workflow {definition.name or definition.place}", Health.BROKEN, definition.told[0], cure)
    if not faulty:
        own = sum(not definition.is_built_in for definition in definitions)
        yield Finding("workflows", Health.OK, f"{own} in {settings.workflows.directory}")


def _finds(program: str, base: Path) -> bool:
    return shutil.which(str(base / program) if "/" in program else program) is not None


def _servers(command: CommandContext) -> Iterator[Finding]:
    settings, addresses = command.settings, command.addresses
    embedded = f"embedded in {settings.home}"
    with command.store():
        where = embedded if settings.is_embedded_database else mask_password(addresses.database_url)
        yield Finding("database", Health.OK, where)
    where = embedded if settings.is_embedded_broker else mask_password(addresses.broker_url)
    yield _broker("broker", where, require_broker, command)
    if addresses.result_backend_url != addresses.broker_url:
        yield _broker("results", mask_password(addresses.result_backend_url), require_result_backend, command)


def _broker(part: str, where: str, require: Callable[[Settings, Addresses], None], command: CommandContext) -> Finding:
    try:
        require(command.settings, command.addresses)
    except DispatchError as error:
        return Finding(part, Health.BROKEN, str(error), "Nothing is handed over before it answers.")
    return Finding(part, Health.OK, where)


def _consumers(store: Store, settings: Settings) -> Iterator[Finding]:
    served = store.swarm.queues_served()
    for queue in SERVICE_QUEUES:
        cure = f"`dispatch up` starts it, or `celery -A workers worker -Q {queue}`."
        yield _consumer(queue, served, cure)
    for role in settings.roles:
        queue = role_queue(role)
        cure = f"Name the role in [workers.<name>] for `dispatch up`, or `celery -A workers worker -Q {queue}`."
        yield _consumer(queue, served, cure)
    if not settings.roles:
        cure = "Add [runners.<name>], [roles.<role>] and [workers.<name>]; `dispatch init` shows how."
        yield Finding("roles", Health.WARNING, "no role is configured, so no agent can work", cure)


def _consumer(queue: str, served: frozenset[str], cure: str) -> Finding:
    if queue in served:
        return Finding(f"queue {queue}", Health.OK, "has a live consumer")
    return Finding(f"queue {queue}", Health.BROKEN, "no live worker consumes it", cure)


def _clockwork(store: Store, settings: Settings) -> Finding:
    age, interval = store.reading.tick_age(), settings.dispatch.tick_interval
    cure = "`dispatch up` runs beat and the ticker, or `celery -A workers beat`."
    if age is None:
        return Finding("tick", Health.BROKEN, "there was none yet", cure)
    found = f"the last one began {format_duration(age)} ago"
    if age > LATE_TICKS * interval:
        return Finding("tick", Health.BROKEN, f"{found}, every {format_duration(interval)} is meant", cure)
    return Finding("tick", Health.OK, found)


def _project(project: Project, settings: Settings) -> Iterator[Finding]:
    part, wanted = f"project {project.id}", settings.project(project.id)
    if works_in_clone(project, settings):
        yield _cloned(part, project, settings)
        return
    try:
        repository = OpenRepository.at(project.path)
        commit = repository.find_commit(f"refs/heads/{wanted.target_branch}")
    except DispatchError as error:
        yield Finding(part, Health.BROKEN, str(error), "Nothing of it can be worked on before that.")
        return
    if wanted.path is not None and wanted.path.resolve() != project.path:
        cure = f"Make path of [projects.{project.id}] agree with `dispatch project list`."
        yield Finding(part, Health.WARNING, f"it is at {project.path}, the configuration says {wanted.path}", cure)
    if commit is None:
        cure = f"Make the branch, or set target_branch of [projects.{project.id}]."
        yield Finding(part, Health.BROKEN, f"it has no branch {wanted.target_branch!r}", cure)
        return
    if not wanted.test_command:
        cure = f"Set test_command of [projects.{project.id}]."
        yield Finding(part, Health.WARNING, "it has no test command, so work lands untested", cure)
    elif not wanted.image and not _finds(wanted.test_command[0], project.path):
        cure = f"Install it, or correct test_command of [projects.{project.id}]."
        yield Finding(part, Health.BROKEN, f"its test program {wanted.test_command[0]!r} is not on PATH", cure)
    else:
        yield Finding(part, Health.OK, f"{project.path}, branch {wanted.target_branch}, {_lands(project, settings)}")


def _cloned(part: str, project: Project, settings: Settings) -> Finding:
    """Look at a project that this host works on in a clone: is its url within reach?"""
    readiness = RepositoryCheck(settings)(project)
    clone = local_repository(project, settings)
    where = f"in the clone {clone}" if clone is not None else "in a clone that its first run makes"
    if not readiness.ok:
        cure = f"Correct [projects.{project.id}], or the way from here to its url."
        return Finding(part, Health.BROKEN, " ".join(readiness.issues), cure)
    return Finding(part, Health.OK, f"{where}, {_lands(project, settings)}")


def _lands(project: Project, settings: Settings) -> str:
    """Say how the work of a project lands, and what is missing for it here."""
    landing = landing_of(project, settings)
    if landing is Landing.PR and not settings.project(project.id).pr_command and shutil.which("gh") is None:
        return "landing = pr; gh is not installed here, so a human is told what to type"
    return f"landing = {landing}"


def _wishes(store: Store, settings: Settings) -> Iterator[Finding]:
    """Tell of beads that ask for somebody unknown, and of roles that were found by other names than those of now."""
    stale = [
        project.id
        for project in store.projects.all()
        if store.routing.routed_by(project.id) not in ("", Placer(settings, project.id).fingerprint)
    ]
    if stale:
        found = f"the roles in {', '.join(stale)} were found by other names than the configuration has now"
        yield Finding("routing", Health.WARNING, found, "`dispatch db upgrade` or the next `dispatch up` routes anew.")
    troubled = store.routing.problems(_NAMED + 1)
    for bead in troubled[:_NAMED]:
        yield Finding(f"bead {bead.key}", Health.WARNING, bead.role_problem, "Correct it in the tracker.")
    if len(troubled) > _NAMED:
        found = f"more than {_NAMED} beads ask for somebody unknown"
        yield Finding("beads' wishes", Health.WARNING, found, "`dispatch ready --all --json` has each role_problem.")


def _lessons(store: Store, settings: Settings) -> Finding:
    """Tell by what lessons are found."""
    chosen = settings.lessons.embedder
    if not store.lessons.has_vectors():
        found = "pgvector is missing, so lessons are found by their words and age alone"
        cure = "Install the extension `vector` in PostgreSQL, then `dispatch db upgrade`."
        return Finding("lessons", Health.WARNING, found, cure)
    try:
        make_embedder(settings.lessons)
    except DispatchError as error:
        return Finding("lessons", Health.WARNING, str(error), "Lessons are found by their words and age until then.")
    return Finding("lessons", Health.OK, f"found by words and by vectors ({chosen})")


def _orphans(store: Store) -> Iterator[Finding]:
    orphans = [str(bead.key) for bead in store.edits.orphans()]
    if orphans:
        more = f" and {len(orphans) - _NAMED} more" if len(orphans) > _NAMED else ""
        found = f"in progress, but no run here holds them: {', '.join(orphans[:_NAMED])}{more}"
        yield Finding("beads", Health.WARNING, found, "`dispatch adopt` opens them, if nobody else works on them.")
