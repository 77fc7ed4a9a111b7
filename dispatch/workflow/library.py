"""The definitions of a deployment: the built-in ones, and those in the directory that the settings name."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter

from dispatch.errors import BadInputError
from dispatch.models.workflow import Workflow
from dispatch.settings import Settings
from dispatch.workflow.checking import find_faults
from dispatch.workflow.faults import Fault
from dispatch.workflow.reading import read_draft, workflow_of

LARGEST_FILE = 256 * 1024
"""Bytes."""
BUILT_IN = ("bug", "feature", "ui", "self-improvement")
_FINGERPRINTED: TypeAdapter[dict[str, Workflow]] = TypeAdapter(dict[str, Workflow])


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A file that should define a workflow, and what came of it: the workflow, or the faults in the order of lines.

    `name` is what the file calls it, also where it is faulty; empty where that cannot be told.
    """

    place: str
    name: str = ""
    workflow: Workflow | None = None
    faults: tuple[Fault, ...] = ()
    is_built_in: bool = False

    @property
    def told(self) -> list[str]:
        """Its faults, each in a line that names file, line, what is wrong and the cure."""
        return [fault.told(self.place) for fault in self.faults]


def load_workflows(settings: Settings, roles: Mapping[str, str]) -> Mapping[str, Workflow]:
    """Read every workflow by its name: the built-in ones, and those of the settings, which replace them.

    `roles` are the names by which a role may be called, each with the role that it means (`routing.role_names`).
    Raises `BadInputError` for a faulty definition, with the first fault, its file and its line.
    """
    workflows: dict[str, Workflow] = {}
    for definition in read_definitions(settings, roles):
        if definition.workflow is None:
            raise _refused(definition)
        workflows[definition.workflow.name] = definition.workflow
    return workflows


def read_definitions(settings: Settings, roles: Mapping[str, str]) -> list[Definition]:
    """Read all definitions, the faulty ones too: the built-in ones that nobody replaces, then those of the settings."""
    own = [] if settings.workflows.directory is None else _directory(settings.workflows.directory, roles)
    replaced = {definition.name for definition in own}
    built_in = (built_in_definition(name, roles) for name in BUILT_IN if name not in replaced)
    return [*built_in, *_named_once(own)]


def read_file(path: Path, roles: Mapping[str, str]) -> Definition:
    """Read one file. One that cannot be read is a faulty definition."""
    try:
        with path.open("rb") as file:
            return _parsed(str(path), _head(file), roles)
    except OSError as unreadable:
        fault = Fault(1, f"cannot be read ({unreadable.strerror})", "It has to be a readable file.")
        return Definition(place=str(path), faults=(fault,))


def read_text(place: str, text: str, roles: Mapping[str, str]) -> Definition:
    """Read the text of a definition; `place` is the file that is named with each fault."""
    draft = read_draft(text)
    if isinstance(draft, Fault):
        return Definition(place=place, faults=(draft,))
    faults = find_faults(draft, roles)
    workflow = None if faults else workflow_of(draft, roles)
    return Definition(place=place, name=draft.text.name, workflow=workflow, faults=tuple(faults))


def built_in_definition(name: str, roles: Mapping[str, str]) -> Definition:
    """Read a definition that ships with dispatch."""
    text = resources.files("dispatch.workflow").joinpath("builtin", f"{name}.toml").read_text(encoding="utf-8")
    definition = read_text(f"built-in {name}.toml", text, roles)
    return Definition(
        place=definition.place,
        name=definition.name,
        workflow=definition.workflow,
        faults=definition.faults,
        is_built_in=True,
    )


def fingerprint(workflows: Mapping[str, Workflow]) -> str:
    """Return a text that differs when other definitions might choose another workflow for a bead."""
    known = {name: workflows[name] for name in sorted(workflows)}
    return hashlib.sha256(_FINGERPRINTED.dump_json(known)).hexdigest()


def _directory(directory: Path, roles: Mapping[str, str]) -> list[Definition]:
    try:
        files = sorted(path for path in directory.iterdir() if path.suffix == ".toml" and path.is_file())
    except OSError as unreadable:
        cure = "It has to be a directory with definitions of workflows."
        return [Definition(place=str(directory), faults=(Fault(1, f"cannot be read ({unreadable.strerror})", cure),))]
    return [read_file(path, roles) for path in files]


def _named_once(definitions: Iterable[Definition]) -> Iterator[Definition]:
    """Yield definitions; one whose name another one has already is faulty."""
    places: dict[str, str] = {}
    for definition in definitions:
        first = places.setdefault(definition.name, definition.place) if definition.name else definition.place
        if first == definition.place:
            yield definition
            continue
        fault = Fault(1, f'the name "{definition.name}" is that of {first} already', "Give one of them another name.")
        faults = (*definition.faults, fault)
        yield Definition(place=definition.place, name=definition.name, faults=tuple(sorted(faults)))


def _head(file: BinaryIO) -> bytes:
    return file.read(LARGEST_FILE + 1)


def _parsed(place: str, data: bytes, roles: Mapping[str, str]) -> Definition:
    if len(data) > LARGEST_FILE:
        fault = Fault(1, f"is larger than {LARGEST_FILE // 1024} kB", "Shorten it.")
        return Definition(place=place, faults=(fault,))
    try:
        return read_text(place, data.decode(), roles)
    except UnicodeDecodeError as wrong:
        fault = Fault(data.count(b"\n", 0, wrong.start) + 1, "is not UTF-8", "Save it in that encoding.")
        return Definition(place=place, faults=(fault,))


def _refused(definition: Definition) -> BadInputError:
    first, others = definition.faults[0], len(definition.faults) - 1
    more = f" `dispatch workflow validate` tells all {others + 1} faults." if others else ""
    place = f"{definition.place}:{first.line}"
    return BadInputError(place=place, problem=first.problem, cure=f"{first.cure}{more}")
