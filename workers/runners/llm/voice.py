"""What the program says: events on standard output, and nothing anywhere that holds its key."""

import json
import sys
import threading
from io import TextIOBase
from typing import Any, Final, TextIO
from urllib.parse import quote

HIDDEN: Final = "[key]"
"""What stands where the key would."""
SHORTEST_SECRET: Final = 8
"""Characters of a key that is hidden: a shorter one, such as `none`, is a word that may stand anywhere."""


class Secret:
    """A key that must not be told."""

    def __init__(self, key: str) -> None:
        key = key if len(key) >= SHORTEST_SECRET else ""
        self._forms = sorted({key, quote(key, safe=""), json.dumps(key)[1:-1]} - {""}, key=len, reverse=True)

    def hidden_in(self, text: str) -> str:
        """Return the text without the key."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text

    def hidden_below(self, value: Any) -> Any:
        """Return a value of JSON with the key hidden in all its texts."""
        if isinstance(value, str):
            return self.hidden_in(value)
        if isinstance(value, list | tuple):
            return [self.hidden_below(item) for item in value]
        if isinstance(value, dict):
            return {self.hidden_in(name): self.hidden_below(item) for name, item in value.items()}
        return value


class QuietStream(TextIOBase):
    """A stream for libraries that may print anything: it passes whole lines on, with the key hidden."""

    def __init__(self, stream: TextIO, secret: Secret) -> None:
        self._stream = stream
        self._secret = secret
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._stream.write(f"{self._secret.hidden_in(line)}\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def finish(self) -> None:
        """Write what has no end of line yet."""
        self._stream.write(self._secret.hidden_in(self._rest))
        self._rest = ""
        self._stream.flush()


class Voice:
    """Writes the events of docs/agents.md, one JSON object a line; any thread may speak."""

    def __init__(self, secret: Secret, out: TextIO = sys.stdout) -> None:
        self._secret = secret
        self._out = out
        self._lock = threading.Lock()

    def hide(self, text: str) -> str:
        """Return a text as it may be told, to the model too."""
        return self._secret.hidden_in(text)

    def say(self, kind: str, **fields: Any) -> None:
        line = json.dumps(self._secret.hidden_below({"type": kind, **fields}))
        with self._lock:
            self._out.write(f"{line}\n")
            self._out.flush()
