"""Hosts that share nothing but a remote: cached clones, fetches, pushes, landings there."""

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dispatch.errors import NotFoundError, UnavailableError
from dispatch.models.identity import BeadId, ProjectId
from dispatch.models.landing import AlreadyLanded, Conflict, Landed, LandingResult, NotNow
from dispatch.workspaces import (
    OpenRepository,
    Repository,
    Tests,
    Upstream,
    WorktreeManager,
    commits_of_work,
    find_repository,
    land,
    landing_of,
)
from dispatch.workspaces.exchange import Exchange

SHOP, BEAD = ProjectId("shop"), BeadId("shop-1")


def landed_by(host, sha: str, *command: str) -> LandingResult:
    return land(host.repository(), sha, root=host.root, tests=Tests(command, 30), branch="bead/shop-1")


def exchange_of(host) -> Exchange:
    repository = host.repository()
    exchange = Exchange.of(repository, OpenRepository.at(repository.path))
    assert exchange is not None
    return exchange


class TestWork:
    def test_goes_from_host_to_host_and_lands_on_the_remote(self, host, remote, new_run):
        """One host works, a second one goes on, a third one follows the branch and lands."""
        one, two, three = host("one"), host("two"), host("three")
        first, second = new_run(), replace(new_run(), attempt=2)
        begun = one.work(first, {"a": "1"})
        assert remote.refs("refs/dispatch") == [f"refs/dispatch/runs/{first.id}"]

        done = two.work(replace(second, base_sha=begun), {"b": "2"})
        assert two.git("rev-parse", f"{done}^") == begun
        assert commits_of_work(two.repository(), done).count == 2

        assert three.worktrees.set_branch(SHOP, BEAD, done)
        assert remote.tip("bead/shop-1") == three.git("rev-parse", "bead/shop-1") == done
        meanwhile = remote.commit({"other": "x"})
        result = landed_by(three, done, "test", "-e", "other")
        assert result == Landed(remote.tip(), meanwhile)
        assert remote.git("log", "--format=%s", f"{meanwhile}..main").split("\n") == ["Add b", "Add a"]
        assert not list(three.root.iterdir())

    def test_a_dependent_starts_from_what_landed_a_moment_ago(self, host, remote, new_run):
        """Fetches are shared for some seconds, but not with a run that needs what came after."""
        one, two = host("one"), host("two")
        assert two.worktrees.create(new_run()).base_sha == remote.tip()
        work = one.work(new_run(), {"a": "1"})
        assert isinstance(landed_by(one, work), Landed)

        assert two.worktrees.create(new_run()).base_sha != remote.tip(), "it was fetched within three seconds"
        assert two.worktrees.create(new_run(), needs=[remote.tip()]).base_sha == remote.tip()
        two.worktrees.collect(lambda _: False)

    def test_refs_of_runs_go_from_the_remote_when_they_are_collected(self, host, remote, new_run):
        one, run = host("one"), new_run()
        work = one.work(run, {"a": "1"})
        assert one.worktrees.set_branch(SHOP, BEAD, work)

        assert one.worktrees.collect(lambda _: False) == [run.id]

        assert remote.refs("refs/dispatch") == []
        assert remote.tip("bead/shop-1") == work
        assert one.git("for-each-ref", f"refs/dispatch/runs/{run.id}") == ""

    def test_the_branch_of_a_pull_request_is_not_moved_back_by_who_follows(self, host, remote, new_run):
        one = host("one")
        work = one.work(new_run(), {"a": "1"})
        rebased = remote.theirs.commit({"a": "1"}, "The same on another commit")
        remote.theirs.git("push", "--quiet", "origin", f"{rebased}:refs/heads/bead/shop-1")

        assert not one.worktrees.set_branch(SHOP, BEAD, work)

        assert remote.tip("bead/shop-1") == rebased
        assert one.git("rev-parse", "bead/shop-1") == work

    def test_an_agent_finds_the_target_branch_by_its_name(self, host, remote, new_run):
        one, run = host("one"), new_run()
        made = one.worktrees.create(run)
        told = subprocess.run(["git", "rev-parse", "main"], cwd=made.path, check=True, capture_output=True, text=True)
        assert told.stdout.strip() == remote.tip()
        shown = subprocess.run(["git", "config", "--list"], cwd=made.path, check=True, capture_output=True, text=True)
        assert "remote.dispatch" not in shown.stdout, "an agent is not given the address to push to"
        one.worktrees.remove(run)


