"""A model endpoint on loopback that says what a test scripted, in the three dialects that agent programs speak."""

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_LIMIT = 120.0
"""Seconds after which a request that is never answered is let go, should nobody stop the server."""
TOKENS_IN, CACHED, TOKENS_OUT = 100, 40, 20
"""What each answer says that it used; the cached tokens are among those in."""


@dataclass(frozen=True)
class Call:
    """The model calls a tool. `{workspace}` in an argument stands for the worktree that the request names."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Patch:
    """The model calls codex's tool for patches, whose input is plain text."""

    text: str


@dataclass(frozen=True)
class Say:
    """The model says its last message."""

    text: str


@dataclass(frozen=True)
class Hang:
    """The model never answers."""


Turn = Call | Patch | Say | Hang


@dataclass
class Request:
    """A request as it came."""

    path: str
    authorization: str
    text: str
    body: dict[str, Any] = field(repr=False)


class ModelServer:
    """`scripts` are turns by a word that the conversation has to hold; each request takes the next turn of its script.

    A script that is at its end goes on with its last turn. A request of a program for something else than its work,
    such as a title, gets a text that ends nothing.
    """

    def __init__(self) -> None:
        self.scripts: dict[str, Sequence[Turn]] = {}
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._taken: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def about(self, word: str) -> list[Request]:
        """Return the requests so far whose conversation holds a word."""
        return [request for request in self.requests if word in request.text]

    def take(self, request: Request) -> Turn:
        with self._lock:
            self.requests.append(request)
            word = next((word for word in self.scripts if word in request.text), None)
            if word is None or not (request.path.endswith("/responses") or request.body.get("tools")):
                return Say("A title")
            turns, number = self.scripts[word], self._taken.get(word, 0)
            self._taken[word] = number + 1
        return turns[min(number, len(turns) - 1)]

    @contextmanager
    def serving(self) -> Iterator["ModelServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _handler(model: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(404, "application/json", b"{}")

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            authorization = self.headers.get("Authorization") or self.headers.get("x-api-key") or ""
            request = Request(self.path.partition("?")[0], authorization, text, json.loads(text))
            turn = model.take(request)
            if isinstance(turn, Hang):
                model.stopping.wait(HANG_LIMIT)
                self.close_connection = True
                return
            dialect = next(speak for end, speak in _DIALECTS.items() if request.path.endswith(end))
            events = dialect(_placed(turn, text), f"{len(model.requests)}", request.body.get("model"))
            lines = (
                (f"event: {name}\n" if name else "")
                + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
                for name, data in events
            )
            self._answer(200, "text/event-stream", "".join(lines).encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


def _placed(turn: Call | Patch | Say, text: str) -> Call | Patch | Say:
    """Put the newest worktree that a request names in the place of `{workspace}`."""
    if not isinstance(turn, Call):
        return turn
    found = re.findall(r'/[^"\\\s<>]*/worktrees/[0-9a-f-]{36}', text)
    place = found[-1] if found else "."
    arguments = {
        key: value.replace("{workspace}", place) if isinstance(value, str) else value
        for key, value in turn.arguments.items()
    }
    return Call(turn.tool, arguments)


Events = Iterator[tuple[str, dict[str, Any] | str]]


def _responses(turn: Call | Patch | Say, number: str, _model: Any) -> Events:
    """OpenAI's responses, as codex asks for them."""
    match turn:
        case Call(tool, arguments):
            item = {"type": "function_call", "name": tool, "arguments": json.dumps(arguments)}
        case Patch(text):
            item = {"type": "custom_tool_call", "name": "apply_patch", "input": text}
        case Say(text):
            item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    if not isinstance(turn, Say):
        item["call_id"] = f"call_{number}"
    usage = {
        "input_tokens": TOKENS_IN,
        "input_tokens_details": {"cached_tokens": CACHED},
        "output_tokens": TOKENS_OUT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": TOKENS_IN + TOKENS_OUT,
    }
    yield from (
        (event["type"], event)
        for event in (
            {"type": "response.created", "response": {"id": number}},
            {"type": "response.output_item.done", "output_index": 0, "item": {"id": f"item_{number}", **item}},
            {"type": "response.completed", "response": {"id": number, "usage": usage}},
        )
    )


def _chat(turn: Call | Patch | Say, number: str, model: Any) -> Events:
    """OpenAI's chat completions, which most providers speak."""
    base = {"id": number, "object": "chat.completion.chunk", "created": 1, "model": model}
    if isinstance(turn, Call):
        function = {"name": turn.tool, "arguments": json.dumps(turn.arguments)}
        calls = [{"index": 0, "id": f"call_{number}", "type": "function", "function": function}]
        delta: dict[str, Any] = {"role": "assistant", "tool_calls": calls}
    else:
        delta = {"role": "assistant", "content": turn.text}
    usage = {
        "prompt_tokens": TOKENS_IN,
        "completion_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT,
        "prompt_tokens_details": {"cached_tokens": CACHED},
    }
    finish = "tool_calls" if isinstance(turn, Call) else "stop"
    yield "", base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield "", base | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage}
    yield "", "[DONE]"


def _messages(turn: Call | Patch | Say, number: str, model: Any) -> Events:
    """Anthropic's messages."""
    if isinstance(turn, Call):
        block: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{number}", "name": turn.tool, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(turn.arguments)}
    else:
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": turn.text}
    usage = {
        "input_tokens": TOKENS_IN - CACHED,
        "cache_read_input_tokens": CACHED,
        "cache_creation_input_tokens": 0,
        "output_tokens": 1,
    }
    message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "content": []}
    stop = {"stop_reason": "tool_use" if isinstance(turn, Call) else "end_turn", "stop_sequence": None}
    yield from (
        (event["type"], event)
        for event in (
            {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": TOKENS_OUT}},
            {"type": "message_stop"},
        )
    )


_DIALECTS = {"/responses": _responses, "/chat/completions": _chat, "/messages": _messages}
