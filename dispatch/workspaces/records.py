"""What this host remembers of each run's worktree: a small file beside it.

The worktree itself cannot be asked, as an agent may have changed anything in it.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from dispatch.errors import BadInputError
from dispatch.models.identity import RunId


@dataclass(frozen=True, slots=True)
class Record:
    """One run on this host. `base_sha` is the commit its worktree started from.

    `ready` holds from when the worktree is whole to when its work was committed and its removal begins. Outside of
    that, files that are missing in it were never deleted by an agent, and nothing in it is anybody's work.
    """

    run_id: str
    project_id: str
    base_sha: str
    ready: bool


class Records:
    """The records in one directory, each replaced in one piece."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, run_id: RunId) -> Record | None:
        path = self._path(run_id)
        try:
            return Record(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise BadInputError(
                place=path,
                problem=f"this record of a worktree cannot be read ({error})",
                cure="Look at the directory beside it, save what you need, then delete both.",
            ) from error

    def put(self, record: Record) -> None:
        path = self._path(RunId(UUID(record.run_id)))
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".draft{os.getpid()}")
        draft.write_text(json.dumps(asdict(record)), encoding="utf-8")
        draft.replace(path)

    def delete(self, run_id: RunId) -> None:
        self._path(run_id).unlink(missing_ok=True)

    def run_ids(self) -> Iterator[RunId]:
        for path in sorted(self._root.glob("*.json")):
            yield RunId(UUID(path.stem))

    def _path(self, run_id: RunId) -> Path:
        return self._root / f"{UUID(str(run_id))}.json"