class TestRemoteAway:
    def test_a_clone_cannot_be_made_without_it(self, host, new_run, tmp_path):
        one = host("one")
        away = type(one)(tmp_path / "other", "http://ann:hunter2@127.0.0.1:1/shop.git")
        with pytest.raises(UnavailableError) as told:
            away.worktrees.create(new_run())
        assert "hunter2" not in str(told.value)
        assert not list((away.home / "clones").glob("*.git")), "a clone that is not whole is none"

    def test_a_run_starts_from_what_is_here_and_its_push_fails_with_a_reason(self, host, remote, new_run, monkeypatch):
        one, run = host("one"), new_run()
        one.worktrees.remove(replace(run, base_sha=one.worktrees.create(run).base_sha))
        tip = remote.tip()
        remote.path.rename(remote.path.with_suffix(".away"))
        monkeypatch.setattr("dispatch.workspaces.worktrees.FRESH", 0)

        later = new_run()
        assert one.worktrees.create(later).base_sha == tip
        sha = one.worktrees.commit_all(later, "Nothing")
        with pytest.raises(UnavailableError, match="The remote dispatch at"):
            one.worktrees.share(later, sha)
        assert one.git("rev-parse", f"refs/dispatch/runs/{later.id}") == sha

    def test_a_remote_that_hangs_is_waited_for_by_one_of_many(self, shop, root, new_run, tmp_path, at_once):
        """Work goes on from the branch that is here: a laptop without a network is no reason to stop."""
        hangs = tmp_path / "hangs.sh"
        hangs.write_text(f"#!/bin/sh\necho x >> {tmp_path}/asked\nexec sleep 60\n")
        hangs.chmod(0o755)
        shop.git("remote", "add", "origin", "ssh://nowhere/shop.git")
        shop.git("config", "core.sshCommand", str(hangs))
        worktrees = WorktreeManager(root, lambda _: Repository(shop.path, "main", Upstream("origin")))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dispatch.workspaces.worktrees.START_PATIENCE", 0.3)
            made = at_once([lambda: worktrees.create(new_run())] * 8)

        assert [tree.base_sha for tree in made] == [shop.tip()] * 8
        assert (tmp_path / "asked").read_text().count("x") == 1

    def test_how_a_remote_is_reached_is_the_users_to_say(self, host, tmp_path, new_run, monkeypatch):
        ssh = tmp_path / "ssh.sh"
        ssh.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit 1\n')
        ssh.chmod(0o755)
        monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
        away = type(host("one"))(tmp_path / "other", "ssh://git@forge.example/shop.git")
        with pytest.raises(UnavailableError):
            away.worktrees.create(new_run())
        assert "git@forge.example" in (tmp_path / "asked").read_text()

    def test_a_commit_that_no_host_pushed_is_told(self, host, new_run):
        with pytest.raises(NotFoundError, match="Was it pushed by the host that made it"):
            host("one").worktrees.create(new_run(base_sha="0" * 40))

    def test_a_server_that_gives_out_no_bare_commits_gives_out_refs(self, host, remote, new_run):
        one, two = host("one"), host("two")
        run = new_run()
        place = one.worktrees.create(run).path
        begun = remote.theirs.commit({"a": "1"}, place=place)
        (place / "b").write_text("2")
        one.worktrees.share(run, one.worktrees.commit_all(run, "On top of the agent's own commit"))
        exchange = exchange_of(two)
        env = {**exchange.git.env, "GIT_CONFIG_COUNT": "2"}
        env |= {"GIT_CONFIG_KEY_1": "protocol.version", "GIT_CONFIG_VALUE_1": "0"}
        old = replace(exchange, git=replace(exchange.git, env=env))
        assert old.git.attempt("fetch", "--", "dispatch", begun).code != 0, "the server does not give it out by itself"

        assert old.bring(begun) == begun


