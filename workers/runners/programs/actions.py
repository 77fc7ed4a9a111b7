"""What a program did, as actions: named alike whichever program did it, with paths as the worktree has them."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dispatch.loops import result_fingerprint
from dispatch.models.messages import ActionEvent
from workers.runners.base import Worktree

MAX_DATA = 4000
"""Characters of an action's data; of longer ones a hash is kept."""
MAX_FILE = 16 << 20
"""Bytes of a changed file that are looked at, to tell one change from another."""
_EDITS = frozenset({"edit", "multiedit", "notebookedit", "patch", "write"})
_BOOKKEEPING = frozenset({"taskcreate", "taskget", "tasklist", "taskupdate", "todoread", "todowrite"})
"""Tools in which a program only notes its own plan: neither work nor progress."""
_PATHS = ("file_path", "filePath", "notebook_path", "path")


def command_action(command: str, result: str, worktree: Worktree) -> ActionEvent:
    """Return the action of a shell command."""
    told = command.replace(f"{worktree.seen}/", "").replace(str(worktree.seen), ".")
    return _action("command", {"command": _bounded(told)}, result)


def edit_action(path: str, worktree: Worktree) -> ActionEvent:
    """Return the action of changing a file: its result is what the file holds now."""
    return _action("edit", {"path": worktree.relative(path)}, _content(worktree.find(path)))


def tool_action(name: str, data: Mapping[str, Any], result: str, worktree: Worktree) -> ActionEvent | None:
    """Return the action of a tool that a program used; None for one that does no work."""
    kind = name.lower()
    if kind in _BOOKKEEPING:
        return None
    command = data.get("command")
    if isinstance(command, str):
        return command_action(command, result, worktree)
    path = next((data[key] for key in _PATHS if isinstance(data.get(key), str)), "")
    if path and kind in _EDITS:
        return edit_action(path, worktree)
    told = {key: value for key, value in data.items() if key not in _PATHS}
    if path:
        told = {"path": worktree.relative(path)} | told
    return _action(kind or "tool", _bounded_data(told), result)


def _action(kind: str, data: dict[str, Any], result: str) -> ActionEvent:
    return ActionEvent(action_type=kind[:100], action_data=data, result_hash=result_fingerprint(result))


def _bounded(text: str) -> str:
    if len(text) <= MAX_DATA:
        return text
    return f"{text[:MAX_DATA]} [{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}]"


def _bounded_data(data: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(data, sort_keys=True, default=str)
    return data if len(text) <= MAX_DATA else {"data": _bounded(text)}


def _content(path: Path | None) -> str:
    """Return a hash of what a file holds. Nothing that is no plain file is opened: it could block for ever."""
    if path is None:
        return "not in the worktree"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return error.strerror or "cannot be read"
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return "no plain file"
        return hashlib.sha256(file.read(MAX_FILE)).hexdigest()
