"""What is remembered about projects. A tracker's file brings some of it in, and gets it back as it came.

The line of a memory is kept as it was imported (`document`). What is remembered over it is kept beside it (`ours`, as
JSON), and so is that it was forgotten. So the same file, imported again, changes nothing; a line that says something
which neither the file nor we said before is news of the tracker, and wins.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dispatch.context import memories_in_words, ranked
from dispatch.errors import BadInputError, NotFoundError
from dispatch.models.identity import ProjectId
from dispatch.models.importing import MemoryRecord
from dispatch.models.memory import Memory, ToldMemories
from dispatch.store import history, schema
from dispatch.store.engine import retrying
from dispatch.store.transaction import Transaction
from dispatch.store.units import Units

MAX_KEY: Final = 255
"""Characters."""
MAX_VALUE: Final = 1_000_000
"""Characters of a value as JSON."""
_TOLD_TEXT = 20_000
"""Characters of lines that are read for a prompt, which is shorter; the last line may pass that."""
_MEMORIES = schema.memories
_NEWEST_FIRST = (_MEMORIES.c.changed_at.desc(), _MEMORIES.c.seq.desc())


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMemory:
    """A memory as the export needs it: the line as it came, and what we changed of it."""

    key: str
    text: str
    changes: dict[str, Any]
    forgotten: bool


class ProjectMemory:
    """Facts about projects that every run is told.

    A key has 1 to 255 printable characters. A value is anything that JSON can say, up to a million characters of it.
    """

    def __init__(self, units: Units) -> None:
        self._units = units

    def remember(self, project_id: ProjectId, key: str, value: Any) -> Memory:
        """Keep a fact; one of the same key is replaced. Raises `BadInputError`, and `NotFoundError` for the project."""
        text = _checked(key, value)
        return retrying(lambda: self._remember(project_id, key, json.loads(text), text))

    def _remember(self, project_id: ProjectId, key: str, value: Any, text: str) -> Memory:
        with self._units.begin() as tx:
            _require_project(tx, project_id)
            line = json.dumps({"_type": "memory", "key": key, "value": value})
            if not _insert(tx, project_id, key, line):
                row = _row(tx, project_id, key)
                if not row.forgotten and _is_same(_value(row), value):
                    return _memory(row)
                tx.connection.execute(_of_key(project_id, key).values(ours=text, forgotten=False, changed_at=tx.now()))
            history.add_event(tx, "memory.remembered", project_id=project_id, key=key)
            return _memory(_row(tx, project_id, key))

    def recall(self, project_id: ProjectId, query: str | None = None) -> list[Memory]:
        """Return what is remembered, the newest first; with a query what has a word of it, the best first.

        Raises `NotFoundError` for an unknown project.
        """
        statement = select(_MEMORIES).where(_MEMORIES.c.project_id == project_id, ~_MEMORIES.c.forgotten)
        with self._units.read() as tx:
            _require_project(tx, project_id)
            found = [_memory(row) for row in tx.connection.execute(statement.order_by(*_NEWEST_FIRST))]
        return found if query is None else ranked(found, query)

    def forget(self, project_id: ProjectId, key: str) -> None:
        """Forget a fact: it is told no more, and exported no more. The file it came from does not bring it back.

        Raises `NotFoundError`.
        """
        with self._units.begin() as tx:
            _require_project(tx, project_id)
            row = tx.connection.execute(
                _of_key(project_id, key)
                .where(~_MEMORIES.c.forgotten)
                .values(forgotten=True, changed_at=tx.now())
                .returning(_MEMORIES.c.key)
            ).one_or_none()
            if row is None:
                raise NotFoundError(
                    thing="memory", name=key, cure=f"`dispatch memory list --project {project_id}` shows all."
                )
            history.add_event(tx, "memory.forgotten", project_id=project_id, key=key)

    def for_prompt(self, project_id: ProjectId) -> str:
        """Return what is remembered as Markdown, newest first, 4,000 characters at most; it says what is left out.

        Empty when nothing is remembered. Raises `NotFoundError` for an unknown project.
        """
        with self._units.read() as tx:
            _require_project(tx, project_id)
            return memories_in_words(told(tx, project_id))

    def documents(self, project_id: ProjectId) -> list[StoredMemory]:
        """Return the memories of a project in the order they came, the forgotten ones too, for export."""
        statement = select(_MEMORIES).where(_MEMORIES.c.project_id == project_id).order_by(_MEMORIES.c.seq)
        with self._units.read() as tx:
            return [
                StoredMemory(key=row.key, text=row.document, changes=_changes(row), forgotten=row.forgotten)
                for row in tx.connection.execute(statement)
            ]


def told(tx: Transaction, project_id: ProjectId) -> ToldMemories:
    """Return the newest memories of a project: no more of them than a prompt can show."""
    length = "octet_length(COALESCE(ours, document))"
    window = "(ORDER BY changed_at DESC, seq DESC ROWS UNBOUNDED PRECEDING)"
    read = (
        select(
            _MEMORIES,
            literal_column(f"sum({length}) OVER {window} - {length}").label("before"),
            literal_column("count(*) OVER ()").label("total"),
        )
        .where(_MEMORIES.c.project_id == project_id, ~_MEMORIES.c.forgotten)
        .subquery()
    )
    statement = select(read).where(read.c.before < _TOLD_TEXT).order_by(read.c.changed_at.desc(), read.c.seq.desc())
    rows = tx.connection.execute(statement).all()
    return ToldMemories(newest=tuple(map(_memory, rows)), total=rows[0].total if rows else 0)


def take_lines(tx: Transaction, project_id: ProjectId, records: Sequence[MemoryRecord]) -> int:
    """Take the memories of a tracker's file; return how many were new or said something new."""
    return sum(_take_line(tx, project_id, record) for record in records)