class TestFetching:
    def test_many_at_once_share_one_fetch(self, host, remote, at_once):
        one = host("one")
        exchange_of(one).refresh()
        tip = remote.commit({"x": "1"})
        stamp = one.repository().path / "dispatch-fetched"
        seen = []

        def refresh() -> None:
            exchange_of(one).refresh()
            seen.append(stamp.stat().st_mtime_ns)

        assert at_once([refresh] * 12) == [None] * 12

        assert one.git("rev-parse", "refs/dispatch/target/main") == tip
        assert len(set(seen)) <= 4, "who waits takes what another fetched"

    def test_what_is_fresh_enough_is_not_fetched_again(self, host, remote):
        one = host("one")
        before = remote.tip()
        exchange_of(one).refresh()
        remote.commit({"x": "1"})

        exchange_of(one).refresh(within=3600)
        assert one.git("rev-parse", "refs/dispatch/target/main") == before
        exchange_of(one).refresh()
        assert one.git("rev-parse", "refs/dispatch/target/main") == remote.tip()

    def test_a_clock_that_was_set_back_only_costs_a_fetch(self, host, remote):
        one = host("one")
        ahead = time.time() + 3600
        os.utime(one.repository().path / "dispatch-fetched", (ahead, ahead))
        tip = remote.commit({"x": "1"})
        exchange_of(one).refresh(within=3)
        assert one.git("rev-parse", "refs/dispatch/target/main") == tip


class TestLandingOnTheRemote:
    def test_it_moves_at_every_try(self, host, remote, new_run):
        one = host("one")
        work = one.work(new_run(), {"a": "1"})
        push = f"cd {remote.theirs.path} && git pull -q --rebase origin main && git commit -q --allow-empty -m moved"

        result = landed_by(one, work, "sh", "-c", f"{push} && git push -q origin main")

        assert isinstance(result, NotNow)
        assert "moved 3 times" in result.reason
        assert remote.git("log", "--format=%s", "main").split("\n") == ["moved"] * 3 + ["first"]

    def test_a_conflict_says_where_the_target_is(self, host, remote, new_run):
        one = host("one")
        work = one.work(new_run(), {"readme": "mine\n"})
        theirs = remote.commit({"readme": "theirs\n"})

        result = landed_by(one, work)

        assert isinstance(result, Conflict)
        assert result.output.startswith(
            f"main is at {theirs}, which `git rebase {theirs}` finds.\nConflicts in readme."
        )
        assert remote.tip() == theirs

    def test_a_remote_that_refuses_is_told_in_its_words(self, host, remote, new_run):
        one = host("one")
        work = one.work(new_run(), {"a": "1"})
        hook = remote.path / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ] || { echo "main is protected"; exit 1; }\n')
        hook.chmod(0o755)
        before = remote.tip()

        result = landed_by(one, work)

        assert isinstance(result, NotNow)
        assert "The remote does not take main" in result.reason
        assert remote.tip() == before

    def test_what_was_pushed_and_not_written_down_is_found_there(self, host, remote, new_run):
        one, two = host("one"), host("two")
        work = one.work(new_run(), {"a": "1"})
        remote.commit({"other": "x"})
        assert isinstance(landed_by(one, work), Landed)

        assert landed_by(one, work) == AlreadyLanded(remote.tip())
        assert landed_by(two, work) == AlreadyLanded(remote.tip())


class TestWhichLanding:
    def test_left_open_it_is_a_pull_request_where_there_is_a_remote(self, host, shop, remote):
        one = host("one")
        assert landing_of(one.project, one.settings) == "pr"
        local = replace(one.project, path=shop.path)
        plain = one.settings.model_copy(update={"projects": {}})
        assert landing_of(local, plain) == "merge"
        shop.git("remote", "add", "origin", str(remote.path))
        assert landing_of(local, plain) == "pr"
        for chosen in ("merge", "none"):
            assert landing_of(one.project, host("two", landing=chosen).settings) == chosen

    def test_a_clone_is_made_once_whatever_a_dead_maker_left(self, host, remote, at_once):
        one = host("one")
        half = one.home / "clones" / "shop.making" / "objects"
        half.mkdir(parents=True)

        found = at_once([one.repository] * 6)

        assert found == [one.repository()] * 6
        assert one.git("rev-parse", "main") == remote.tip()
        assert sorted(path.name for path in (one.home / "clones").iterdir()) == ["shop.git", "shop.lock"]

    def test_a_clone_has_a_name_that_is_safe_and_no_password(self, host, remote, tmp_path):
        one = host("one")
        odd = replace(one.project, id=ProjectId("../Größe/.."))
        settings = one.settings.model_copy(update={"projects": {odd.id: one.settings.projects["shop"]}})
        found = find_repository(odd, settings)
        assert found.path.parent == one.home / "clones"
        assert "=" in found.path.name
        assert Path(found.path / "config").read_text().count(str(remote.path)) == 1
        assert find_repository(odd, settings) == found, "it is made once"
