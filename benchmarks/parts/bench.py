"""One run of the benchmarks: how large it is, and the deployment that those share which need one."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.parts.deployment import Deployment, deployed
from benchmarks.parts.place import Place, embedded_place


class Bench:
    """A run. `short`: everything in its smallest form, to see that it works; its figures mean nothing."""

    def __init__(self, *, short: bool, agents: int) -> None:
        self.short = short
        self.agents = agents
        self._stack = ExitStack()
        self._place: Place | None = None
        self._deployment: Deployment | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def directory(self) -> Path:
        """Return an empty directory that is removed at the end of the run."""
        path = Path(tempfile.mkdtemp(prefix="dispatch-bench-"))
        self._stack.callback(shutil.rmtree, path)
        return path

    def place(self) -> Place:
        """Return embedded servers apart from the deployment's, for databases; started when first asked for."""
        if self._place is None:
            self._place = self._stack.enter_context(embedded_place(self.directory() / "home"))
        return self._place

    def deployment(self) -> Deployment:
        """Return the deployment of this run, started when first asked for."""
        if self._deployment is None:
            self._deployment = self._stack.enter_context(deployed(self.directory(), agents=self.agents))
        return self._deployment
