"""What a worker tells a process that is to hold a container, in the environment of that process."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dispatch.errors import ContainerError
from dispatch.workspaces.containers import Container
from workers.runners.guard import PROCESS_MARK

ORDER_VARIABLE = "DISPATCH_CONTAINER"
TROUBLE = 125
"""The exit code of such a process for trouble with the container."""


@dataclass(frozen=True, slots=True)
class Order:
    """Run a program with exactly `env` in a container; `trouble` is the file where trouble with that is told.

    The program reads `stdin`, a file inside; without it nothing.
    """

    container: Container
    env: Mapping[str, str]
    trouble: Path
    stdin: str = ""

    def environment(self) -> dict[str, str]:
        """Return what programs inside get: also the mark by which processes of this attempt are known."""
        marks = {name: os.environ[name] for name in (PROCESS_MARK,) if name in os.environ}
        return {**self.env, **marks}

    def tell(self, trouble: ContainerError) -> None:
        """Write down what went wrong with the container, for the worker that waits for this process. Raises OSError."""
        self.trouble.write_text(json.dumps({"cause": trouble.cause, "summary": str(trouble)}), encoding="utf-8")

    def written(self) -> str:
        facts = {"env": dict(self.env), "trouble": str(self.trouble), "stdin": self.stdin}
        return json.dumps({"container": asdict(self.container), **facts})

    @classmethod
    def read(cls, text: str) -> "Order":
        facts = json.loads(text)
        return cls(Container(**facts["container"]), facts["env"], Path(facts["trouble"]), facts["stdin"])
