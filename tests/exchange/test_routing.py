"""The role that is kept of a bead is what the bead says by the names of now, whatever was changed, and how."""

import itertools
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from dispatch.dispatcher.choosing import choose, lanes
from dispatch.exchange import NewBead, add_bead, export_project, import_file
from dispatch.interop.fields import FieldReader
from dispatch.interop.intake import take_bead
from dispatch.models.agent import Incarnation
from dispatch.models.identity import BeadId, BeadKey, IncarnationId, ProjectId, uuid7
from dispatch.models.routing import UNCLEAR_BUG
from dispatch.placing import Placer
from dispatch.rerouting import follow_configuration
from dispatch.routing import Router
from dispatch.settings import Settings
from dispatch.store import FixedClock, Store, make_engine, routing, tracking

NOW = datetime(2026, 9, 25, 12, tzinfo=UTC)
TRACEBACK = 'Traceback (most recent call last):\n  File "shop/basket.py", line 3, in add\nKeyError: 3'


def names(*roles: str, **configured: Any) -> Settings:
    values = {"home": "/srv/home", "roles": {**{role: {} for role in roles}, **configured}}
    return Settings.model_validate(values)


PLAIN = names("qa-engineer")
OTHERS = (
    PLAIN,
    names(tester={"aliases": ["qa-engineer", "poet"]}, backend={}),
    names("senior-qa-engineer", "poet", "web-designer"),
)


def kept(store: Store, project_id: ProjectId, bead_id: str) -> tuple[str, str, str]:
    bead = store.reading.bead(BeadKey(project_id, BeadId(bead_id)))
    return bead.role_hint, bead.role_reason, bead.role_problem


def test_role_reason_and_problem_are_kept_at_import(store, project, beads_file):
    path = beads_file(
        {"id": "s-1", "title": "[qa] Try it"},
        {"id": "s-2", "title": "Two", "metadata": {"requires_persona": "qa-enginer"}},
        {"id": "s-3", "title": "[auto-filed] It broke", "description": TRACEBACK},
        {"id": "s-4", "title": "[auto-filed] It broke"},
        {"id": "s-5", "title": "Five", "assignee": "qa"},
        {"id": "s-6", "title": "Six", "assignee": "ann"},
    )
    result = import_file(store, project.id, path, settings=PLAIN)
    assert kept(store, project.id, "s-1") == ("qa-engineer", "The title asks for qa-engineer.", "")
    assert kept(store, project.id, "s-2") == (
        "qa-enginer",
        "Its metadata asks for qa-enginer.",
        'Metadata.requires_persona asks for the unknown persona "qa-enginer". Did you mean "qa-engineer"?',
    )
    assert [kept(store, project.id, f"s-{number}")[0] for number in (3, 4, 5, 6)] == [
        "backend-engineer",
        UNCLEAR_BUG,
        "qa-engineer",
        "",
    ]
    assert [str(problem) for problem in result.problems] == [
        'line 2 (s-2): metadata.requires_persona asks for the unknown persona "qa-enginer"; Did you mean "qa-engineer"?'
    ]
    assert [bead.id for bead in store.routing.problems(9)] == ["s-2"]


def test_a_sorted_bug_goes_out_with_the_title_that_its_tracker_gave_it(store, project, beads_file):
    path = beads_file({"id": "s-1", "title": "[auto-filed] It broke", "description": TRACEBACK})
    import_file(store, project.id, path, settings=PLAIN)
    assert [f"{line}\n" for line in export_project(store, project.id)] == [path.read_text()]


def test_a_bead_that_is_made_here_goes_where_it_asks(store, project):
    bead = add_bead(store, project, NewBead(title="[qa] Try it"), created_by="ann", now=NOW, settings=OTHERS[1])
    assert (bead.role_hint, bead.role_reason) == ("tester", "The title asks for tester.")


