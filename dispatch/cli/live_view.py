"""The live view of `up`, `run` and `demo`: a screen on a terminal, a plain line an event in a pipe."""

import sys
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dispatch.cli.live_follow import Line, Picture
from dispatch.cli.live_words import short_agent
from dispatch.cli.output import is_terminal, visible
from dispatch.models.run import Run
from dispatch.models.states import BeadStatus

_LAST_LINES = 12
_ORDER = (
    BeadStatus.OPEN,
    BeadStatus.BLOCKED,
    BeadStatus.IN_PROGRESS,
    BeadStatus.LANDING,
    BeadStatus.CLOSED,
    BeadStatus.DEFERRED,
)


class LiveView:
    """Shows what goes on until the block ends."""

    def __init__(self, console: Console | None = None, *, on_screen: bool | None = None) -> None:
        self._console = console or Console(file=sys.stdout)
        self._on_screen = is_terminal() if on_screen is None else on_screen
        self._lines: deque[Line] = deque(maxlen=_LAST_LINES)
        self._picture = Picture(counts={}, runs=())
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._on_screen:
            self._live = Live(self._screen(), console=self._console, refresh_per_second=4, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def tell(self, text: str) -> None:
        """Say something that stays: above the screen, or as a line of its own."""
        if self._live is not None:
            self._console.print(Text(visible(text)))
        else:
            typer.echo(visible(text))

    def show(self, picture: Picture, lines: Iterable[Line]) -> None:
        """Show the present, and what happened since the last call."""
        self._picture = picture
        for line in lines:
            self._lines.append(line)
            if self._live is None:
                typer.echo(visible(str(line)))
        if self._live is not None:
            self._live.update(self._screen(), refresh=True)

    def _screen(self) -> RenderableType:
        return Group(
            _counts(self._picture.counts),
            _running(self._picture.runs, datetime.now(UTC)),
            *(_event(line) for line in self._lines),
        )


def _counts(counts: Mapping[str, int]) -> RenderableType:
    known = [status for status in _ORDER if counts.get(status)]
    others = sorted(status for status in counts if status not in _ORDER)
    parts = [f"{counts[status]} {status.replace('_', ' ')}" for status in (*known, *others)]
    return Text("Beads: " + (", ".join(parts) or "none"), style="bold")


def _running(runs: Iterable[Run], now: datetime) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("bead", "role", "agent", "attempt"):
        table.add_column(column)
    for column in ("seconds", "limit"):
        table.add_column(column, justify="right")
    for run in runs:
        spent = (now - run.started_at).total_seconds() if run.started_at else None
        table.add_row(
            visible(run.bead_id),
            run.role,
            short_agent(run.agent_name),
            str(run.attempt),
            f"{max(spent, 0):.0f}" if spent is not None else str(run.state),
            f"{run.timeout.total_seconds():.0f}",
        )
    return table if table.row_count else Text("No agent is at work.\n", style="dim")


def _event(line: Line) -> RenderableType:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(line.clock, style="dim")
    text.append(f" {visible(line.text).splitlines()[0]}")
    return text
