"""Vectors without a model: the same everywhere, near for what speaks of the same."""

import math
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from dispatch.lessons import WORDS_ALONE, HashingEmbedder
from dispatch.lessons.hashing import stem, words_of


def _likeness(embedder: HashingEmbedder, one: str, other: str) -> float:
    first, second = embedder.embed([one, other])
    return sum(a * b for a, b in zip(first, second, strict=True))


def test_a_text_has_the_same_vector_in_another_process() -> None:
    program = "from dispatch.lessons import HashingEmbedder; print(HashingEmbedder(32).embed(['Retry the upload'])[0])"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert said.stdout.strip() == str(HashingEmbedder(32).embed(["Retry the upload"])[0])


@given(st.text(max_size=200))
def test_every_vector_has_the_length_one_or_none(text: str) -> None:
    (vector,) = HashingEmbedder(64).embed([text])
    assert len(vector) == 64
    length = math.sqrt(sum(value * value for value in vector))
    assert length == 0 or math.isclose(length, 1)


def test_what_speaks_of_the_same_is_nearer_than_what_does_not() -> None:
    embedder = HashingEmbedder()
    question = "Uploads time out behind the proxy"
    assert _likeness(embedder, question, "The proxy ends an upload after a timeout") > 2 * _likeness(
        embedder, question, "Buttons of the basket are blue"
    )


def test_forms_of_a_word_are_near_each_other_and_words_alone_are_not() -> None:
    assert _likeness(HashingEmbedder(), "uploading", "uploaded") > 0.3
    assert abs(_likeness(HashingEmbedder(256, WORDS_ALONE), "uploading", "uploaded")) < 0.01


def test_names_in_code_are_taken_apart() -> None:
    assert list(words_of("loadHTTPFile retry_count v2")) == ["load", "http", "file", "retry", "count", "v2"]


def test_a_stem_is_never_shorter_than_three_letters() -> None:
    assert [stem(word) for word in ("locking", "locked", "locks", "ring", "as")] == [
        "lock",
        "lock",
        "lock",
        "ring",
        "as",
    ]


def test_embedders_that_differ_in_dimensions_have_different_names() -> None:
    assert HashingEmbedder(256).name != HashingEmbedder(512).name
