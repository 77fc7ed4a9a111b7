"""Names: their layout, their order, and what they are made from."""

import time
import uuid

from dispatch.models.identity import BeadKey, hash_id, uuid7


def test_a_uuid7_has_the_version_and_variant_of_the_standard() -> None:
    made = [uuid7() for _ in range(200)]
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {uuid.RFC_4122}


def test_a_uuid7_begins_with_the_milliseconds_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert before <= made.int >> 80 <= after


def test_a_later_uuid7_sorts_after_an_earlier_one() -> None:
    earlier = uuid7()
    deadline = time.monotonic() + 5
    while time.time_ns() // 1_000_000 <= earlier.int >> 80:
        assert time.monotonic() < deadline, "the clock stands"
    assert uuid7() > earlier


def test_uuid7s_of_one_millisecond_differ() -> None:
    made = [uuid7() for _ in range(5_000)]
    assert len(set(made)) == len(made)


def test_a_hash_id_is_the_prefix_and_as_many_digits_as_asked_for() -> None:
    short, long = hash_id("shop", "something", 4), hash_id("shop", "something", 12)
    assert short.startswith("shop-")
    assert len(short) == len("shop-") + 4
    assert long.startswith(short), "a longer id of the same material begins with the shorter"
    assert set(long.removeprefix("shop-")) <= set("0123456789abcdefghijklmnopqrstuvwxyz")


def test_a_hash_id_depends_on_its_material_alone() -> None:
    assert hash_id("shop", "one", 6) == hash_id("shop", "one", 6)
    assert hash_id("shop", "one", 6) != hash_id("shop", "two", 6)


def test_a_hash_id_takes_any_text() -> None:
    assert hash_id("shop", "\udcff lone surrogate", 5).startswith("shop-")


def test_a_bead_key_is_written_as_project_and_id() -> None:
    assert str(BeadKey.of("shop", "shop-1.2")) == "shop/shop-1.2"
