"""Nobody waits for an embedder longer than agreed."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from dispatch.embedders.patience import ImpatientError, PatientEmbedder


class Waiting:
    """An embedder that answers when it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.calls = 0

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.calls += 1
        if "bad" in texts:
            raise ValueError("a bad text")
        self.let.wait(30)
        return [[1.0] for _ in texts]


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    made = Waiting()
    yield made
    made.let.set()


def test_one_that_takes_too_long_is_given_up_and_then_left_alone(waiting: Waiting) -> None:
    patient = PatientEmbedder(waiting, 0.05)
    for _ in range(3):
        with pytest.raises(ImpatientError, match=r"Waiting took longer than 0.05 s"):
            patient.embed(["a"])
    assert waiting.calls == 1


def test_what_it_says_and_raises_comes_through(waiting: Waiting) -> None:
    waiting.let.set()
    patient = PatientEmbedder(waiting, 30)
    assert patient.embed(["a", "b"]) == [[1.0], [1.0]]
    with pytest.raises(ValueError, match="a bad text"):
        patient.embed(["bad"])
