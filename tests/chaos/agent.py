"""An agent that is a function: naps as long as its bead's title says, and writes the file that it names, if any."""

import time
from pathlib import Path

from dispatch.models.messages import Assignment
from dispatch.models.outcome import Completed


def work(assignment: Assignment) -> Completed:
    """Do what a bead of the chaos run asks for."""
    facts = dict(word.split("=") for word in assignment.bead.title.split())
    time.sleep(float(facts["nap"]))
    if "file" not in facts:
        return Completed(nothing_to_do=True)
    (Path(assignment.workspace) / facts["file"]).write_text(f"{facts['file']}\n")
    return Completed(summary="It wrote a file.")