def test_beads_follow_the_names_of_the_configuration_once(store, project, beads_file):
    count = 2 * routing.BATCH + 1
    beads = [{"id": f"s-{number}", "title": "[qa] Try it"} for number in range(count)]
    closed = {"id": "s-closed", "title": "[qa] Tried", "status": "closed", "closed_at": "2026-01-01T00:00:00Z"}
    import_file(store, project.id, beads_file(*beads, closed), settings=PLAIN)
    assert store.routing.routed_by(project.id) == Placer(PLAIN, project.id).fingerprint
    assert follow_configuration(store, PLAIN) == 0
    assert follow_configuration(store, OTHERS[1]) == count
    assert store.routing.routed_by(project.id) == Placer(OTHERS[1], project.id).fingerprint
    assert {kept(store, project.id, f"s-{number}")[0] for number in range(count)} == {"tester"}
    assert kept(store, project.id, "s-closed")[0] == "qa-engineer", "it goes nowhere"
    assert follow_configuration(store, OTHERS[1]) == 0
    assert [event.data["moved"] for event in store.reading.events_after(0) if event.kind == "project.rerouted"] == [
        count
    ]


def test_an_import_by_new_names_takes_along_what_was_there_before(store, project, beads_file):
    import_file(store, project.id, beads_file({"id": "s-1", "title": "[qa] Try it"}), settings=PLAIN)
    import_file(store, project.id, beads_file({"id": "s-2", "title": "Two"}), settings=OTHERS[1])
    assert kept(store, project.id, "s-1")[0] == "tester"


def test_a_role_that_a_bead_gets_by_new_names_is_waited_for_from_then_on(database_url, beads_file):
    clock = FixedClock(NOW)
    store = Store(make_engine(database_url), lease=timedelta(seconds=45), clock=clock)
    try:
        project = store.projects.add(ProjectId("shop"), Path("/srv/shop"))
        lines = [{"id": "s-1", "title": "[qa] Try it"}, {"id": "s-2", "title": "Sing", "labels": ["role:poet"]}]
        import_file(store, project.id, beads_file(*lines), settings=PLAIN)
        clock.advance(timedelta(hours=1))
        follow_configuration(store, OTHERS[2])
        found = {bead.id: (bead.role_hint, bead.ready_since) for bead in store.reading.ready(project.id)}
        assert found == {"s-1": ("senior-qa-engineer", clock.at), "s-2": ("poet", NOW)}
        assert store.routing.problems(9) == [], "the poet is known by now, and was waited for all the time"
    finally:
        store.close()


def test_what_was_changed_here_counts_before_what_the_file_had(store, project, beads_file):
    import_file(store, project.id, beads_file({"id": "s-1", "title": "One", "assignee": "ann"}), settings=PLAIN)
    key = BeadKey(project.id, BeadId("s-1"))
    with store.units.begin() as tx:
        tx.lock_project(project.id)
        tracking.add_changes(tx, key, {"assignee": "qa"}, columns={})
    follow_configuration(store, OTHERS[1])
    assert kept(store, project.id, "s-1")[:2] == ("tester", "Its assignee names tester.")


def test_what_a_document_holds_that_the_database_cannot_keep_does_not_stop_the_routing(store, project, beads_file):
    odd = {"id": "s-1", "title": "One", "metadata": {"requires_persona": "p\0et\ud800"}, "assignee": "q\0"}
    import_file(store, project.id, beads_file(odd), settings=PLAIN)
    before = kept(store, project.id, "s-1")
    assert follow_configuration(store, OTHERS[2]) == 0
    assert kept(store, project.id, "s-1")[0] == before[0] == "p\ufffdet\ufffd"


def test_an_import_of_thousands_of_beads_takes_seconds(store, project, beads_file):
    text = "Some words about the basket, which is to be round: it is square now. See below.\n" * 8
    beads = [
        {"id": f"s-{n}", "title": f"{'[auto-filed] ' if n % 50 == 0 else ''}Bead {n}", "description": text}
        for n in range(6_000)
    ]
    router, entries = Router(OTHERS[1]), [take_bead(FieldReader(bead, None)) for bead in beads]
    begun = time.process_time()
    for bead in entries:
        router.route(bead)
    assert time.process_time() - begun < 10, "of this process alone, whatever else the machine does"
    assert import_file(store, project.id, beads_file(*beads), settings=OTHERS[1]).report.created == 6_000


# Whatever is changed, and how

