"""Flower's configuration: that Flower takes it, and what it shows of a run."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from celery.events.state import State, Task
from celery.utils.saferepr import saferepr

import flowerconfig
from dispatch.models.messages import TaskMessage

CONFIG = Path(flowerconfig.__file__)


def received_task(name: str, arguments: tuple[object, ...], worker: str | None = "agents@here") -> Task:
    """Feed the event of a task to Celery's own state, and return the record that Flower would format."""
    state = State()
    task_id = str(uuid4())
    event = {"uuid": task_id, "name": name, "args": saferepr(arguments, 1024), "kwargs": "{}", "clock": 1}
    kind = "task-received" if worker else "task-sent"
    state.event({**event, "type": kind, "timestamp": 1.0, "local_received": 1.0, "hostname": worker or "client@here"})
    return state.tasks[task_id]


def order_to_start(**changes: object) -> dict[str, object]:
    message = TaskMessage(
        run_id=uuid4(),
        step_id=uuid4(),
        project_id="shop",
        bead_id="shop-a1",
        role="backend-engineer",
        attempt=2,
        timeout_seconds=1800,
    )
    return message.model_dump(mode="json") | changes


def test_flower_takes_every_option_of_the_file():
    program = (
        "import json, sys; from flower.options import options; from tornado.options import parse_config_file;"
        "parse_config_file(sys.argv[1]);"
        "print(json.dumps([options.address, options.task_runtime_metric_buckets, options.tasks_columns,"
        " options.format_task.__name__]))"
    )
    done = subprocess.run([sys.executable, "-c", program, CONFIG], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        "127.0.0.1",
        flowerconfig.task_runtime_metric_buckets,
        flowerconfig.tasks_columns,
        "format_task",
    ]


def test_no_name_of_the_file_is_an_option_by_accident():
    program = "import json; from flower.options import options; print(json.dumps(sorted(options._options)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    taken = {name for name in vars(flowerconfig) if name.replace("_", "-") in json.loads(done.stdout)}
    assert taken == {"address", "tasks_columns", "task_runtime_metric_buckets", "format_task"}


def test_the_columns_are_ones_that_flower_knows():
    from flower.views.tasks import TASK_COLUMNS

    assert set(flowerconfig.tasks_columns.split(",")) <= TASK_COLUMNS.keys()


def test_the_buckets_rise_to_an_hour():
    assert flowerconfig.task_runtime_metric_buckets == sorted(set(flowerconfig.task_runtime_metric_buckets))
    assert flowerconfig.task_runtime_metric_buckets[-1] == 3600


def test_a_run_shows_its_bead_role_attempt_and_agent():
    task = flowerconfig.format_task(received_task("workers.tasks.run", (order_to_start(),)))
    assert task.args == "shop/shop-a1, backend-engineer, attempt 2, agent of agents@here"


def test_a_run_that_no_worker_has_received_shows_no_agent():
    task = flowerconfig.format_task(received_task("workers.tasks.run", (order_to_start(),), worker=None))
    assert task.args == "shop/shop-a1, backend-engineer, attempt 2, no agent yet"


@pytest.mark.parametrize(
    "arguments",
    [(), ("text",), ({"bead_id": "a-1"},), (order_to_start(bead_id="b" * 2000),), ({"run": uuid4()},)],
    ids=["none", "no dictionary", "another dictionary", "cut by Celery", "not a literal"],
)
def test_arguments_that_are_no_order_to_start_stay_as_they_are(arguments: tuple[object, ...]):
    task = received_task("workers.tasks.run", arguments)
    before = task.args
    assert flowerconfig.format_task(task).args == before


def test_other_tasks_stay_as_they_are():
    task = received_task("workers.tasks.settle", (order_to_start(),))
    assert flowerconfig.format_task(task).args.startswith("({'version': 1")


def test_text_that_nests_too_deep_is_left_alone():
    task = received_task("workers.tasks.run", ())
    task.args = "(" * 5000
    assert flowerconfig.format_task(task).args == "(" * 5000
