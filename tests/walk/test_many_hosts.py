"""Two hosts that share servers and a remote, and no directory: the agents on one, everything else on the other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROLE = "backend-engineer"
pytestmark = pytest.mark.xdist_group("walk-hosts")


def test_a_bead_and_its_dependent_go_all_the_way_by_the_remote(
    deploy: Callable[..., Any], walk: Any, tmp_path: Path
) -> None:
    remote = tmp_path / "remote.git"
    deployment = deploy(extra=f'url = "{remote}"\nuse_clone = true\nlanding = "merge"\n')
    deployment.git("clone", "--quiet", "--bare", str(deployment.repository), str(remote))
    here, there = deployment.directory / "home", deployment.directory / "other-home"
    deployment.start_services()
    deployment.environment["DISPATCH_HOME"] = str(there)
    deployment.start_worker("agents", f"role.{ROLE}", concurrency=1)
    deployment.await_workers("agents", "services")
    before = deployment.git("rev-parse", "main")

    first, last = deployment.import_beads(*walk[:2])
    deployment.await_status(last, "closed")

    assert deployment.git(f"--git-dir={remote}", "log", "--format=%s", "main") == "Greet twice\nGreet\nBegin"
    assert deployment.git("rev-parse", "main") == before, "nobody worked where the path is"
    (run,) = deployment.runs(last)
    assert run.base_sha == deployment.bead(first).head_sha
    assert [list(home.glob("clones/*.git")) != [] for home in (here, there)] == [True, True]
    assert [list((home / "runs").glob("*/")) != [] for home in (here, there)] == [False, True]
