"""What the store keeps of readiness is always what the rules of the file format say, whatever was changed, and how."""

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dispatch.errors import RefusedError
from dispatch.models.bead import Bead, Dependency
from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.importing import BeadRecord
from dispatch.store import FixedClock, Store, make_engine

NOW = datetime(2026, 9, 25, tzinfo=UTC)
NAMES = [BeadId(name) for name in "abcd"]
STATUSES = [*["open"] * 12, *["closed"] * 4, "in_progress", "blocked", "deferred", "pinned", "tombstone", "custom"]
NOT_READY = {"merge-request", "gate", "molecule", "message", "agent", "role", "rig"}
NOT_DISPATCHED = {"decision", "epic", "event"}
FOR_HUMANS = {"human", "requires-human-config"}
ANY_CHILD = '{"gate": "any-children"}'
WITHOUT_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]
"""A failing example is small as it is, and each try costs some transactions."""
project_numbers = itertools.count()

edge_kinds = st.sampled_from(
    [
        *[("blocks", "")] * 2,
        ("conditional-blocks", ""),
        *[("parent-child", "")] * 6,
        *[("waits-for", "")] * 4,
        ("waits-for", ANY_CHILD),
        ("related", ""),
        ("blocked-by", ""),
    ]
)
edges = st.lists(st.tuples(st.sampled_from([*NAMES, BeadId("ghost")]), edge_kinds), max_size=2)
looks = st.fixed_dictionaries(
    {
        "status": st.sampled_from(STATUSES),
        "pinned": st.sampled_from([*[False] * 9, True]),
        "ephemeral": st.sampled_from([False, False, False, True]),
        "issue_type": st.sampled_from(["task", "task", "bug", "epic", "gate", "decision", "molecule"]),
        "labels": st.sampled_from([(), (), ("ui",), ("human",)]),
        "priority": st.integers(0, 4),
        "defer_until": st.sampled_from([None, None, NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)]),
    }
)
beginnings = st.dictionaries(st.sampled_from(NAMES), st.tuples(looks, edges), min_size=4)
imports = st.dictionaries(st.sampled_from(NAMES), st.tuples(looks, edges), min_size=1, max_size=2)
closings = st.sampled_from(NAMES)
additions = st.tuples(edges, edges)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("import"), imports),
        st.tuples(st.just("close"), closings),
        st.tuples(st.just("add"), additions),
    ),
    max_size=6,
)


@dataclass
class Expected:
    """A bead as the rules see it; `from_file` and `ours` are its edges, by target and type, with their metadata."""

    bead: Bead
    closed_by_us: bool = False
    from_file: dict[tuple[BeadId, str], str] = field(default_factory=dict)
    ours: dict[tuple[BeadId, str], str] = field(default_factory=dict)

    @property
    def edges(self) -> dict[tuple[BeadId, str], str]:
        return self.from_file | self.ours

    @property
    def done(self) -> bool:
        return self.bead.pinned or self.bead.status in ("closed", "pinned", "tombstone")


class Rules:
    """The rules of the file format, computed from nothing each time."""

    def __init__(self, beads: dict[BeadId, Expected]) -> None:
        self.beads = beads

    def children(self, parent: BeadId) -> list[Expected]:
        return [child for child in self.beads.values() if (parent, "parent-child") in child.edges]

    def parents(self, expected: Expected) -> list[BeadId]:
        return [target for target, kind in expected.edges if kind == "parent-child" and target in self.beads]

    def waits(self, target: BeadId, metadata: str) -> bool:
        children = self.children(target)
        if metadata == ANY_CHILD and any(child.bead.status == "closed" for child in children):
            return False
        return any(not child.done for child in children)

    def blocked(self) -> set[BeadId]:
        found: set[BeadId] = set()
        for name, expected in self.beads.items():
            for (target, kind), metadata in expected.edges.items():
                if expected.done or target not in self.beads:
                    continue
                if kind in ("blocks", "conditional-blocks") and not self.beads[target].done:
                    found.add(name)
                if kind == "waits-for" and self.waits(target, metadata):
                    found.add(name)
        while True:
            inherited = {
                name
                for name, expected in self.beads.items()
                if not expected.done and any(parent in found for parent in self.parents(expected))
            }
            if inherited <= found:
                return found
            found |= inherited

    def undone(self) -> list[BeadId]:
        return [name for name, expected in self.beads.items() if not expected.done]

    def ready(self, *, as_tracker: bool) -> list[BeadId]:
        blocked = self.blocked()
        found = [
            expected.bead
            for name, expected in self.beads.items()
            if expected.bead.status == "open"
            and name not in blocked
            and not expected.bead.pinned
            and not expected.bead.ephemeral
            and expected.bead.issue_type not in NOT_READY
            and not self.deferred(expected)
            and (as_tracker or self.dispatched(expected.bead))
        ]
        return [bead.id for bead in sorted(found, key=lambda bead: (bead.priority, bead.created_at, bead.id))]

    def deferred(self, expected: Expected) -> bool:
        untils = [expected.bead.defer_until, *(self.beads[name].bead.defer_until for name in self.parents(expected))]
        return any(until is not None and until > NOW for until in untils)

    def dispatched(self, bead: Bead) -> bool:
        return bead.issue_type not in NOT_DISPATCHED and not FOR_HUMANS & set(bead.labels)


