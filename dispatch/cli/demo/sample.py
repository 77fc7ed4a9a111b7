"""`dispatch demo`: a dozen beads of a sample project, from a file to commits on its main branch."""

import shlex
import sys
import time
from pathlib import Path

from dispatch import embedded
from dispatch.cli import output
from dispatch.cli.demo.human import ScriptedHuman
from dispatch.cli.demo.report import COLUMNS, BeadStory, landed_commits
from dispatch.cli.demo.scene import PROJECT, demo_environment, remove_scene, replace_scene
from dispatch.cli.demo.shop import BEADS, RETRIED, ROLES
from dispatch.cli.live_view import LiveView
from dispatch.cli.upkeep import End, keep_up, prepare_store
from dispatch.exchange import import_file
from dispatch.models.identity import BeadKey, ProjectId
from dispatch.models.states import BeadStatus
from dispatch.settings import Settings
from dispatch.store import Store

_INTERRUPTED = 130
_PROJECT = ProjectId(PROJECT)


def play_sample(directory: Path, *, clean: bool) -> int:
    """Play the whole demo in a directory; return the exit code: 0 when every bead is closed at the end."""
    started = time.monotonic()
    settings = replace_scene(directory)
    try:
        code = _play(settings, started)
        if not clean:
            _tell_where_to_look(directory)
        return code
    finally:
        embedded.down(directory)
        if clean:
            embedded.release(directory)
            remove_scene(directory)


def _play(settings: Settings, started: float) -> int:
    repository = settings.home / "tinyshop"
    output.write(f"A small repository with a red test was made in {repository}.")
    output.write(
        f"{len(BEADS)} beads for {len(ROLES)} roles go to 4 agents. The agents are a scripted program that does"
    )
    output.write("what a bead's text says: no model, no key, no network. All the rest is what your own agents get.")
    output.write("Where a human is asked, the demo answers after a moment, and says so.")
    store = prepare_store(settings)
    try:
        result = import_file(store, _PROJECT, repository / ".beads" / "issues.jsonl", settings=settings)
        output.write(f"Imported {result.report.created} beads from .beads/issues.jsonl. Starting Celery's workers ...")
        with LiveView() as view:
            human = ScriptedHuman(settings, view.tell)
            end = keep_up(settings, view, until_idle=True, environ=demo_environment(), attend=human.attend)
        all_closed = _tell(store, repository)
    finally:
        store.close()
    output.write(f"It took {time.monotonic() - started:.0f} s.")
    if end is End.ASKED:
        return _INTERRUPTED
    return 0 if end is End.IDLE and all_closed else 1


def _tell(store: Store, repository: Path) -> bool:
    """Tell what happened; return whether all beads are closed."""
    stories = []
    for bead in BEADS:
        key = BeadKey.of(_PROJECT, bead.id)
        stories.append(BeadStory(bead=store.reading.bead(key), runs=store.reading.runs(bead=key)[::-1]))
    output.write()
    output.write_table(COLUMNS, [story.row() for story in stories], empty="There are no beads.")
    output.write()
    output.write("What the agents committed, and dispatch landed on main after the tests (git log --oneline):")
    output.write(landed_commits(repository))
    output.write()
    return all(story.bead.status == BeadStatus.CLOSED for story in stories)


def _tell_where_to_look(home: Path) -> None:
    here = shlex.quote(str(home))
    call = f"{shlex.quote(_program())} --home {here}"
    steps = {
        f"{call} show {RETRIED}": "a bead, its runs and its errors",
        f"{call} up": "the workers again, with Flower, whose address and password it says first",
        f"git -C {here}/tinyshop log -p main": "the work itself",
        "make run PROJECT=/path/to/repository": "what would happen to the beads of yours; GO=1 lets agents start",
        "README.md, docs/agents.md": "how it works, and how to bring an agent of your own",
    }
    output.write()
    output.write("Where to look next")
    for step, what in steps.items():
        output.write(f"  {step}\n      {what}")


def _program() -> str:
    """Return what the user calls this program by."""
    name = Path(sys.argv[0])
    return str(name) if name.name == "dispatch" and name.parent != Path() else "dispatch"