NAMES = [BeadId(f"s-{number}") for number in range(4)]
beads = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["[qa] Try it", "[auto-filed] It broke", "poet: sing of it", "[web-designer] Paint"]),
        "description": st.sampled_from([TRACEBACK, "Ask the backend engineer to do it.", "**FOR qa AGENT**"]),
        "labels": st.lists(st.sampled_from(["role:poet", "for-qa", "auto-filed", "backend-only", "ui"]), max_size=2),
        "assignee": st.sampled_from(["ann", "qa", "default/poet", "Backend Engineer"]),
        "metadata": st.sampled_from([{}, {"requires_persona": "tester"}, {"requires_persona": 3}, "text"]),
        "status": st.sampled_from(["open", "open", "in_progress", "blocked", "closed"]),
    },
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("import"), st.dictionaries(st.sampled_from(NAMES), beads, min_size=1)),
        st.tuples(st.just("add"), beads),
        st.tuples(st.just("close"), st.sampled_from(NAMES)),
        st.tuples(st.just("adopt"), st.sampled_from(NAMES)),
        st.tuples(st.just("claim"), st.none()),
        st.tuples(st.just("follow"), st.sampled_from(OTHERS)),
    ),
    min_size=2,
    max_size=7,
)
numbers = itertools.count()


class World:
    """A project of its own in the store, and the configuration of the moment."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.store = store
        self.number = next(numbers)
        self.project = store.projects.add(ProjectId(f"p{self.number}"), Path(f"/srv/{self.number}"), "s")
        self.file = directory / "beads.jsonl"
        self.settings = PLAIN

    def do_import(self, content: dict[BeadId, dict[str, Any]]) -> None:
        lines = [json.dumps({"title": f"Bead {name}", **said, "id": name}) for name, said in content.items()]
        self.file.write_text("\n".join(lines))
        import_file(self.store, self.project.id, self.file, settings=self.settings)

    def do_add(self, said: dict[str, Any]) -> None:
        given = {name: said[name] for name in ("title", "description", "labels") if name in said}
        new = NewBead(**{"title": "New", **given})
        add_bead(self.store, self.project, new, created_by="ann", now=datetime.now(UTC), settings=self.settings)

    def do_close(self, name: BeadId) -> None:
        found = self.store.reading.beads([BeadKey(self.project.id, name)])
        if any(bead.status != "closed" for bead in found.values()):
            self.store.edits.close(BeadKey(self.project.id, name), "")

    def do_adopt(self, name: BeadId) -> None:
        self.store.edits.adopt(BeadKey(self.project.id, name))

    def do_claim(self, _: None) -> None:
        """Give all that can go now to agents: their beads are held from now on."""
        with self.store.dispatching.round() as round_:
            supply = round_.supply(self.project.id)
            plan = choose(round_.candidates(lanes(supply, self.settings)), supply, self.settings)
            round_.claim(plan.placements)

    def do_follow(self, settings: Settings) -> None:
        self.settings = settings
        follow_configuration(self.store, settings)

    def check(self) -> None:
        router = Router(self.settings)
        stored = {bead.id: bead for bead in self.store.reading.beads(self._keys()).values()}
        for line in self.store.imports.documents(self.project.id):
            bead = stored[line.id]
            if bead.status == "closed":
                continue
            meant = router.route(take_bead(FieldReader({**json.loads(line.text), **line.changes}, None)))
            assert (bead.role_hint, bead.role_reason, bead.role_problem) == (meant.role, meant.reason, meant.complaint)

    def _keys(self) -> list[BeadKey]:
        return [BeadKey(self.project.id, bead_id) for bead_id in self.store.imports.ids(self.project.id)]


@pytest.fixture
def staffed(store):
    """Given a store with agents for every role that the configurations name."""
    store.swarm.register(
        Incarnation(
            id=IncarnationId(uuid7()),
            node="one@host",
            host="host",
            pid=1,
            version="1",
            queues=(),
            roles=("qa-engineer", "tester", "backend", "backend-engineer", "poet", "web-designer"),
            agents=20,
        )
    )
    return store


@tries(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(sequence=steps)
def test_what_is_kept_is_what_a_plain_look_at_the_documents_gives(staffed, tmp_path, sequence):
    world = World(staffed, tmp_path)
    for kind, content in sequence:
        getattr(world, f"do_{kind}")(content)
        world.check()
