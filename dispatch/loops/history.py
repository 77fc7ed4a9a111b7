"""What a bead's agents did, as far as loops are concerned. Bounded: it can be kept for every bead, and made again."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from dispatch.loops.kinds import ActionKind, kinds_of
from dispatch.loops.repetition import Cycle, KnownPairs, Repetition, pair_of
from dispatch.models.run import ActionRecord

HOT_ACTIONS = 50
"""Actions that are kept as they are; of older ones only what counts is."""
_SHA_NAMES = ("sha", "commit_sha", "commit")
_FILE_KINDS = frozenset({ActionKind.READ, ActionKind.EDIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressMetrics:
    """How often files were read and modified, tests run and commands executed for a bead, and when it last progressed.

    A shell command counts as a command and, where its words tell, also as reading, modifying or testing.
    """

    files_read: int = 0
    files_modified: int = 0
    tests_run: int = 0
    commands_executed: int = 0
    last_progress: datetime | None = None

    def __str__(self) -> str:
        at = f"{self.last_progress.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if self.last_progress else "never"
        return (
            f"Files read: {self.files_read}, files modified: {self.files_modified}, tests run: {self.tests_run},"
            f" commands executed: {self.commands_executed}, last progress: {at}."
        )


class BeadHistory:
    """The actions of a bead in the order of their adding, whatever their timestamps; for one thread at a time.

    Each action costs the same, and takes no more room once 10,000 different ones are known: the last 50 are kept as
    they are, of older ones only counts, and digests of what was had.
    """

    def __init__(self) -> None:
        self.commits: tuple[str, str, int] = ("", "", 0)
        """The first and the last commit of the bead's agents, and how many there are."""
        self.quiet_actions = 0
        """Actions since the last progress, or since the run began."""
        self.quiet_since: datetime | None = None
        """The moment of the last progress, or that at which the run began after it."""
        self.places: tuple[str, ...] = ()
        """The files, or commands, that files were read or changed by: the first two of them."""
        self._recent: deque[ActionRecord] = deque(maxlen=HOT_ACTIONS)
        self._last_progress: datetime | None = None
        self._counts: Counter[ActionKind] = Counter()
        self._known = KnownPairs()
        self._repetition = Repetition()

    @classmethod
    def of(cls, actions: Iterable[ActionRecord]) -> Self:
        """Make the history again from stored actions, oldest first."""
        history = cls()
        for action in actions:
            history.add(action)
        return history

    def add(self, action: ActionRecord) -> bool:
        """Take the next action; True when it is progress: one with a result that this bead did not have before."""
        self._recent.append(action)
        self._count(action)
        pair = pair_of(action)
        self._repetition.add(pair)
        if not self._known.add(pair):
            self.quiet_actions += 1
            return False
        self._last_progress = self.quiet_since = utc(action.timestamp)
        self.quiet_actions = 0
        return True

    def begin_run(self, at: datetime) -> None:
        """Begin a run: what was had stays known, but repeating and standing still are counted from here.

        The time that a bead waits between two runs is not its agent's, nor is a test that ends one run and begins the
        next a repetition.
        """
        self._repetition = Repetition()
        self.quiet_actions = 0
        self.quiet_since = utc(at)

    def add_commit(self, sha: str) -> None:
        """Note a commit of the bead's agents; the same one twice in a row is one."""
        first, last, count = self.commits
        if sha and sha != last:
            self.commits = (first or sha, sha, count + 1)

    def cycle(self, threshold: int) -> Cycle | None:
        """Return the shortest cycle of actions that came at least `threshold` times, each with the same result."""
        return self._repetition.cycle(threshold)

    @property
    def recent(self) -> tuple[ActionRecord, ...]:
        """The last 50 actions, oldest first."""
        return tuple(self._recent)

    @property
    def last_moment(self) -> datetime | None:
        """The timestamp of the last action."""
        return utc(self._recent[-1].timestamp) if self._recent else None

    @property
    def metrics(self) -> ProgressMetrics:
        return ProgressMetrics(
            files_read=self._counts[ActionKind.READ],
            files_modified=self._counts[ActionKind.EDIT],
            tests_run=self._counts[ActionKind.TEST],
            commands_executed=self._counts[ActionKind.COMMAND],
            last_progress=self._last_progress,
        )

    def _count(self, action: ActionRecord) -> None:
        kinds = kinds_of(action)
        self._counts.update(kinds)
        if kinds & _FILE_KINDS and len(self.places) < 2 and (place := target(action)) not in self.places:
            self.places = (*self.places, place)
        if ActionKind.COMMIT in kinds:
            shas = (action.action_data[name] for name in _SHA_NAMES if name in action.action_data)
            self.add_commit(str(next(shas, "")))


def target(action: ActionRecord) -> str:
    """Return what an action was done to or with: its file, its command, or the JSON of its data."""
    return action.progress_key.removeprefix(f"{action.action_type}:")


def utc(moment: datetime) -> datetime:
    """Return the moment with a time zone: UTC where it has none, so that moments can always be compared."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
