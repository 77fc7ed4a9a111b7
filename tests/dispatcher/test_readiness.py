"""Projects that are not ready: parked in BLOCK mode, only shown in WARN, and looked at once a minute."""

import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from dispatch.dispatcher import Dispatcher
from dispatch.dispatcher.checking import ReadinessChecker
from dispatch.models.dispatching import StatusState
from dispatch.models.guarding import Readiness
from dispatch.models.identity import ProjectId
from dispatch.models.project import Project
from dispatch.settings import Settings

SHOP, BARN = ProjectId("shop"), ProjectId("barn")
MINUTE = timedelta(minutes=1)
Configured = Callable[..., Settings]


class Check:
    """A check that finds what it is told to find, and counts how often it was asked for each project."""

    name = "of the test"

    def __init__(self, *issues: str) -> None:
        self.issues = issues
        self.asked: list[ProjectId] = []

    def __call__(self, project: Project) -> Readiness:
        self.asked.append(project.id)
        return Readiness(ok=not self.issues, issues=self.issues)


@pytest.fixture
def blocking(configured: Configured) -> Settings:
    return configured(guards={"readiness_mode": "block"})


@pytest.fixture
def ours(scene: Any) -> Any:
    """Given an idle agent and a bead that could go."""
    scene.worker(agents=2)
    scene.bead("shop-1")
    return scene


def test_in_block_mode_a_failing_check_parks_the_project_with_its_issues(ours: Any, bus: Any, blocking: Any) -> None:
    check = Check("The roof leaks.", "The door is locked.")
    dispatcher = Dispatcher(ours.store, bus, blocking, readiness_check=check)
    result = dispatcher.dispatch_once()
    assert result.error == "shop is not ready: The roof leaks. The door is locked."
    for status in (dispatcher.system_status(), dispatcher.system_status(SHOP)):
        assert (status.state, status.reason) == (StatusState.PARKED, result.error)
    assert bus.steps == []
    assert dispatcher.plan().placements == ()


def test_it_goes_on_when_a_later_look_finds_it_ready(ours: Any, bus: Any, blocking: Any) -> None:
    check = Check("The roof leaks.")
    dispatcher = Dispatcher(ours.store, bus, blocking, readiness_check=check)
    assert not dispatcher.dispatch_once().dispatched
    check.issues = ()
    ours.clock.advance(MINUTE - timedelta(seconds=1))
    assert not dispatcher.dispatch_once().dispatched
    ours.clock.advance(timedelta(seconds=1))
    ours.worker("two@host")
    assert dispatcher.dispatch_once().dispatched
    assert check.asked == [SHOP, SHOP]


def test_in_warn_mode_the_bead_goes_and_the_issues_are_kept(ours: Any, bus: Any, settings: Any) -> None:
    check = Check("The roof leaks.")
    assert Dispatcher(ours.store, bus, settings, readiness_check=check).dispatch_once().dispatched
    checked = ours.store.guarding.readiness(SHOP)
    assert checked.readiness == Readiness(ok=False, issues=("The roof leaks.",))
    assert checked.checked_at == ours.clock.at


def test_a_project_is_looked_at_once_a_minute_by_whoever_dispatches(ours: Any, bus: Any, settings: Any) -> None:
    check = Check()
    one, other = (Dispatcher(ours.store, bus, settings, readiness_check=check) for _ in range(2))
    ours.bead("shop-2")
    ours.bead("shop-3")
    one.dispatch(limit=1)
    other.dispatch(limit=1)
    assert check.asked == [SHOP]
    ours.clock.advance(MINUTE)
    ours.worker("two@host")
    other.dispatch()
    assert check.asked == [SHOP, SHOP]


def test_a_project_without_waiting_beads_is_not_looked_at(scene: Any, bus: Any, blocking: Any) -> None:
    check = Check("The roof leaks.")
    scene.worker()
    dispatcher = Dispatcher(scene.store, bus, blocking, readiness_check=check)
    dispatcher.dispatch()
    assert check.asked == []


def test_a_round_that_does_not_wait_makes_no_look_and_uses_a_result_until_the_next_is_overdue(
    ours: Any, bus: Any, blocking: Any
) -> None:
    check = Check()
    dispatcher = Dispatcher(ours.store, bus, blocking, readiness_check=check)
    assert dispatcher.round(wait=False).parked == "Whether shop is ready is not known yet: the next tick looks."
    assert check.asked == []
    assert dispatcher.dispatch_once().dispatched
    ours.bead("shop-2")
    ours.clock.advance(MINUTE + timedelta(seconds=30))
    ours.worker("two@host")
    assert len(dispatcher.round(wait=False).results) == 1
    assert check.asked == [SHOP]


