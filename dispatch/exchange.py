"""Where beads files meet the store: import, export, and beads that are made here."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from dispatch import interop
from dispatch.errors import BadInputError, CycleError
from dispatch.interop import BeadEntry, MemoryEntry, Problem
from dispatch.interop.edges import MAX_TYPE
from dispatch.interop.intake import MAX_ID
from dispatch.models.bead import DEFAULT_PRIORITY, DISCOVERED_TYPE, PARENT_TYPE, Bead, Dependency
from dispatch.models.identity import BeadId, BeadKey, ProjectId, RunId
from dispatch.models.importing import BeadRecord, ImportReport, MemoryRecord
from dispatch.models.project import Project
from dispatch.models.states import BeadStatus
from dispatch.placing import Placer
from dispatch.rerouting import follow_names
from dispatch.routing import bead_timeout
from dispatch.routing.hints import AUTO_FILED, ROLE_LABEL
from dispatch.settings import Settings, normal_name
from dispatch.store import Store, StoredDocument, StoredMemory
from dispatch.store.memories import is_known


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import did, and all that is wrong with the file and with the project's graph after it."""

    report: ImportReport
    problems: tuple[Problem, ...]

    @property
    def refused_lines(self) -> int:
        """How many lines were left out."""
        return _refused_lines(self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBead:
    """What a human says of a bead that is to be made. Ids may be given as `project/id`; edges stay in the project.

    `depends_on` are beads it waits for, `blocks` beads that wait for it, `role` the one it asks for.
    """

    title: str
    description: str = ""
    priority: int = DEFAULT_PRIORITY
    issue_type: str = "task"
    labels: Sequence[str] = ()
    depends_on: Sequence[str] = ()
    blocks: Sequence[str] = ()
    parent: str | None = None
    role: str = ""
    id: str | None = None


@dataclass(slots=True)
class _Reading:
    """What has been read of a file so far. Of an id or key that comes twice, the later one counts."""

    beads: dict[BeadId, BeadRecord] = field(default_factory=dict)
    memories: dict[str, MemoryRecord] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def import_file(
    store: Store,
    project_id: ProjectId,
    path: Path,
    *,
    settings: Settings | None = None,
    strict: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportResult:
    """Bring a project up to date with a beads file, in one transaction. Lines that cannot be read are left out.

    `settings` name the roles that beads may ask for; without them those of the default personas count. `progress` is
    told, after each, how many beads have been read. Raises `NotFoundError` for an unknown project, and
    `BadInputError` when the file cannot be read, when no line of it can, or when `strict` and some cannot: then
    nothing is written.
    """
    store.projects.get(project_id)
    placer = Placer(settings, project_id)
    reading = _read(path, placer, progress)
    _check_refusals(path, reading, strict)
    if settings is not None:
        follow_names(store, placer, project_id)
    report = store.imports.import_records(project_id, list(reading.beads.values()), list(reading.memories.values()))
    graph = interop.graph_problems(*store.reading.graph(project_id))
    return ImportResult(report=report, problems=(*reading.problems, *graph))


def _read(path: Path, placer: Placer, progress: Callable[[int], None] | None) -> _Reading:
    reading = _Reading()
    for entry in interop.read_entries(path):
        match entry:
            case BeadEntry():
                record, problems = _record(entry, placer)
                reading.beads[entry.bead.id] = record
                reading.problems += problems
                if progress is not None:
                    progress(len(reading.beads))
            case MemoryEntry():
                _take_memory(entry, reading)
            case Problem():
                reading.problems.append(entry)
    return reading


def _record(entry: BeadEntry, placer: Placer) -> tuple[BeadRecord, list[Problem]]:
    """Return a bead as the store takes it. What dispatch cannot make sense of is told, and stays in its text."""
    problems = []

    def warn(problem: str, cure: str) -> None:
        problems.append(Problem(entry.line, entry.bead.id, problem, cure, fatal=False))

    route = placer.place(entry.bead)
    if route.problem:
        warn(route.problem, route.cure)
    edges = [edge for edge in entry.dependencies if _is_storable(edge)]
    if len(edges) < len(entry.dependencies):
        left_out = len(entry.dependencies) - len(edges)
        warn(f"{left_out} dependencies have a type or an id that is too long, ignored", "correct or remove them")
    timeout: timedelta | None = None
    try:
        timeout = bead_timeout(entry.bead.metadata)
    except ValueError as unreadable:
        warn(f"metadata.timeout is ignored: {unreadable}", "correct it")
    record = BeadRecord(
        bead=entry.bead,
        text=entry.text,
        document=entry.document,
        dependencies=tuple(edges),
        role_hint=route.role,
        role_reason=route.reason,
        role_problem=route.complaint,
        workflow=route.workflow,
        timeout=timeout,
    )
    return record, problems


def _is_storable(edge: Dependency) -> bool:
    """Tell whether an edge fits the database's index; a longer id is that of no bead, a longer type is none of ours."""
    return len(edge.depends_on_id) <= MAX_ID and len(edge.type) <= MAX_TYPE


def _take_memory(entry: MemoryEntry, reading: _Reading) -> None:
    if len(entry.key) > MAX_ID:
        problem = f"this memory has a key of {len(entry.key)} characters"
        reading.problems.append(Problem(entry.line, None, problem, f"use at most {MAX_ID}", fatal=True))
        return
    reading.memories[entry.key] = MemoryRecord(key=entry.key, text=entry.text)


def _check_refusals(path: Path, reading: _Reading, strict: bool) -> None:
    refused = [problem for problem in reading.problems if problem.fatal]
    nothing = not reading.beads and not reading.memories
    if not refused or not (strict or nothing):
        return
    raise BadInputError(
        place=path,
        problem=f"{_refused_lines(refused)} line(s) cannot be imported, the first: {refused[0]}",
        cure="Nothing was imported. Name a beads file." if nothing else "Nothing was imported; correct the line(s).",
    )


def _refused_lines(problems: Iterable[Problem]) -> int:
    return len({problem.line for problem in problems if problem.fatal})


def export_project(store: Store, project_id: ProjectId) -> Iterator[str]:
    """Yield a project as the lines of a beads file: what was imported, with our changes in it; then its memories.

    Raises `NotFoundError` for an unknown project.
    """
    store.projects.get(project_id)
    # Read to the end before the first line goes out: a slow reader must not keep a transaction open.
    documents = list(store.imports.documents(project_id))
    memories = [memory for memory in store.memory.documents(project_id) if not memory.forgotten]
    return (line for lines in (map(_line, documents), map(_memory_line, memories)) for line in lines)


def _memory_line(stored: StoredMemory) -> str:
    return interop.export_line(stored.text, stored.changes)


def _line(stored: StoredDocument) -> str:
    changes = dict(stored.changes)
    if stored.held and changes.get("status") != BeadStatus.CLOSED:
        changes["status"] = BeadStatus.IN_PROGRESS.value
    return interop.export_line(stored.text, changes, stored.added_edges)


def export_to(store: Store, project_id: ProjectId, path: Path) -> int:
    """Write a project to a beads file, whole or not at all; return the number of lines. Raises `BadInputError`."""
    lines = list(export_project(store, project_id))
    interop.write_file(path, lines)
    return len(lines)


def unimported(store: Store, project_id: ProjectId, path: Path) -> list[str]:
    """Return what a beads file holds and an export over it would lose: ids of beads, keys of memories, bad lines.

    A bead of the file may differ from the imported one only if it is older than what is here.
    """
    stored = {document.id: document for document in store.imports.documents(project_id)}
    memories = {memory.key: memory for memory in store.memory.documents(project_id)}
    lost = []
    for entry in interop.read_entries(path):
        match entry:
            case BeadEntry():
                if not _is_covered(entry, stored.get(entry.bead.id)):
                    lost.append(str(entry.bead.id))
            case MemoryEntry():
                memory = memories.get(entry.key)
                if memory is None or not is_known(entry.text, memory.text, memory.changes):
                    lost.append(entry.key)
            case Problem(fatal=True):
                lost.append(f"line {entry.line}")
            case Problem():
                pass
    return lost


def _is_covered(entry: BeadEntry, stored: StoredDocument | None) -> bool:
    if stored is None:
        return False
    if entry.document in (json.loads(stored.text), json.loads(_line(stored))):
        return True
    ours = interop.bead_from_document({**json.loads(stored.text), **stored.changes}).updated_at
    theirs = entry.bead.updated_at
    return ours is not None and theirs is not None and theirs < ours


def add_bead(
    store: Store,
    project: Project,
    new: NewBead,
    *,
    created_by: str,
    now: datetime,
    settings: Settings | None = None,
) -> Bead:
    """Make a bead in a project, as its tracker would, and return it. `settings` are those of `import_file`.

    Raises `BadInputError` for what a tracker would not take, `NotFoundError` for an edge to a bead that is not there,
    `CycleError` for an edge that would close a cycle, `RefusedError` when the id is taken.
    """
    bead_id = BeadId(new.id) if new.id is not None else new_id(store, project, new.title, created_by, now)
    own, others = _edges(project.id, bead_id, new)
    record = new_record(project.id, bead_id, new, own, created_by=created_by, now=now, settings=settings)
    edges_to_it = [(edge, interop.dependency_document(edge, created_by, now)) for edge in others]
    return store.edits.add(project.id, record, edges_to_it, lambda edges: _refuse_cycles([*own, *others], edges))


def file_follow_up(
    store: Store,
    project: Project,
    origin: BeadId,
    new: NewBead,
    *,
    run_id: RunId,
    by: str,
    now: datetime,
    settings: Settings,
) -> Bead | None:
    """Make a bead of work that a run on `origin` found; `by` is the run's agent. None: it is there already.

    A bug among them goes by the evidence in its text, as any that a program files. Raises what `add_bead` does.
    """
    labels = [AUTO_FILED] if new.issue_type == "bug" else []
    bead_id = new_id(store, project, new.title, by, now)
    edge = Dependency(issue_id=bead_id, depends_on_id=origin, type=DISCOVERED_TYPE)
    record = new_record(
        project.id, bead_id, replace(new, labels=labels), [edge], created_by=by, now=now, settings=settings
    )
    return store.edits.add_follow_up(BeadKey(project.id, origin), record, run_id)


def new_record(
    project_id: ProjectId,
    bead_id: BeadId,
    new: NewBead,
    own: Sequence[Dependency],
    *,
    created_by: str,
    now: datetime,
    settings: Settings | None = None,
) -> BeadRecord:
    """Return a new bead as the store takes it; `own` are the edges that it owns. Raises `BadInputError`."""
    role = normal_name(new.role)
    labels = dict.fromkeys([*new.labels, *([f"{ROLE_LABEL}{role}"] if role else [])])
    bead = Bead(
        id=bead_id,
        title=new.title,
        description=new.description,
        priority=new.priority,
        issue_type=new.issue_type,
        labels=tuple(labels),
    )
    document = interop.new_document(bead, created_by, now)
    if own:
        document["dependencies"] = [interop.dependency_document(edge, created_by, now) for edge in own]
    made = interop.bead_from_document(document)
    route = Placer(settings, project_id).place(made)
    return BeadRecord(
        bead=made,
        text=interop.document_text(document),
        document=document,
        dependencies=tuple(own),
        role_hint=route.role,
        role_reason=route.reason,
        role_problem=route.complaint,
        workflow=route.workflow,
    )


def new_id(
    store: Store, project: Project, title: str, created_by: str, now: datetime, *, also_taken: Collection[BeadId] = ()
) -> BeadId:
    """Return an id that no bead of a project has yet."""
    taken = store.imports.ids(project.id)
    prefix = interop.common_prefix(taken) or project.prefix
    salt = f"{created_by} {now.isoformat()}"
    return BeadId(interop.new_bead_id(prefix, title, frozenset([*taken, *also_taken]).__contains__, salt))


def _edges(project_id: ProjectId, bead_id: BeadId, new: NewBead) -> tuple[list[Dependency], list[Dependency]]:
    """Return the edges that the bead owns, and those of other beads that name it."""

    def local(name: str) -> BeadId:
        return BeadId(name.removeprefix(f"{project_id}/"))

    own = [Dependency(issue_id=bead_id, depends_on_id=local(name)) for name in dict.fromkeys(new.depends_on)]
    if new.parent is not None:
        own.append(Dependency(issue_id=bead_id, depends_on_id=local(new.parent), type=PARENT_TYPE))
    others = [Dependency(issue_id=local(name), depends_on_id=bead_id) for name in dict.fromkeys(new.blocks)]
    return own, others


def _refuse_cycles(new: Iterable[Dependency], all_edges: Sequence[Dependency]) -> None:
    for edge in new:
        cycle = interop.cycle_through(edge, all_edges)
        if cycle is not None:
            raise CycleError(bead_id=edge.issue_id, depends_on_id=edge.depends_on_id, path=" -> ".join(cycle))
