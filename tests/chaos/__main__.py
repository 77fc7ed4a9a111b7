"""The long chaos run: `python -m tests.chaos [--seed N] [--beads N] [--kills N]`. Its seed repeats it."""

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.plan import Plan
from tests.chaos.run import run

_SECONDS_A_BEAD, _SECONDS_A_KILL, _SECONDS_BESIDE = 4, 20, 120
"""How long a bead and a kill may take at most on a busy machine, and everything around them."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--beads", type=int, default=300)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--nap", type=float, default=5.0, help="seconds that a bead may take")
    parser.add_argument("--gap", type=float, default=6.0, help="seconds between two kills at most")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    say(f"seed {arguments.seed}")
    plan = Plan.drawn(arguments.seed, beads=arguments.beads, kills=arguments.kills, longest_nap=arguments.nap)
    patience = _SECONDS_BESIDE + _SECONDS_A_BEAD * arguments.beads + _SECONDS_A_KILL * arguments.kills
    with tempfile.TemporaryDirectory(prefix="dispatch-chaos-") as directory:
        result = run(plan, Path(directory), patience=patience, gap=arguments.gap, say=say)
    if result.problems:
        say(result.story())
    say(result.figures())
    return 1 if result.problems else 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
