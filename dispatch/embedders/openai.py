"""An embedder behind an endpoint that speaks the protocol of OpenAI: `POST {base_url}/embeddings`."""

import http.client
import json
import time
from collections.abc import Sequence
from typing import IO, Any, Final
from urllib import request
from urllib.error import HTTPError

from dispatch.errors import DispatchError

BATCH: Final = 64
"""Texts of one request."""
_LONGEST_TEXT: Final = 8_000
"""Characters of a text that are sent: models refuse texts that are too long for them."""
_LARGEST_ANSWER: Final = 64 * 2**20
_READ: Final = 2**16


class EmbeddingError(DispatchError):
    """The embedder at {place} cannot be used: {problem}."""


class _NoRedirects(request.HTTPRedirectHandler):
    """The key is for the endpoint that was named, and for no other."""

    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        return None


class OpenAIEmbedder:
    """Asks an endpoint for vectors. `timeout`: seconds that all requests of one call may take together.

    The key goes into the header of each request and nowhere else.
    """

    def __init__(self, base_url: str, model: str, *, api_key: str = "", timeout: float = 2.0) -> None:
        self.name = f"openai {model} at {base_url}"
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._model = model
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._opener = request.build_opener(_NoRedirects)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector for each text. Raises `EmbeddingError` for whatever goes wrong, without a word of the key."""
        until = time.monotonic() + self._timeout
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            batch = [text[:_LONGEST_TEXT] or " " for text in texts[start : start + BATCH]]
            vectors += self._vectors(self._ask(batch, until), len(batch))
        if len({len(vector) for vector in vectors}) > 1:
            raise self._error("its vectors differ in length")
        return vectors

    def _ask(self, batch: Sequence[str], until: float) -> Any:
        body = json.dumps({"model": self._model, "input": batch, "encoding_format": "float"}).encode()
        asked = request.Request(self._url, data=body, headers=self._headers, method="POST")
        try:
            with self._opener.open(asked, timeout=self._left(until)) as answer:
                return json.loads(self._read(answer, until))
        except HTTPError as error:
            with error:
                raise self._error(f"it answered with status {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            raise self._error(_cause(error)) from None
        except ValueError:
            raise self._error("its answer is not JSON") from None

    def _read(self, answer: IO[bytes], until: float) -> bytes:
        """Read an answer as long as there is time: one that trickles would outlast the timeout of each read."""
        parts, size = [], 0
        while part := answer.read1(_READ):  # type: ignore[attr-defined]
            parts.append(part)
            size += len(part)
            if size > _LARGEST_ANSWER:
                raise self._error("its answer is too large")
            self._left(until)
        return b"".join(parts)

    def _left(self, until: float) -> float:
        left = until - time.monotonic()
        if left <= 0:
            raise self._error(f"it took longer than {self._timeout:g} s")
        return left

    def _vectors(self, answer: Any, count: int) -> list[list[float]]:
        try:
            rows = sorted(answer["data"], key=lambda row: int(row["index"]))
            vectors = [[float(value) for value in row["embedding"]] for row in rows]
            places = [int(row["index"]) for row in rows]
        except (TypeError, KeyError, ValueError):
            raise self._error("its answer holds no embeddings") from None
        if places != list(range(count)):
            raise self._error(f"it answered {count} texts with {len(rows)} vectors")
        return vectors

    def _error(self, problem: str) -> EmbeddingError:
        return EmbeddingError(place=self._url, problem=problem)


def _cause(error: Exception) -> str:
    """Say what went wrong by kind alone: what a library says of a request may hold its header."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "it did not answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__
