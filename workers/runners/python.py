"""The runner for agents that are Python functions."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from dispatch.errors import ConfigurationError
from dispatch.models.outcome import Failed, Outcome
from workers.runners.base import RunnerContext
from workers.runners.environment import agent_environment, check_names
from workers.runners.function_call import OUTCOME_PREFIX, Emit, read_outcome
from workers.runners.guard import MARK_ROOM, PROCESS_MARK
from workers.runners.link import GuardLink
from workers.runners.pipes import open_pipe
from workers.runners.run_files import open_transcript, write_assignment
from workers.runners.transcript import Transcript
from workers.runners.verdict import outcome_before_start, outcome_of_exit, outcome_of_interruption
from workers.runners.watch import Ending, Watch

__all__ = ["Emit", "PythonRunner"]

_SERVER_MODULE = "workers.runners.fork_server"


class PythonRunner:
    """Calls `target` ("module:function") with the assignment, in a child process that can be killed.

    The function returns an outcome, a dict that makes one, or None (completed); one with a parameter `emit` can say
    what it does meanwhile (`Emit`). It runs in the workspace, and what it prints goes to the run's `agent.log`.
    `env` and `pass_env` are as for `CommandRunner`.

    Each run has a process of its own. With `runs_per_process` above 1 one process may do so many, one after the other,
    as long as each leaves no thread, process or signal handler behind: that is cheaper, and what a run changes in the
    modules is there in the next one.

    The module is imported once a worker process, in a fork server that starts with the first run; a run then costs a
    fork. So the import must start no threads and no processes. Runs at the same time get a server each, which is kept
    for later ones. A forked child of this process makes servers of its own. All servers end with their process, or
    with `close`.

    Raises ConfigurationError for a target of another form and for variables of dispatch itself.
    """

    def __init__(
        self,
        target: str,
        env: Mapping[str, str] | None = None,
        pass_env: Sequence[str] = (),
        runs_per_process: int = 1,
    ) -> None:
        module, _, function = target.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
            raise ConfigurationError(
                place="target of a runner",
                problem=f"{target!r} names no function",
                cure='Write it as "package.module:function".',
            )
        self._target = target
        self._runs_per_process = runs_per_process
        self._env = dict(env or {})
        self._pass_env = tuple(pass_env)
        check_names((*self._env, *self._pass_env))
        self._idle: list[GuardLink] = []

    def run(self, context: RunnerContext) -> Outcome:
        early = outcome_before_start(context)
        if early is not None:
            return early
        with ExitStack() as stack:
            assignment = write_assignment(context)
            transcript = open_transcript(context)
            stack.callback(transcript.close)
            events, events_writer = open_pipe(stack)
            output, output_writer = open_pipe(stack)
            try:
                server = self._server(output_writer.fileno())
                stack.callback(self._put_back, server)
                server.request(_order(context, assignment), (events_writer.fileno(), output_writer.fileno()))
            except OSError as error:
                return Failed(cause="cannot start", summary=f"The function's process cannot be started: {error}.")
            events_writer.close()
            output_writer.close()
            answer = _Answer(transcript)
            ending = Watch(context, server, transcript, answer.read_line, events.fileno(), output.fileno()).run()
            server.reusable = ending.ended is not None and ending.ended.leftovers == 0
            return _outcome(ending, context, answer.outcome, transcript.tail)

    def close(self) -> None:
        """End the idle servers."""
        while self._idle:
            self._idle.pop().close()

    def _server(self, output: int) -> GuardLink:
        """Return an idle server of this process, or a new one that prints to `output` while it imports."""
        while self._idle:
            server = self._idle.pop()
            if server.owner == os.getpid() and server.is_alive():
                server.reusable = False
                return server
            server.close()
        environment = agent_environment(os.environ, self._pass_env, self._env)
        search_path = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
        interpreter = [sys.executable, "-P", "-X", "utf8", "-m", _SERVER_MODULE]
        return GuardLink.start(
            [*interpreter, "{control}", self._target, str(self._runs_per_process), environment.get("PYTHONPATH", "")],
            environment=environment | {"PYTHONPATH": search_path, PROCESS_MARK: MARK_ROOM},
            stdout=output,
            stderr=output,
        )

    def _put_back(self, server: GuardLink) -> None:
        if server.reusable:
            self._idle.append(server)
        else:
            server.close()


class _Answer:
    """Reads what the function's process writes: events, then its outcome."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self.outcome: Outcome | None = None

    def read_line(self, line: bytes, cut: bool) -> None:
        if line.startswith(OUTCOME_PREFIX) and not cut:
            self.outcome = read_outcome(line)
        else:
            self._transcript.read_line(line, cut)


def _order(context: RunnerContext, assignment: Path) -> bytes:
    facts = {
        "assignment": str(assignment),
        "workspace": str(context.assignment.workspace),
        "pulse_limit": context.pulse_limit,
        "grace": context.stop_grace,
    }
    return json.dumps(facts).encode() + b"\n"


def _outcome(ending: Ending, context: RunnerContext, answer: Outcome | None, output: str) -> Outcome:
    interrupted = outcome_of_interruption(ending, context)
    if interrupted is not None:
        return interrupted
    if answer is not None:
        return answer
    return outcome_of_exit(ending.ended, output) or Failed(
        cause="no outcome", summary="The function ended its process without returning.", output=output
    )
