"""A model that plays a script: an endpoint on loopback that speaks as OpenAI's do, and as Anthropic's do."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

MODEL = "scripted-1"


@dataclass(frozen=True)
class Answer:
    """What the model says to one request: text, calls of tools, or a status with a body in place of both."""

    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    text: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"error": {"message": "no"}}'
    tokens: tuple[int, int] = (100, 10)
    cached: int = 0
    """Of the tokens that were read."""


def call(tool: str, **arguments: Any) -> Answer:
    """The model calls a tool."""
    return Answer(calls=[(tool, arguments)])


def finish(summary: str = "Done.", **more: Any) -> Answer:
    return call("finish", summary=summary, **more)


def refusal(status: int, body: str = '{"error": {"message": "no"}}', **headers: str) -> Answer:
    return Answer(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Asked:
    """A request that came."""

    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def results(self) -> list[str]:
        """What the tools said so far, as the model is told it."""
        found = []
        for message in self.body["messages"]:
            if message["role"] == "tool":
                found.append(message["content"])
            elif isinstance(message["content"], list):
                parts = [part for part in message["content"] if part["type"] == "tool_result"]
                found += [_plain(part["content"]) for part in parts]
        return found


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


class ModelServer:
    """Plays `script`, an answer a request; the last one again and again. A function may look at the request first."""

    def __init__(self) -> None:
        self.script: list[Answer | Callable[[Asked], Answer]] = [finish()]
        self.asked: list[Asked] = []
        self.listing = Answer(body=json.dumps({"data": [{"id": MODEL}]}))
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked = Asked(self.path, _lowered(self.headers), body)
                answer = server.next(asked)
                is_anthropic = self.path.endswith("/messages")
                said = (_anthropic if is_anthropic else _openai)(answer) if answer.status == 200 else answer.body
                self._send(answer.status, said, answer.headers)

            def do_GET(self) -> None:
                server.asked.append(Asked(self.path, _lowered(self.headers), None))
                self._send(server.listing.status, server.listing.body, server.listing.headers)

            def _send(self, status: int, body: str, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                data = body.encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments: Any) -> None:
                """Nothing is printed."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def chats(self) -> list[Asked]:
        """The requests for an answer of the model."""
        return [asked for asked in self.asked if asked.body is not None]

    def play(self, *script: Answer | Callable[[Asked], Answer]) -> None:
        self.script = list(script)

    def next(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return step(asked) if callable(step) else step

    def provider(self, **more: Any) -> dict[str, Any]:
        """The settings of a provider that is this endpoint."""
        return {"kind": "openai", "base_url": self.base_url, "model": MODEL, **more}

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)


def _openai(answer: Answer) -> str:
    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for index, (name, arguments) in enumerate(answer.calls)
    ]
    message = {"role": "assistant", "content": answer.text or None, **({"tool_calls": calls} if calls else {})}
    read, written = answer.tokens
    return json.dumps(
        {
            "id": "chat_1",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
            "usage": {
                "prompt_tokens": read,
                "completion_tokens": written,
                "total_tokens": read + written,
                "prompt_tokens_details": {"cached_tokens": answer.cached},
            },
        }
    )


def _anthropic(answer: Answer) -> str:
    text = [{"type": "text", "text": answer.text}] if answer.text else []
    calls = [
        {"type": "tool_use", "id": f"call_{index}", "name": name, "input": arguments}
        for index, (name, arguments) in enumerate(answer.calls)
    ]
    read, written = answer.tokens
    return json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [*text, *calls],
            "stop_reason": "tool_use" if calls else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": read - answer.cached,
                "cache_read_input_tokens": answer.cached,
                "output_tokens": written,
            },
        }
    )


@contextmanager
def serving() -> Iterator[ModelServer]:
    server = ModelServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """Given an endpoint whose model plays a script."""
    with serving() as server:
        yield server
