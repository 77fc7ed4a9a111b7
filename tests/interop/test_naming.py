"""Prefixes and new ids."""

import re

import pytest

from dispatch.interop import common_prefix, new_bead_id


def test_a_new_id_is_the_prefix_and_a_short_hash():
    bead_id = new_bead_id("bd", "Fix it", lambda _: False, "now")
    assert re.fullmatch(r"bd-[0-9a-z]{4}", bead_id)
    assert bead_id == new_bead_id("bd", "Fix it", lambda _: False, "now")
    assert bead_id != new_bead_id("bd", "Fix it", lambda _: False, "later")


def test_a_new_id_grows_while_it_is_taken_and_changes_when_it_cannot_grow():
    taken = []

    def refuse_fifteen(bead_id):
        taken.append(bead_id)
        return len(taken) <= 15

    bead_id = new_bead_id("bd", "Fix it", refuse_fifteen, "now")
    assert [len(seen) for seen in taken] == [*range(7, 16), *range(7, 14)]
    assert bead_id == taken[-1]
    assert len(set(taken)) == 16


def test_a_title_with_half_a_surrogate_pair_gets_an_id():
    assert new_bead_id("bd", "\ud800", lambda _: False, "")


@pytest.mark.parametrize(
    ("ids", "prefix"),
    [
        (["bd-a1", "bd-b2", "loom-c3"], "bd"),
        (["bd-mol-a1", "bd-mol-a2.1", "bd-a3"], "bd-mol"),
        (["a-1.2", "b-1"], "a"),
        (["nodash", "-x"], None),
        ([], None),
    ],
)
def test_the_common_prefix_is_what_most_ids_have_before_the_last_dash(ids, prefix):
    assert common_prefix(iter(ids)) == prefix