def _take_line(tx: Transaction, project_id: ProjectId, record: MemoryRecord) -> bool:
    if _insert(tx, project_id, record.key, record.text):
        return True
    row = _row(tx, project_id, record.key)
    if is_known(record.text, row.document, _changes(row)):
        return False
    tx.connection.execute(
        _of_key(project_id, record.key).values(document=record.text, ours=None, forgotten=False, changed_at=tx.now())
    )
    return True


def is_known(text: str, document: str, changes: dict[str, Any]) -> bool:
    """Tell whether a line says what the one said that was imported, or what we made of that."""
    if text == document:
        return True
    said, before = json.loads(text), json.loads(document)
    return _is_same(said, before) or _is_same(said, before | changes)


def _checked(key: str, value: Any) -> str:
    """Return a value as JSON, with everything escaped that a database or a terminal might not take."""
    if not key or len(key) > MAX_KEY or not key.isprintable() or key != key.strip():
        raise BadInputError(
            place="a memory",
            problem=f"the key {key[:40]!r} is empty, too long, or not plainly printable",
            cure=f"Use 1 to {MAX_KEY} characters, without line breaks or outer blanks.",
        )
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInputError(
            place=f"the memory {key!r}", problem=f"JSON cannot say its value ({error})", cure="Give a text."
        ) from error
    if len(text) > MAX_VALUE:
        raise BadInputError(
            place=f"the memory {key!r}",
            problem=f"its value has {len(text)} characters",
            cure=f"Keep it to {MAX_VALUE}; put long texts into the repository, and remember where they are.",
        )
    return text


def _require_project(tx: Transaction, project_id: ProjectId) -> None:
    projects = schema.projects
    if tx.connection.execute(select(projects.c.id).where(projects.c.id == project_id)).scalar() is None:
        raise NotFoundError(thing="project", name=project_id, cure="See `dispatch project list`.")


def _insert(tx: Transaction, project_id: ProjectId, key: str, line: str) -> bool:
    """Add a memory; False when there is one of that key, forgotten or not, which stays as it is."""
    insertion = upsert(_MEMORIES).values(project_id=project_id, key=key, document=line, changed_at=tx.now())
    added = tx.connection.execute(insertion.on_conflict_do_nothing().returning(_MEMORIES.c.key)).one_or_none()
    return added is not None


def _of_key(project_id: ProjectId, key: str) -> Any:
    return update(_MEMORIES).where(_MEMORIES.c.project_id == project_id, _MEMORIES.c.key == key)


def _row(tx: Transaction, project_id: ProjectId, key: str) -> Any:
    statement = select(_MEMORIES).where(_MEMORIES.c.project_id == project_id, _MEMORIES.c.key == key)
    return tx.connection.execute(statement.with_for_update()).one_or_none()


def _changes(row: Any) -> dict[str, Any]:
    return {"value": json.loads(row.ours)} if row.ours is not None else {}


def _value(row: Any) -> Any:
    return json.loads(row.ours) if row.ours is not None else json.loads(row.document).get("value", "")


def _memory(row: Any) -> Memory:
    return Memory(key=row.key, value=_value(row), changed_at=row.changed_at)


def _is_same(one: Any, other: Any) -> bool:
    """Compare JSON values as they are written: 1, 1.0 and true are three."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
