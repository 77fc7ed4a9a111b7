"""What a worker tells the client of a container, in the environment of its process."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dispatch.workspaces.containers import Container

ORDER_VARIABLE = "DISPATCH_CONTAINER"


@dataclass(frozen=True, slots=True)
class Order:
    """Run a program with exactly `env` in a container; `trouble` is the file where trouble with that is told.

    The program reads `stdin`, a file inside; without it nothing.
    """

    container: Container
    env: Mapping[str, str]
    trouble: Path
    stdin: str = ""

    def written(self) -> str:
        facts = {"env": dict(self.env), "trouble": str(self.trouble), "stdin": self.stdin}
        return json.dumps({"container": asdict(self.container), **facts})

    @classmethod
    def read(cls, text: str) -> "Order":
        facts = json.loads(text)
        return cls(Container(**facts["container"]), facts["env"], Path(facts["trouble"]), facts["stdin"])
