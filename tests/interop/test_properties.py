"""Whatever a line holds, the reader gives an answer, and what it takes goes out equal."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch.interop import BeadEntry, Problem, bead_from_document, document_text, export_line, read_entries
from dispatch.interop.newborn import FIELD_ORDER

characters = st.text(st.characters(exclude_categories=[]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | characters,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(characters, inner, max_size=4),
    max_leaves=12,
)
known = st.sampled_from([*FIELD_ORDER[3:], "wisp"])
edges = st.lists(
    st.fixed_dictionaries(
        {"depends_on_id": st.from_regex(r"[a-z]{1,3}-[a-z0-9.]{1,5}", fullmatch=True)},
        optional={"type": characters | st.just("blocks"), "metadata": values, "issue_id": values},
    ),
    max_size=4,
)
ids = st.from_regex(r"[a-z]{1,4}-[a-z0-9]{1,6}(\.[0-9]{1,2})?", fullmatch=True)
fields = st.dictionaries(characters | known, values, max_size=6)
relaxed = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def read(line):
    entries = list(read_entries([line]))
    beads = [entry for entry in entries if isinstance(entry, BeadEntry)]
    problems = [entry for entry in entries if isinstance(entry, Problem)]
    assert len(beads) + len(problems) == len(entries)
    return beads, problems


@relaxed
@given(fields, ids, characters.filter(str.strip), edges, st.booleans())
def test_any_object_with_an_id_is_refused_with_a_reason_or_goes_out_equal(extra, bead_id, title, depends, escaped):
    document = extra | {"_type": "issue", "id": bead_id, "title": title, "dependencies": depends}
    line = json.dumps(document) if escaped else document_text(document)
    beads, problems = read(line.encode())
    assert all(str(problem).startswith(f"line 1 ({bead_id}): ") for problem in problems)
    if not beads:
        assert any(problem.fatal for problem in problems)
        return
    (entry,) = beads
    assert json.loads(entry.text) == document == json.loads(export_line(entry.text, {}))
    assert bead_from_document(entry.document) == entry.bead
    assert "\0" not in entry.text
    for held in (entry.text, entry.bead.title, *entry.bead.labels, json.dumps(entry.bead.metadata, ensure_ascii=False)):
        assert held.encode()


@relaxed
@given(fields, fields)
def test_patching_gives_the_changes_over_the_rest(extra, changes):
    document = extra | {"id": "bd-a1"}
    rest = {name: value for name, value in document.items() if name not in changes}
    expected = rest | {name: value for name, value in changes.items() if value is not None}
    for text in (json.dumps(document), json.dumps(document, indent=2), document_text(document)):
        assert json.loads(export_line(text, changes).encode()) == expected


@relaxed
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(line):
    beads, problems = read(line)
    assert beads == []
    assert all(problem.fatal for problem in problems)


@relaxed
@given(values)
def test_any_json_value_is_answered(value):
    _, problems = read(json.dumps(value).encode())
    assert all(str(problem) for problem in problems)
