"""Bare Celery beside dispatch: `celery -A benchmarks.parts.bare`, Celery as it comes, with the options of `workers`.

So broker, result backend, serializers, events and options of the workers are the same on both sides; the key prefix,
given by the environment, keeps them apart. As in dispatch, a worker of its own publishes and another runs the bodies.
"""

import time

from celery import chord

from benchmarks.parts.bare_names import BODY, DONE, NOOP, PUBLISH
from dispatch.bus.celery import make_plain_app
from dispatch.models.queues import RESULTS_QUEUE
from dispatch.settings import load_settings
from dispatch.wiring import find_servers
from workers.prefetch import TakeOnlyWhatRuns

_settings = load_settings()
_servers = find_servers(_settings)
app = make_plain_app(_settings, _servers.broker_url, _servers.result_backend_url)
app.steps["consumer"].add(TakeOnlyWhatRuns)


@app.task(name=PUBLISH, ignore_result=True)
def publish(count: int, queue: str) -> None:
    """Publish chords of one no-op, one after the other."""
    for _ in range(count):
        body = app.signature(BODY).set(queue=RESULTS_QUEUE, ignore_result=True)
        chord([app.signature(NOOP, args=[time.time()], immutable=True).set(queue=queue)], body, app=app).apply_async()


@app.task(name=NOOP)
def noop(published_at: float) -> list[float]:
    """Return when this was published and when it started."""
    return [published_at, time.time()]


@app.task(name=BODY, ignore_result=True)
def body(results: list[list[float]]) -> None:
    """Tell the benchmark when the chord was published, started and ended."""
    published_at, started_at = results[0]
    app.backend.client.rpush(DONE, f"{published_at} {started_at} {time.time()}")
