"""Descriptions of work for faults: it lasts until the test says so, whatever goes on meanwhile."""

from pathlib import Path


def quick_work(name: str) -> str:
    """Describe work that writes a file of that name."""
    return f"```file {name}.txt\n{name}\n```\n"


def gated_work(name: str, gate: Path) -> str:
    """Describe work that waits until the file `gate` exists, then writes a file of that name."""
    return f"```sh\nuntil [ -e '{gate}' ]; do sleep 0.05; done\n```\n{quick_work(name)}"
