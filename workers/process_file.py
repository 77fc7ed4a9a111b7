"""Where the agent of a run runs, in a file beside its log, for the next attempt on this host (PROTOCOL, rule 9).

The database gets it only of a run that lasts, or with the report: one that is over at once would pay a statement for
nothing. No other host needs it, and after a boot it holds nothing that is to be ended: so the file is not synced.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import structlog

from dispatch.models.run import Run
from workers.runners import ProcessIdentity

PROCESS_FILE = "process.json"

log = structlog.get_logger(__name__)


def write_process(run_directory: Path, process: ProcessIdentity, base_sha: str | None) -> None:
    """Keep where the agent runs and the commit it began at, all of it or nothing. Raises OSError."""
    part = run_directory / f"{PROCESS_FILE}.part"
    part.write_text(json.dumps(asdict(process) | {"base_sha": base_sha}), encoding="utf-8")
    part.replace(run_directory / PROCESS_FILE)


def with_process(run: Run, run_directory: Path) -> Run:
    """Return a run with what its file says, when its worker ended before the database heard of it. Raises OSError."""
    if run.host is not None:
        return run
    try:
        facts = json.loads((run_directory / PROCESS_FILE).read_bytes())
        base_sha = run.base_sha or facts.pop("base_sha")
        process = ProcessIdentity(**facts)
    except FileNotFoundError:
        return run
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # as a crash of the host leaves it
        log.warning("the file that says where an agent ran is broken", run_id=str(run.id), cause=repr(error))
        return run
    return replace(
        run,
        base_sha=base_sha,
        host=process.host,
        boot_id=process.boot_id,
        process_group=process.process_group,
        process_started=process.started,
    )
