"""What a worker tells the client of a container, in the environment of its process."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dispatch.workspaces.containers import Container

ORDER_VARIABLE = "DISPATCH_CONTAINER"


@dataclass(frozen=True, slots=True)
class Order:
    """Run a program with exactly `env` in a container; `trouble` is the file where trouble with that is told."""

    container: Container
    env: Mapping[str, str]
    trouble: Path

    def written(self) -> str:
        return json.dumps({"container": asdict(self.container), "env": dict(self.env), "trouble": str(self.trouble)})

    @classmethod
    def read(cls, text: str) -> "Order":
        facts = json.loads(text)
        return cls(Container(**facts["container"]), facts["env"], Path(facts["trouble"]))
