"""What a human could supply, by what was never tried. Source: SPEC, "Loops"."""

from collections.abc import Iterator

from dispatch.loops.history import BeadHistory

_MAX_PLACE = 80
_NOTHING = (
    "It did nothing that was recorded: see whether the agent starts and reports its actions, and say where to begin."
)
_NO_READS = "It never read a file: name the files or directories that matter."
_ONE_PLACE = "It only ever looked at {place}: name the other files that matter, or say that there are none."
_NO_EDITS = "It read but changed nothing: say which change is wanted, or whether one is needed at all."
_NO_TESTS = "It changed files but never ran a test: name the test command, or how the result can be checked."
_NO_COMMANDS = "It never ran a command: say how the project is built and run, and what may be run."
_ALL_TRIED = (
    "It read, changed, ran and tested: say why that does not lead further, give an example of the result that is"
    " wanted, or split the bead."
)


def suggest_next_steps(history: BeadHistory) -> list[str]:
    """Return at least one sentence for a human: what was never tried, and what to supply so that it can be."""
    if not history.recent:
        return [_NOTHING]
    return list(_never_tried(history)) or [_ALL_TRIED]


def _never_tried(history: BeadHistory) -> Iterator[str]:
    done = history.metrics
    if not done.files_read:
        yield _NO_READS
    elif len(history.places) == 1:
        yield _ONE_PLACE.format(place=" ".join(history.places[0].split())[:_MAX_PLACE])
    if done.files_read and not done.files_modified:
        yield _NO_EDITS
    if done.files_modified and not done.tests_run:
        yield _NO_TESTS
    if not done.commands_executed:
        yield _NO_COMMANDS
