"""Texts within their rooms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dispatch.context.fitting import block, listed, markdown, one_line, quoted, readable, shortened

TEXTS = st.text(st.sampled_from("ab`~#\n\r \t<!>-"), max_size=400)
ROOMS = st.integers(100, 300)


@given(text=TEXTS, room=ROOMS)
def test_nothing_is_longer_than_its_room(text: str, room: int) -> None:
    assert len(one_line(text, room)) <= room
    assert len(shortened(text, room)) <= room
    assert len(shortened(text, room, keep_end=True)) <= room
    assert len(quoted(text, room)) <= room
    assert len(markdown(text, room)) <= room
    assert len(block(text, text, room + 200)) <= room + 200


@given(text=TEXTS, room=ROOMS)
def test_a_quoted_text_is_one_block_whatever_it_holds(text: str, room: int) -> None:
    (fence, after) = MarkdownIt().parse(f"{quoted(text, room)}\n# After")[:2]
    assert (fence.type, fence.info, after.type) == ("fence", "text", "heading_open")


@given(text=TEXTS, room=ROOMS)
def test_trusted_markdown_leaves_no_fence_open(text: str, room: int) -> None:
    tokens = MarkdownIt().parse(f"{markdown(text, room)}\n\n# After")
    assert [token.content for token in tokens if token.type == "inline"][-1:] == ["After"]
    assert tokens[-3].type == "heading_open"


@pytest.mark.parametrize(
    "left_open", ["<!--", "text\n<!-- a\n\nb", "<?", "<!doctype", "<![CDATA[", "  <PRE>", "<script", "~~~\n<!--"]
)
def test_trusted_markdown_leaves_no_html_open(left_open: str) -> None:
    for room in (300, len(left_open) + 2):
        tokens = MarkdownIt().parse(f"{markdown(left_open, room)}\n\n# After")
        assert tokens[-3].type == "heading_open", room


@pytest.mark.parametrize("closed", ["<!-- a -->", "<!-->", "<pre>\n\n</pre>", "<?php ?>", "<b>", "```\n<!--\n```"])
def test_html_that_ends_is_left_as_it_is(closed: str) -> None:
    assert markdown(closed, 300) == closed


@pytest.mark.parametrize("room", [99, 100, 1_000])
def test_what_is_cut_is_counted_to_the_character(room: int) -> None:
    text = "x" * 2_000
    for keep_end in (False, True):
        cut = shortened(text, room, keep_end=keep_end)
        assert f"[... {2_000 - cut.count('x'):,} of 2,000 characters left out ...]" in cut


def test_a_text_that_fits_exactly_is_not_cut() -> None:
    assert shortened("x" * 100, 100) == "x" * 100
    assert quoted("x" * 10, 22) == f"```text\n{'x' * 10}\n```"


def test_a_long_row_of_backticks_is_shortened_instead_of_its_fence_growing() -> None:
    assert quoted("`" * 500, 200).splitlines()[0] == "`" * 20 + "text"


def test_items_that_do_not_fit_are_counted() -> None:
    items = [lambda room, n=n: one_line(f"{n} " + "x" * 500, room) for n in range(10)]
    told = listed(items, 2_000, most=400, what="older ones")
    assert len(told) <= 2_000
    assert told.endswith("(5 older ones left out.)")
    assert told.startswith("0 xxx")
    assert listed(items[:2], 2_000, most=400, what="older ones").count("left out") == 0


def test_what_no_file_takes_is_replaced() -> None:
    assert readable("a\0b\ud800c") == "a\ufffdb\ufffdc"
