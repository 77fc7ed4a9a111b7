"""From how an agent ended to the outcome of its run."""

import errno
import signal

from dispatch.models.messages import ResultEvent
from dispatch.models.outcome import Cancelled, Completed, Failed, Looped, Lost, NeedsInput, Outcome, TimedOut
from dispatch.models.states import StopReason
from workers.runners.asking import asks, question_of
from workers.runners.base import RunnerContext
from workers.runners.link import Ended, Refused
from workers.runners.watch import Ending


def outcome_before_start(context: RunnerContext) -> Outcome | None:
    """Return the outcome of a run that was ended before its agent started, or None when it shall start."""
    if context.control.abandoned:
        return Lost(summary="The run's lease was lost before its agent started.")
    if context.control.stop_reason is not None:
        return _stopped(context.control.stop_reason, context.assignment.timeout_seconds)
    return None


def outcome_of_program(
    ending: Ending, context: RunnerContext, result: ResultEvent | None, output: str, last_words: str = ""
) -> Outcome:
    """Return the outcome of an agent program: who stopped it, else its result event, else its exit.

    `output` is the end of what it printed, `last_words` what it said last where that is not the same.
    """
    interrupted = outcome_of_interruption(ending, context)
    if interrupted is not None:
        return interrupted
    if ending.silent:
        return outcome_of_silence(last_words or output, output)
    exit_failure = None if ending.outstayed else outcome_of_exit(ending.ended, output)
    if result is None:
        return exit_failure or Completed()
    if result.outcome == "completed" and exit_failure is not None:
        summary = f"The agent said that it completed its work, then ended with: {exit_failure.cause}."
        return exit_failure.model_copy(update={"summary": summary})
    return _outcome_of_word(result, output)


def outcome_of_interruption(ending: Ending, context: RunnerContext) -> Outcome | None:
    """Return the outcome where the agent's own end does not count: it was stopped, cut off, or never ran."""
    if context.control.abandoned:
        return Lost(summary="The run's lease was lost; another attempt may be running.")
    if ending.stopped_for is not None:
        return _stopped(ending.stopped_for, context.assignment.timeout_seconds)
    if ending.refused is not None:
        return _refused(ending.refused)
    if ending.ended is not None and ending.ended.cause:
        return Lost(summary=f"The guard ended the agent ({ending.ended.cause} for {context.pulse_limit:g} s).")
    return None


def outcome_of_silence(last_words: str, output: str) -> Outcome:
    """Return what it means that a program said nothing any more: it waits for an answer, or hangs."""
    if asks(last_words):
        return NeedsInput(
            question=question_of(last_words), summary="The agent program waited for an answer, and was stopped."
        )
    return Failed(
        cause="silent",
        summary="The agent program printed nothing for so long that it was taken for hanging. Where it works in"
        " silence for longer, raise silence_limit of its runner.",
        output=output,
    )


def outcome_of_exit(ended: Ended | None, output: str) -> Failed | None:
    """Return what the end of the process says of a run; None for exit 0. No `ended` means that the guard was killed."""
    if ended is None:
        return Failed(cause="guard lost", summary="The process that guarded the agent was killed.", output=output)
    if ended.code == 0:
        return None
    if ended.code is not None:
        return Failed(cause=f"exit {ended.code}", output=output)
    if ended.signal is not None:
        return Failed(cause=f"signal {_signal_name(ended.signal)}", output=output)
    return Failed(cause="does not die", summary="The agent survives SIGKILL: it hangs in the kernel.", output=output)


def _outcome_of_word(result: ResultEvent, output: str) -> Outcome:
    """Return the outcome that an agent's result event asks for."""
    match result.outcome:
        case "completed":
            return Completed(summary=result.summary, nothing_to_do=result.nothing_to_do, verdict=result.verdict)
        case "needs_input":
            return NeedsInput(summary=result.summary, question=result.question or result.summary)
        case "failed":
            return Failed(cause=result.cause or "failed", summary=result.summary, output=output)


def _stopped(reason: StopReason, limit_seconds: float) -> Outcome:
    match reason:
        case StopReason.DEADLINE:
            return TimedOut(limit_seconds=limit_seconds)
        case StopReason.LOOP:
            return Looped(reason="the agent repeated itself without progress")
        case StopReason.HANDBACK | StopReason.CANCEL | StopReason.STOP | StopReason.CLOSED_BY_HAND | StopReason.BUDGET:
            return Cancelled(cause=reason)


def _refused(refused: Refused) -> Failed:
    if refused.step == "import":
        return Failed(cause="not found", summary=refused.text, output=refused.output)
    if refused.step == "workspace":
        return Failed(cause="no workspace", summary=f"The agent's workspace cannot be entered: {refused.text}.")
    if refused.errno == errno.ENOENT:
        return Failed(
            cause="not found",
            summary="The agent program is gone, or the interpreter that its first line names is not installed here.",
        )
    return Failed(
        cause="not executable",
        summary=f"The agent program cannot be executed: {refused.text}. Make it executable (chmod +x), and begin a"
        " script with a #! line.",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)
