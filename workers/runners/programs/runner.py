"""Drives one agent program through a run: start or resume it, hear it, and say how it ended."""

import os
import time
from dataclasses import replace
from pathlib import Path

from dispatch.models.messages import (
    ActionEvent,
    AgentEvent,
    MessageEvent,
    ProgressEvent,
    ResultEvent,
    SessionEvent,
    UsageEvent,
)
from dispatch.models.outcome import Failed, Outcome
from dispatch.models.workflow import NodeKind
from workers.runners.base import RunnerContext
from workers.runners.command import CommandRunner
from workers.runners.launching import Stage
from workers.runners.programs.base import Listener, Program, Step
from workers.runners.programs.last_words import lessons_of, result_of
from workers.runners.run_files import open_transcript
from workers.runners.transcript import MAX_PLAIN_MESSAGE, Transcript
from workers.runners.verdict import outcome_before_start, outcome_of_interruption, outcome_of_program
from workers.runners.watch import Ending


class ProgramRunner:
    """Starts an agent program with its prompt on standard input, and understands what it says in its own words.

    A session that the program does not find any more is no failure: it begins a new one, and is told the conversation.
    So is each run in a container, whose home is not kept.
    """

    def __init__(self, program: Program, command: CommandRunner) -> None:
        self._program = program
        self._command = command

    def run(self, context: RunnerContext) -> Outcome:
        early = outcome_before_start(context)
        if early is not None:
            return early
        if self._command.is_contained:
            context = _forgetful(context)
        deadline = time.monotonic() + context.assignment.timeout_seconds
        transcript = open_transcript(context)
        try:
            talk = _Talk(self._program, self._command, context, transcript, deadline)
            outcome = talk.hold(_session(context))
            if outcome is None:
                transcript.take(ProgressEvent(message="Its session is not found any more; it begins a new one."))
                talk = _Talk(self._program, self._command, _without_session(context), transcript, deadline)
                outcome = talk.hold("")
            assert outcome is not None, "a new session cannot be missing"
            return outcome
        finally:
            transcript.close()


class _Talk:
    """One start of the program. `deadline` is that of the run, on the monotonic clock."""

    def __init__(
        self,
        program: Program,
        command: CommandRunner,
        context: RunnerContext,
        transcript: Transcript,
        deadline: float,
    ) -> None:
        self._program = program
        self._command = command
        self._context = context
        self._transcript = transcript
        self._deadline = deadline
        self._has_worked = False

    def hold(self, session: str) -> Outcome | None:
        """Let the program do its work and return the outcome; None when it does not find its session."""
        with self._command.stage(self._context, by_text=True) as stage:
            if isinstance(stage, Failed):
                return stage
            interrupted = self._prepare(session, stage) if session else None
            if interrupted is not None:
                return interrupted
            outcome = self._work(session, stage)
            return outcome and stage.explain(outcome)

    def _work(self, session: str, stage: Stage) -> Outcome | None:
        listener = self._program.listener(stage.worktree, session)
        command = self._program.command(stage.words, session, stage.environment)
        ending = self._command.start(
            self._in_time(),
            stage.launch(command, with_prompt=True),
            self._transcript,
            lambda line, cut: self._hear(listener, session, line, cut),
        )
        if isinstance(ending, Failed):
            return ending
        if not ending.silent and outcome_of_interruption(ending, self._context) is None:
            if session and not self._has_worked and _exit_code(ending) != 0:
                return None
            self._say_how_it_ended(listener, ending)
        self._keep_last_message(listener)
        last_words = listener.spoken.message or "; ".join(listener.spoken.denied)
        return outcome_of_program(
            ending, self._context, self._transcript.result, self._transcript.tail, last_words=last_words
        )

    def _prepare(self, session: str, stage: Stage) -> Outcome | None:
        """Do what the program needs to resume its session; return the outcome of a run that was ended meanwhile.

        A step that fails is left at that: the session will then not be found.
        """
        for step in self._program.steps(stage.words, session, self._context.run_directory.absolute()):
            ending = self._take_step(step, stage)
            if isinstance(ending, Failed):
                return ending
            interrupted = outcome_of_interruption(ending, self._context)
            if interrupted is not None:
                return interrupted
            if _exit_code(ending) != 0:
                break
        return None

    def _take_step(self, step: Step, stage: Stage) -> Ending | Failed:
        with (step.output or Path(os.devnull)).open("wb") as output:

            def write(line: bytes, _cut: bool) -> None:
                output.write(line + b"\n")

            return self._command.start(self._in_time(), stage.launch(step.command), self._transcript, write)

    def _hear(self, listener: Listener, session: str, line: bytes, cut: bool) -> None:
        events = None if cut else listener.hear(line)
        if events is None:
            self._transcript.read_plain(line, cut)
            return
        self._transcript.keep(line)
        for event in events:
            self._has_worked |= isinstance(event, ActionEvent | UsageEvent)
            if isinstance(event, ProgressEvent):
                event = ProgressEvent(message=event.message[:MAX_PLAIN_MESSAGE])
            self._transcript.take(event)
        self._has_worked |= bool(listener.spoken.message)
        if listener.spoken.ended and (self._has_worked or not session):
            self._say_result(listener)

    def _say_how_it_ended(self, listener: Listener, ending: Ending) -> None:
        """Take the last words of a program that ended without saying so. Of one that broke, success does not count."""
        result = self._transcript.result or self._result(listener)
        if result is not None and (result.outcome != "completed" or _exit_code(ending) == 0):
            self._say_result(listener)

    def _keep_last_message(self, listener: Listener) -> None:
        """Tell the lessons of the last message, and keep it for a next run that cannot resume the session."""
        for lesson in lessons_of(listener.spoken.message):
            self._transcript.take(lesson)
        if listener.spoken.message.strip():
            self._transcript.take(MessageEvent(role="assistant", text=listener.spoken.message))

    def _say_result(self, listener: Listener) -> None:
        result = self._result(listener) if self._transcript.result is None else None
        if result is not None:
            self._transcript.take(result)

    def _result(self, listener: Listener) -> ResultEvent | None:
        node = self._context.assignment.workflow
        return result_of(listener.spoken, is_review=node is not None and node.kind == NodeKind.VERIFY)

    def _in_time(self) -> RunnerContext:
        """Return the run with the time that is left of it."""
        left = max(0.001, self._deadline - time.monotonic())
        assignment = self._context.assignment.model_copy(update={"timeout_seconds": left})
        return replace(self._context, assignment=assignment)


def _exit_code(ending: Ending) -> int | None:
    return ending.ended.code if ending.ended is not None else None


def _session(context: RunnerContext) -> str:
    session = context.assignment.session
    return session.id if session is not None else ""


def _forgetful(context: RunnerContext) -> RunnerContext:
    """Return the run of a program whose home is not kept: it resumes no session of its own, and names none."""

    def tell(event: AgentEvent) -> None:
        if not isinstance(event, SessionEvent):
            context.on_event(event)

    return replace(_without_session(context), on_event=tell)


def _without_session(context: RunnerContext) -> RunnerContext:
    """Return the run as it is without the program's own session: the prompt then holds the conversation."""
    session = context.assignment.session
    told = session.model_copy(update={"id": ""}) if session is not None else None
    return replace(context, assignment=context.assignment.model_copy(update={"session": told}))
