"""The runner for agent programs in any language. Their side of it is explained in `docs/agents.md`."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dispatch.errors import ConfigurationError
from dispatch.models.outcome import Failed, Outcome
from workers.runners import guard
from workers.runners.base import RunnerContext
from workers.runners.environment import NO_VARIABLES, check_names
from workers.runners.launching import Containment, HostStage, Launch, Stage
from workers.runners.link import GuardLink
from workers.runners.pipes import open_pipe
from workers.runners.run_files import open_transcript
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

    With a `containment` it runs in a container instead: `argv` is found in the image, its script as above is shown
    there, and the PATH and HOME are the container's.

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
        containment: Containment | None = None,
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
        self._base_directory = base_directory.absolute() if base_directory else None
        self._silence_limit = silence_limit
        self._containment = containment

    @property
    def is_contained(self) -> bool:
        """Whether the program runs in a container: then nothing that it keeps in its home is there in the next run."""
        return self._containment is not None

    def run(self, context: RunnerContext, *, variables: Mapping[str, str] = NO_VARIABLES) -> Outcome:
        """Run the program for a run; `variables` are as for `stage`."""
        early = outcome_before_start(context)
        if early is not None:
            return early
        with self.stage(context, variables=variables) as stage:
            if isinstance(stage, Failed):
                return stage
            transcript = open_transcript(context)
            try:
                ending = self.start(context, stage.launch(stage.words), transcript, transcript.read_line)
            finally:
                transcript.close()
            if isinstance(ending, Failed):
                return ending
            return stage.explain(outcome_of_program(ending, context, transcript.result, transcript.tail))

    @contextmanager
    def stage(
        self, context: RunnerContext, *, by_text: bool = False, variables: Mapping[str, str] = NO_VARIABLES
    ) -> Iterator[Stage | Failed]:
        """Tell the agent its work in files, and give where it is done; or why it cannot be started. Raises OSError.

        `by_text` is for programs that say in their last message how they ended. `variables` are those that the agent
        sees besides, where the configuration passes none of that name.
        """
        if self._containment is not None:
            argv, script = self._contained_command()
            told = self._containment.stage(context, argv, script, self._pass_env, by_text=by_text, variables=variables)
            with told as contained:
                yield contained
            return
        words = self._command()
        if isinstance(words, Failed):
            yield words
        else:
            yield HostStage.of(context, words, self._pass_env, self._env, by_text=by_text, variables=variables)

    def start(
        self,
        context: RunnerContext,
        launch: Launch,
        transcript: Transcript,
        on_line: Callable[[bytes, bool], None],
    ) -> Ending | Failed:
        """Run a program under a guard to its end: `on_line` gets the lines of its output, the transcript the rest."""
        with ExitStack() as stack:
            stdout, stdout_writer = open_pipe(stack)
            stderr, stderr_writer = open_pipe(stack)
            source = stack.enter_context((launch.stdin or Path(os.devnull)).open("rb"))
            try:
                link = GuardLink.start(
                    _guard_command(context, launch),
                    environment=launch.environment,
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

    def _contained_command(self) -> tuple[list[str], int | None]:
        """Return the words to run in a container, and which of them is a file of ours, if any, by its path here."""
        words = list(self._argv)
        for index, word in enumerate(words):
            path = self._base_directory / word if self._base_directory else None
            if path is not None and path.is_file() and (index > 0 or "/" in word):
                words[index] = str(path)
                return words, index
            if index > 0 and not word.startswith("-"):
                break
        return words, None

    def _command(self) -> list[str] | Failed:
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


def _guard_command(context: RunnerContext, launch: Launch) -> list[str]:
    limits = [str(context.pulse_limit), str(context.stop_grace)]
    interpreter = [sys.executable, "-I", "-S", guard.__file__]
    return [*interpreter, "{control}", *limits, str(launch.directory), *launch.command]
