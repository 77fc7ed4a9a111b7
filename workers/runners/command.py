"""The runner for agent programs in any language. Their side of it is explained in `docs/agents.md`."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from dispatch.errors import ConfigurationError
from dispatch.models.outcome import Failed, Outcome
from workers.runners import guard
from workers.runners.base import RunnerContext
from workers.runners.environment import (
    ASSIGNMENT_VARIABLE,
    PROMPT_VARIABLE,
    SESSION_VARIABLE,
    agent_environment,
    check_names,
)
from workers.runners.link import GuardLink
from workers.runners.pipes import open_pipe
from workers.runners.run_files import open_transcript, write_assignment, write_prompt
from workers.runners.transcript import Transcript
from workers.runners.verdict import outcome_before_start, outcome_of_program
from workers.runners.watch import Ending, Watch


class CommandRunner:
    """Starts a program for each run, in the run's workspace, under a guard.

    `argv` is found on the worker's PATH, or below `base_directory` (the directory of the configuration file) when it
    is written as a relative path, and so is the script that an interpreter is given as its first plain argument; the
    repository is never looked into, for it must not bring runners. `env` are values the agent gets, `pass_env` names
    that it gets from the worker's environment; of everything else it sees only the locale, PATH and HOME. One that
    prints nothing for `silence_limit` seconds is stopped.

    Raises ConfigurationError for an empty `argv` and for variables of dispatch itself.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        pass_env: Sequence[str] = (),
        *,
        base_directory: Path | None = None,
        silence_limit: float = float("inf"),
    ) -> None:
        if not argv or not argv[0]:
            raise ConfigurationError(
                place="argv of a runner",
                problem="it names no program",
                cure='Write the program and its arguments, for example ["python", "agent.py"].',
            )
        self._env = dict(env or {})
        self._pass_env = tuple(pass_env)
        check_names((*self._env, *self._pass_env))
        self._argv = tuple(argv)
        self._silence_limit = silence_limit
        self._base_directory = base_directory.absolute() if base_directory else None

    def run(self, context: RunnerContext) -> Outcome:
        early = outcome_before_start(context)
        if early is not None:
            return early
        command = self.find()
        if isinstance(command, Failed):
            return command
        values = told_files(context)
        transcript = open_transcript(context)
        try:
            ending = self.start(context, command, values, transcript, transcript.read_line)
        finally:
            transcript.close()
        if isinstance(ending, Failed):
            return ending
        return outcome_of_program(ending, context, transcript.result, transcript.tail)

    def environment(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return what the agent sees, with `values` of its run."""
        return agent_environment(os.environ, self._pass_env, self._env | dict(values))

    def start(
        self,
        context: RunnerContext,
        command: Sequence[str],
        values: Mapping[str, str],
        transcript: Transcript,
        on_line: Callable[[bytes, bool], None],
        *,
        stdin: Path | None = None,
    ) -> Ending | Failed:
        """Run a program under a guard to its end: the lines of its output go to `on_line`, the rest to the transcript.

        `values` are variables of this run, `stdin` the file that it reads from standard input, if any.
        """
        with ExitStack() as stack:
            stdout, stdout_writer = open_pipe(stack)
            stderr, stderr_writer = open_pipe(stack)
            source = stack.enter_context((stdin or Path(os.devnull)).open("rb"))
            try:
                link = GuardLink.start(
                    _guard_command(context, command),
                    environment=self.environment(values),
                    stdin=source.fileno(),
                    stdout=stdout_writer.fileno(),
                    stderr=stderr_writer.fileno(),
                )
            except OSError as error:
                return Failed(cause="cannot start", summary=f"The agent's guard cannot be started: {error}.")
            stack.callback(link.close)
            stdout_writer.close()
            stderr_writer.close()
            watch = Watch(
                context, link, transcript, on_line, stdout.fileno(), stderr.fileno(), silence_limit=self._silence_limit
            )
            return watch.run()

    def find(self) -> list[str] | Failed:
        """Return the command with its program as a path, or why it cannot be started here."""
        program = self._program(self._argv[0])
        if program is None:
            return Failed(
                cause="not found",
                summary=f"This worker has no program {self._argv[0]!r}. Install it where the worker's PATH leads, or"
                " name it in the runner's argv by its absolute path.",
            )
        arguments = list(self._argv[1:])
        for index, argument in enumerate(arguments):
            if not argument.startswith("-"):
                script = self._base_directory / argument if self._base_directory else None
                if script is not None and script.is_file():
                    arguments[index] = str(script)
                break
        return [program, *arguments]

    def _program(self, name: str) -> str | None:
        if "/" in name:
            path = Path(name)
            if not path.is_absolute():
                if self._base_directory is None:
                    return None
                path = self._base_directory / path
            return str(path) if path.exists() else None
        places = (
            place for place in os.get_exec_path(self._env if "PATH" in self._env else None) if Path(place).is_absolute()
        )
        return shutil.which(name, path=os.pathsep.join(places))


def told_files(context: RunnerContext, *, by_text: bool = False) -> dict[str, str]:
    """Write the files that tell the agent its work; return the variables that lead to them. Raises OSError."""
    prompt = write_prompt(context, by_text=by_text)
    told = {ASSIGNMENT_VARIABLE: str(write_assignment(context)), PROMPT_VARIABLE: str(prompt)}
    session = context.assignment.session
    return told | {SESSION_VARIABLE: session.id} if session is not None and session.id else told


def _guard_command(context: RunnerContext, command: Sequence[str]) -> list[str]:
    limits = [str(context.pulse_limit), str(context.stop_grace)]
    interpreter = [sys.executable, "-I", "-S", guard.__file__]
    return [*interpreter, "{control}", *limits, str(context.assignment.workspace), *command]
