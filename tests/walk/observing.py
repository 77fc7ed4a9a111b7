"""Work for agents, orders by hand, and what the processes of a deployment have done with them."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from dispatch.bus.celery import RUN_TASK
from dispatch.models.dispatching import Handover, Placement
from dispatch.models.identity import BeadKey
from dispatch.models.messages import TaskMessage
from dispatch.models.run import Run

ROLE = "backend-engineer"
STORY = ["run.claimed", "run.started", "run.reported", "run.settled", "bead.landing", "bead.closed"]
"""What happens to a bead whose first run does it."""


def work(name: str) -> str:
    """Describe work that writes a file of that name."""
    return f"```file {name}.txt\n{name}\n```\n"


def interrupted_work(name: str) -> str:
    """Describe work of which the first attempt writes a file and then waits, and a later one writes another file."""
    return f"```file {name}-wip.txt\nwip\n```\n```sleep 600 attempt=1\n```\n{work(name)}"


def message_of(run: Run) -> TaskMessage:
    return TaskMessage(
        run_id=run.id,
        step_id=run.step_id,
        project_id=run.project_id,
        bead_id=run.bead_id,
        role=run.role,
        attempt=run.attempt,
        timeout_seconds=run.timeout.total_seconds(),
    )


def claim(deployment: Any, key: BeadKey, agents: int = 1) -> Handover:
    """Claim a bead for so many agents, as a tick would, without handing it over."""
    with deployment.store.dispatching.round() as round_:
        chosen = round_.supply().agents[:agents]
        assert len(chosen) == agents
        placement = Placement(bead=key, agents=chosen, role=ROLE, timeout=timedelta(minutes=1), reason="A test.")
        (handover,) = round_.claim([placement])
    return handover  # type: ignore[no-any-return]


def claimed_by_hand(deployment: Any, bead_id: str, description: str, agents: int = 1) -> tuple[BeadKey, Handover]:
    """Add a bead that no tick takes, since nobody serves the role it asks for, and claim it."""
    document = {"id": bead_id, "title": bead_id, "description": description, "labels": ["role:by-hand"]}
    (key,) = deployment.import_beads(document)
    return key, claim(deployment, key, agents)


def handled(deployment: Any, task: str, event: str = "succeeded") -> int:
    """Return how many tasks of a name the services have handled."""
    lines = deployment.log("services").read_text().splitlines()
    return sum(f"Task {task}[" in line and event in line for line in lines)


def await_handled(deployment: Any, task: str, count: int) -> None:
    deployment.until(lambda: handled(deployment, task) >= count, what=f"{count} {task} to be handled")


def state_of(deployment: Any, key: BeadKey) -> tuple[Any, ...]:
    """Return everything that a delivery could change; that one was refused is noted beside it."""
    return deployment.bead(key), deployment.runs(key), deployment.story(key), deployment.git("rev-parse", "main")


def gated_work(deployment: Any, name: str) -> tuple[str, Path]:
    """Describe work that writes a file and then waits until another one is made."""
    gate = deployment.directory / f"{name}.go"
    return f"{work(name)}```sh\nwhile [ ! -e {gate} ]; do sleep 0.02; done\n```\n", gate


def refusals(deployment: Any, run: Run) -> list[str]:
    """Return why starts of a run were refused."""
    events = deployment.store.reading.events_after(0, limit=10_000)
    return [event.data["reason"] for event in events if event.kind == "run.start_refused" and event.run_id == run.id]


def ends_of(deployment: Any, run: Run, *workers: str) -> list[str]:
    """Return how the tasks of a run ended, as the logs of workers tell it."""
    ends = re.compile(rf"{re.escape(RUN_TASK)}\[{run.id}\] (ignored|succeeded|raised)")
    return [end for worker in workers for end in ends.findall(deployment.log(worker).read_text())]
