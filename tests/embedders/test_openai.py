"""An endpoint of the kind that OpenAI has, played by a real server on loopback."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dispatch.embedders import OpenAIEmbedder
from dispatch.embedders.openai import BATCH, EmbeddingError

KEY = "sk-very-secret-0123456789"


class Endpoint:
    """What the server was asked, and how it answers."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.status = 200
        self.seconds = 0.0
        self.answer: Callable[[list[str]], bytes] = _right


def _right(texts: list[str]) -> bytes:
    rows = [{"index": place, "embedding": [float(len(text)), 1.0]} for place, text in enumerate(texts)]
    return json.dumps({"data": rows[::-1]}).encode()


@pytest.fixture
def endpoint() -> Iterator[Any]:
    """Given a server on loopback that answers as a test says; its `url` is that of the endpoint."""
    plan = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            plan.asked.append(body)
            plan.paths.append(self.path)
            plan.keys.append(self.headers.get("Authorization"))
            released.wait(plan.seconds)
            self.send_response(plan.status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(plan.answer(body["input"]))

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            """A client that had no patience has hung up."""

    released = threading.Event()
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    plan.url = f"http://127.0.0.1:{server.server_port}/v1"  # type: ignore[attr-defined]
    yield plan
    released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def _embedder(endpoint: Any, **options: Any) -> OpenAIEmbedder:
    return OpenAIEmbedder(endpoint.url, "small", **{"api_key": KEY, "timeout": 5.0, **options})


def test_vectors_come_in_the_order_of_the_texts(endpoint: Any) -> None:
    assert _embedder(endpoint).embed(["a", "bbb"]) == [[1.0, 1.0], [3.0, 1.0]]
    assert endpoint.paths == ["/v1/embeddings"]
    assert endpoint.asked == [{"model": "small", "input": ["a", "bbb"], "encoding_format": "float"}]
    assert endpoint.keys == [f"Bearer {KEY}"]


def test_without_a_key_none_is_sent(endpoint: Any) -> None:
    _embedder(endpoint, api_key="").embed(["a"])
    assert endpoint.keys == [None]


def test_many_texts_go_in_batches_and_no_text_asks_nothing(endpoint: Any) -> None:
    vectors = _embedder(endpoint).embed(["x" * number for number in range(1, BATCH + 3)])
    assert [vector[0] for vector in vectors] == list(range(1, BATCH + 3))
    assert [len(asked["input"]) for asked in endpoint.asked] == [BATCH, 2]
    assert _embedder(endpoint).embed([]) == []


def test_a_long_text_is_cut_before_it_is_sent(endpoint: Any) -> None:
    _embedder(endpoint).embed(["x" * 100_000, ""])
    assert [len(text) for text in endpoint.asked[0]["input"]] == [8_000, 1]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b'{"data": [{"index": 0, "embedding": [1.0]}]}', "answered 2 texts with 1 vectors"),
        (b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}', "2 texts with 2 vectors"),
        (b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}', "differ in length"),
        (b'{"data": [{"index": 0, "embedding": null}, {"index": 1}]}', "holds no embeddings"),
        (b'{"error": "no such model"}', "holds no embeddings"),
        (b"[]", "holds no embeddings"),
        (b"<html>", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"", "is not JSON"),
    ],
)
def test_an_answer_that_is_no_answer_is_an_error(endpoint: Any, answer: bytes, problem: str) -> None:
    endpoint.answer = lambda _texts: answer
    with pytest.raises(EmbeddingError, match=problem) as refused:
        _embedder(endpoint).embed(["a", "b"])
    assert endpoint.url in str(refused.value)


@pytest.mark.parametrize("status", [302, 307, 401, 429, 500])
def test_a_status_that_is_no_success_is_an_error_and_the_key_goes_nowhere_else(endpoint: Any, status: int) -> None:
    endpoint.status, endpoint.answer = status, lambda _texts: f"you said {KEY}".encode()
    with pytest.raises(EmbeddingError, match=f"status {status}") as refused:
        _embedder(endpoint).embed(["a"])
    assert KEY not in str(refused.value)
    assert len(endpoint.keys) == 1


def test_a_slow_endpoint_is_given_up(endpoint: Any) -> None:
    endpoint.seconds = 30
    began = time.monotonic()
    with pytest.raises(EmbeddingError, match=r"did not answer in time|longer than"):
        _embedder(endpoint, timeout=0.2).embed(["a"])
    assert time.monotonic() - began < 10


def test_an_endpoint_that_is_not_there_is_an_error_without_the_key() -> None:
    with pytest.raises(EmbeddingError, match="Connection refused") as refused:
        OpenAIEmbedder("http://127.0.0.1:9/v1", "small", api_key=KEY).embed(["a"])
    assert KEY not in f"{refused.value!r}{refused.value.__cause__!r}"


def test_a_key_that_no_header_can_hold_is_not_told_either(endpoint: Any) -> None:
    with pytest.raises(EmbeddingError) as refused:
        _embedder(endpoint, api_key=f"{KEY}\r\nX-Other: 1").embed(["a"])
    assert KEY not in str(refused.value)


def test_the_name_tells_model_and_place_and_no_key(endpoint: Any) -> None:
    embedder = _embedder(endpoint)
    assert embedder.name == f"openai small at {endpoint.url}"
    assert KEY not in repr(embedder)