class World:
    """Makes each change in the store and in the rules' picture of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.project_id = ProjectId(f"project-{next(project_numbers)}")
        store.projects.add(self.project_id, Path("/nowhere"))
        self.beads: dict[BeadId, Expected] = {}
        self.revision = 0

    def record(self, name: BeadId, look: dict, from_file: dict[tuple[BeadId, str], str]) -> BeadRecord:
        self.revision += 1
        document = {"id": name, "title": name, "revision": self.revision}
        bead = Bead(
            id=name,
            title=name,
            created_at=NOW - timedelta(days=9) + timedelta(hours=len(NAMES) - ord(name[0]) % 7),
            updated_at=NOW + timedelta(seconds=self.revision),
            **look,
        )
        dependencies = tuple(
            Dependency(issue_id=name, depends_on_id=target, type=kind, metadata=metadata)
            for (target, kind), metadata in from_file.items()
        )
        return BeadRecord(bead=bead, text=json.dumps(document), document=document, dependencies=dependencies)

    def do_import(self, content: dict) -> None:
        records = []
        for name, (look, listed) in content.items():
            from_file = {(target, kind): metadata for target, (kind, metadata) in listed}
            record = self.record(name, look, from_file)
            records.append(record)
            known = self.beads.get(name, Expected(record.bead))
            kept = known.closed_by_us and record.bead.status != "closed"
            bead = replace(record.bead, status="closed") if kept else record.bead
            self.beads[name] = Expected(bead, kept, from_file, known.ours)
        self.store.imports.import_records(self.project_id, records)

    def do_close(self, name: BeadId) -> None:
        known = self.beads.get(name)
        if known is None:
            return
        key = BeadKey(self.project_id, name)
        if known.bead.status in ("closed", "tombstone"):
            with pytest.raises(RefusedError):
                self.store.edits.close(key, "")
            return
        self.store.edits.close(key, "")
        known.bead, known.closed_by_us = replace(known.bead, status="closed"), True

    def do_add(self, both_ways: tuple) -> None:
        name = next((name for name in NAMES if name not in self.beads), None)
        if name is None:
            return
        own, others = (
            [(target, kind) for target, kind in listed if target in self.beads and target != name]
            for listed in both_ways
        )
        from_file = {(target, kind): metadata for target, (kind, metadata) in own}
        record = self.record(name, {"status": "open", "priority": 2, "issue_type": "task"}, from_file)
        to_it = []
        for owner, (kind, metadata) in others:
            edge = Dependency(issue_id=owner, depends_on_id=name, type=kind, metadata=metadata)
            to_it.append((edge, {"issue_id": owner, "depends_on_id": name, "type": kind}))
            if (name, kind) not in self.beads[owner].edges:
                self.beads[owner].ours[name, kind] = metadata
        self.store.edits.add(self.project_id, record, to_it, lambda edges: None)
        self.beads[name] = Expected(record.bead, from_file=from_file)

    def blocked(self) -> set[BeadId]:
        """Return what the store holds for blocked."""
        found = self.store.reading.beads([BeadKey(self.project_id, name) for name in self.beads])
        return {key.bead_id for key, bead in found.items() if bead.blocked}

    def check(self) -> None:
        rules = Rules(self.beads)
        found = self.store.reading.beads([BeadKey(self.project_id, name) for name in self.beads])
        stored = {key.bead_id: bead for key, bead in found.items()}
        assert {name for name, bead in stored.items() if bead.blocked} == rules.blocked()
        explained = {name for name in rules.undone() if self.store.reading.blockers(BeadKey(self.project_id, name))}
        assert explained == rules.blocked()
        assert {name: bead.status for name, bead in stored.items()} == {
            name: expected.bead.status for name, expected in self.beads.items()
        }
        for as_tracker in (True, False):
            ready = self.store.reading.ready(self.project_id, as_tracker=as_tracker)
            assert [bead.id for bead in ready] == rules.ready(as_tracker=as_tracker)
        assert self.store.reading.count_ready(self.project_id) == len(rules.ready(as_tracker=False))


@pytest.fixture
def store_now(database_url):
    """Given a store in which it is always NOW."""
    opened = Store(make_engine(database_url), lease=timedelta(seconds=45), clock=FixedClock(NOW))
    yield opened
    opened.close()


LOOK = {"status": "open", "priority": 2, "issue_type": "task"}
CHILD_OF_T = [("t", ("parent-child", ""))]


def seen(listed: list) -> tuple:
    return LOOK, [(BeadId(target), kind) for target, kind in listed]


@pytest.mark.parametrize("metadata", ["", ANY_CHILD])
def test_a_bead_that_waits_for_children_goes_when_the_last_or_any_of_them_is_closed(store_now, metadata):
    world = World(store_now)
    waiter = seen([("t", ("waits-for", metadata))])
    world.do_import({"t": seen([]), "w": waiter, "c": seen(CHILD_OF_T), "d": seen(CHILD_OF_T)})
    for name in ("c", "d"):
        assert world.blocked() == ({"w"} if name == "c" or not metadata else set())
        world.do_close(BeadId(name))
        world.check()
    assert world.blocked() == set()


def test_a_child_that_gets_another_parent_no_longer_holds_who_waited_for_it(store_now):
    world = World(store_now)
    world.do_import({"t": seen([]), "w": seen([("t", ("waits-for", ""))]), "c": seen(CHILD_OF_T)})
    assert world.blocked() == {"w"}
    world.do_import({"c": seen([])})
    world.check()
    assert world.blocked() == set()


def test_a_blocked_parent_blocks_its_grandchildren_until_it_is_free(store_now):
    world = World(store_now)
    lower = {"c": seen(CHILD_OF_T), "g": seen([("c", ("parent-child", ""))])}
    world.do_import({"x": seen([]), "t": seen([("x", ("blocks", ""))]), **lower})
    assert world.blocked() == {"t", "c", "g"}
    world.do_import({"new": seen([("g", ("parent-child", ""))])})
    world.check()
    assert world.blocked() == {"t", "c", "g", "new"}
    world.do_close(BeadId("x"))
    world.check()
    assert world.blocked() == set()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), phases=WITHOUT_SHRINKING)
@given(beginning=beginnings, sequence=changes)
def test_readiness_is_what_the_rules_say_after_every_change(store_now, beginning, sequence):
    world = World(store_now)
    world.do_import(beginning)
    world.check()
    for kind, content in sequence:
        getattr(world, f"do_{kind}")(content)
        world.check()


def test_two_blockers_that_close_at_the_same_moment_release_their_dependent(store, project):
    moment = threading.Barrier(2)

    def close(name: BeadId) -> None:
        moment.wait(timeout=20)
        store.edits.close(BeadKey(project.id, name), "")

    def record(name: str, *targets: str) -> BeadRecord:
        document = {"id": name, "title": name}
        edges = tuple(Dependency(issue_id=BeadId(name), depends_on_id=BeadId(target)) for target in targets)
        bead = Bead(id=BeadId(name), title=name)
        return BeadRecord(bead=bead, text=json.dumps(document), document=document, dependencies=edges)

    with ThreadPoolExecutor(max_workers=2) as threads:
        for turn in range(40):
            first, second, dependent = (BeadId(f"{part}-{turn}") for part in ("first", "second", "dependent"))
            store.imports.import_records(project.id, [record(first), record(second), record(dependent, first, second)])
            assert store.reading.bead(BeadKey(project.id, dependent)).blocked
            for closing in [threads.submit(close, name) for name in (first, second)]:
                closing.result(timeout=30)
            assert not store.reading.bead(BeadKey(project.id, dependent)).blocked
            assert dependent in [bead.id for bead in store.reading.ready(project.id)]
