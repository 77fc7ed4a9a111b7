"""`python -m benchmarks.persona_hints [FILE ...]`: print whom the beads of tracker files ask for.

Without files: the samples in `../shared/data`. Each hit that is no wish for somebody is a fault of ours.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from dispatch.interop import BeadEntry, read_entries
from dispatch.models.bead import Bead
from dispatch.routing import Hint, HintSource, PersonaMatcher

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "data"
_AROUND = 60


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.persona_hints", description=__doc__)
    default = [SAMPLES / f"{name}.jsonl" for name in ("beads", "loom", "nanolang")]
    parser.add_argument("files", nargs="*", type=Path, default=default)
    matcher = PersonaMatcher()
    for file in parser.parse_args(arguments).files:
        beads = [entry.bead for entry in read_entries(file) if isinstance(entry, BeadEntry)]
        began = time.process_time()
        hints = [matcher.hint(bead) for bead in beads]
        took = (time.process_time() - began) / max(1, len(beads))
        found = [(bead, hint) for bead, hint in zip(beads, hints, strict=True) if hint is not None]
        print(f"{file.name}: {len(beads):,} beads, {len(found)} ask for somebody, {took * 1e6:.0f} us each")
        for bead, hint in found:
            print(f"  {bead.id}  {hint.name}{'' if hint.known else ' (unknown)'}  {hint.source}: {_place(bead, hint)}")


def _place(bead: Bead, hint: Hint) -> str:
    """Return the words around a hint."""
    if hint.source is not HintSource.DESCRIPTION:
        return repr(bead.title)
    at = bead.description.find(hint.written)
    return repr(bead.description[max(0, at - _AROUND) : at + _AROUND])


if __name__ == "__main__":
    main()