def test_one_look_at_a_time(ours: Any, bus: Any, blocking: Any) -> None:
    check = Check()
    assert [project.id for project in _begin(ours)] == [SHOP]
    dispatcher = Dispatcher(ours.store, bus, blocking, readiness_check=check)
    assert not dispatcher.dispatch_once().dispatched
    assert check.asked == []
    ours.clock.advance(timedelta(seconds=30))
    assert dispatcher.dispatch_once().dispatched, "who took it on was ended in the midst of it"


def _begin(scene: Any) -> list[Project]:
    projects: list[Project] = scene.store.guarding.begin_checks([SHOP], fresh=MINUTE, limit=timedelta(seconds=30))
    return projects


def test_a_check_that_raises_is_an_issue(ours: Any, bus: Any, blocking: Any) -> None:
    def broken(project: Project) -> Readiness:
        raise ValueError(f"{project.id} is odd.")

    result = Dispatcher(ours.store, bus, blocking, readiness_check=broken).dispatch_once()
    assert result.error == "shop is not ready: The readiness check broken raised ValueError: shop is odd."


def test_a_check_that_says_something_else_is_an_issue(ours: Any, bus: Any, blocking: Any) -> None:
    result = Dispatcher(ours.store, bus, blocking, readiness_check=lambda project: True).dispatch_once()  # type: ignore[arg-type,return-value]
    assert result.error == "shop is not ready: The readiness check <lambda> returned bool, not a Readiness."


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_check_that_hangs_is_an_issue_and_is_not_started_again_while_it_does(
    ours: Any, release: threading.Event
) -> None:
    started: list[ProjectId] = []

    def hangs(project: Project) -> Readiness:
        started.append(project.id)
        release.wait(60)
        return Readiness(ok=True)

    checker = ReadinessChecker(lambda: ours.store.guarding, [hangs], seconds=0.05)
    for _ in range(2):
        assert checker.refresh([SHOP])
        found = ours.store.guarding.readiness(SHOP).readiness
        assert found == Readiness(ok=False, issues=("The readiness check hangs has not answered within 0.05 s.",))
        ours.clock.advance(MINUTE)
    assert started == [SHOP]
    release.set()


def test_the_setting_names_a_function_that_is_asked_too(
    ours: Any, bus: Any, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("roof_checks")
    module.dry = Check("It rains in.")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "roof_checks", module)
    settings = configured(guards={"readiness_mode": "block", "readiness_check": "roof_checks:dry"})
    result = Dispatcher(ours.store, bus, settings, readiness_check=Check("The door is locked.")).dispatch_once()
    assert result.error == "shop is not ready: It rains in. The door is locked."


def test_a_setting_that_names_nothing_is_an_issue(ours: Any, bus: Any, configured: Configured) -> None:
    settings = configured(guards={"readiness_mode": "block", "readiness_check": "no_such_module:dry"})
    result = Dispatcher(ours.store, bus, settings).dispatch_once()
    assert result.error == (
        "shop is not ready: The readiness check no_such_module:dry raised ModuleNotFoundError: "
        "No module named 'no_such_module'."
    )


def test_a_live_worker_for_a_needed_role_is_asked_for_at_each_look(scene: Any, bus: Any, configured: Any) -> None:
    settings = configured(guards={"readiness_mode": "block"}, dispatch={"role_wait": "0s"})
    dispatcher = Dispatcher(scene.store, bus, settings)
    scene.worker(roles=("dev",))
    scene.bead("shop-1", role="qa")
    scene.bead("shop-2", role="ops")
    dispatcher.dispatch()
    assert dispatcher.system_status(SHOP).reason == (
        "shop is not ready: No live worker serves any role that its beads need (ops, qa)."
    )
    scene.worker("qa@host", roles=("qa",))
    assert {result.bead_id for result in dispatcher.dispatch()} >= {"shop-1"}


def test_a_project_is_parked_alone(ours: Any, bus: Any, blocking: Any, repository: Any) -> None:
    def roof(project: Project) -> Readiness:
        return Readiness(ok=project.id != BARN, issues=() if project.id != BARN else ("The roof leaks.",))

    ours.store.projects.add(BARN, repository)
    ours.bead("barn-1", project=BARN)
    dispatcher = Dispatcher(ours.store, bus, blocking, readiness_check=roof)
    assert [result.project_id for result in dispatcher.dispatch()] == [SHOP]
    assert dispatcher.system_status(SHOP).state is StatusState.ACTIVE
    status = dispatcher.system_status(BARN)
    assert (status.state, status.reason) == (StatusState.PARKED, "barn is not ready: The roof leaks.")
