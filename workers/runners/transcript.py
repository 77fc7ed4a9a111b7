"""What an agent says: events to whoever watches, everything else to a log. All of it bounded."""

import json
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from dispatch.loops import result_fingerprint
from dispatch.models.messages import AGENT_EVENT, ActionEvent, AgentEvent, ProgressEvent, ResultEvent

MAX_LINE = 1 << 20
"""Bytes of one line; the rest of a longer one is dropped."""
MAX_LOG = 50 << 20
"""Bytes of `agent.log`; what comes later is dropped."""
MAX_PLAIN_EVENTS = 1000
"""Lines of plain text that are passed on as progress; later ones are only in the log."""
MAX_PLAIN_MESSAGE = 2000
"""Characters of such a progress message."""
TAIL = 4096
"""Bytes of the end of the output that a failed outcome holds."""


class LineSplitter:
    """Cuts a stream into lines without ever holding more than `MAX_LINE` bytes.

    `on_line` gets each line without its end, and whether it was cut.
    """

    def __init__(self, on_line: Callable[[bytes, bool], None]) -> None:
        self._on_line = on_line
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._extend(line)
            self._end_line()
        self._extend(rest)

    def finish(self) -> None:
        """Take what is left as a last line: the stream has ended."""
        if self._rest:
            self._end_line()

    def _extend(self, part: bytes) -> None:
        if self._skipping:
            return
        self._rest += part[: MAX_LINE + 1 - len(self._rest)]
        if len(self._rest) > MAX_LINE:
            self._on_line(bytes(self._rest[:MAX_LINE]), True)
            self._rest.clear()
            self._skipping = True

    def _end_line(self) -> None:
        if not self._skipping:
            self._on_line(bytes(self._rest), False)
        self._rest.clear()
        self._skipping = False


class Tail:
    """The last `TAIL` bytes of a stream."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, data: bytes) -> None:
        self._bytes = (self._bytes + data[-TAIL:])[-TAIL:]

    @property
    def text(self) -> str:
        return storable(self._bytes.decode("utf-8", "replace")).strip()


class AgentLog:
    """The file with what an agent prints besides events; made by the first such text.

    Readable by its owner only, for it may hold secrets."""

    def __init__(self, path: Path, on_trouble: Callable[[str], None]) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        self._file: FileIO | None = None
        self._room = MAX_LOG
        self._on_trouble = on_trouble

    def write(self, data: bytes) -> None:
        if not data or self._room <= 0:
            return
        kept = data[: self._room]
        self._room -= len(kept)
        try:
            if self._file is None:
                self._file = FileIO(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
            self._file.write(kept)
            if self._room <= 0:
                self._file.write(b"\n[the log is full: what the agent printed later is not kept]\n")
        except OSError as error:  # a full disk must not end the agent
            self._room = 0
            self._on_trouble(f"agent.log ends here: {error.strerror}")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class Transcript:
    """Reads an agent's two streams. `on_event` gets every event; `result` is the latest one that says how it ended."""

    def __init__(self, log: Path, on_event: Callable[[AgentEvent], None]) -> None:
        self._on_event = on_event
        self._log = AgentLog(log, on_trouble=lambda message: on_event(ProgressEvent(message=message)))
        self._error_tail = Tail()
        self._plain_tail = Tail()
        self._plain_events = 0
        self.result: ResultEvent | None = None

    @property
    def tail(self) -> str:
        """The end of standard error, or of the plain text on standard output when nothing is there."""
        return self._error_tail.text or self._plain_tail.text

    def read_errors(self, data: bytes) -> None:
        """Take a part of standard error."""
        self._error_tail.feed(data)
        self._log.write(data)

    def read_line(self, line: bytes, cut: bool) -> None:
        """Take a line of standard output: an event, or plain text, which is no error."""
        event = None if cut else parse_event(line)
        if event is None:
            self.read_plain(line, cut)
            return
        self.take(event)

    def take(self, event: AgentEvent) -> None:
        """Pass an event on. The latest result is kept."""
        if isinstance(event, ResultEvent):
            self.result = event
        self._on_event(event)

    def close(self) -> None:
        self._log.close()

    def keep(self, line: bytes) -> None:
        """Keep a line in the log and tell nobody."""
        self._log.write(line + b"\n")

    def read_plain(self, line: bytes, cut: bool) -> None:
        """Take a line of text: for the log, and for whoever watches."""
        data = line + (b" [the line was longer, and cut here]\n" if cut else b"\n")
        self._log.write(data)
        self._plain_tail.feed(data)
        if not line.strip() or self._plain_events > MAX_PLAIN_EVENTS:
            return
        self._plain_events += 1
        message = storable(line.decode("utf-8", "replace"))[:MAX_PLAIN_MESSAGE]
        if self._plain_events > MAX_PLAIN_EVENTS:
            message = "More plain text follows; it is in agent.log only."
        self._on_event(ProgressEvent(message=message))


def parse_event(line: bytes) -> AgentEvent | None:
    """Return the event that a line holds, or None when it holds none. An action's result is replaced by its hash."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        event = AGENT_EVENT.validate_python(without_nulls(json.loads(line))) if rb"\u0000" in line else _parse(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(event, ActionEvent) and event.result is not None:
        fingerprint = event.result_hash or result_fingerprint(event.result)
        return event.model_copy(update={"result": None, "result_hash": fingerprint})
    return event


def _parse(line: bytes) -> AgentEvent:
    return AGENT_EVENT.validate_json(line)


def storable(text: str) -> str:
    """Return the text without the one character that PostgreSQL cannot hold."""
    return text.replace("\x00", "\ufffd")


def without_nulls(value: Any) -> Any:
    """Return parsed JSON with every text made storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): without_nulls(item) for key, item in value.items()}
    return value
