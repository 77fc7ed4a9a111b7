"""Landing by a pull request: what is pushed, how it is known again, and how a merge of any kind is noticed."""

from dataclasses import replace

import pytest

from dispatch.errors import ConfigurationError
from dispatch.models.landing import (
    AlreadyLanded,
    Conflict,
    Declined,
    LandingResult,
    NotNow,
    Proposed,
    PullRequest,
    RedTests,
)
from dispatch.workspaces import Repository, Tests, Upstream, propose

BRANCH = "bead/shop-1"


class Killed(Exception):
    """Ends a landing where it stands, as a kill does."""


class Lander:
    """A lander of one bead, and what it has noted of its pull request."""

    def __init__(self, shop, root) -> None:
        self.shop, self.root = shop, root
        self.repository = Repository(shop.path, "main", Upstream("origin"))
        self.known: PullRequest | None = None
        self.dies_after = 99

    def note(self, pull_request: PullRequest) -> None:
        self.known = pull_request
        self.dies_after -= 1
        if self.dies_after < 0:
            raise Killed

    def look(self, sha: str, *command: str, look_every: float = 0.0) -> LandingResult:
        return propose(
            self.repository,
            sha,
            branch=BRANCH,
            known=self.known,
            root=self.root,
            tests=Tests(command, 30),
            note=self.note,
            look_every=look_every,
        )


@pytest.fixture
def lander(shop, root, remote) -> Lander:
    shop.git("remote", "add", "origin", str(remote.path))
    return Lander(shop, root)


@pytest.fixture
def work(shop) -> str:
    """Two commits on the bead's branch that main has not."""
    shop.git("checkout", "--quiet", "-b", BRANCH)
    shop.commit({"feature.py": "feature\n"}, "Add the feature")
    sha = shop.commit({"feature.py": "feature\nmore\n", "more.py": "more\n"}, "Add more")
    shop.git("checkout", "--quiet", "main")
    return sha


def merged_by(how: str, remote) -> None:
    """Merge the branch of the pull request as a forge does."""
    theirs = remote.theirs
    theirs.git("fetch", "--quiet", "--prune", "origin")
    theirs.git("checkout", "--quiet", "-B", "main", "origin/main")
    match how:
        case "merge":
            theirs.git("merge", "--quiet", "--no-ff", "-m", "Merge it", f"origin/{BRANCH}")
        case "squash":
            theirs.git("merge", "--quiet", "--squash", f"origin/{BRANCH}")
            theirs.git("commit", "--quiet", "-m", "All of it (#1)")
        case "rebase":
            theirs.git("cherry-pick", f"origin/main..origin/{BRANCH}")
    theirs.git("push", "--quiet", "origin", "main")


class TestProposing:
    def test_the_work_is_rebased_tested_and_pushed_and_the_users_branches_stay(self, lander, shop, remote, work):
        tip, local = remote.commit({"other": "x"}), shop.tip()

        result = lander.look(work, "test", "-e", "other")

        assert isinstance(result, Proposed)
        pushed = remote.tip(BRANCH)
        assert result.pull_request == lander.known
        assert lander.known == PullRequest(
            branch=BRANCH,
            base="main",
            head_sha=work,
            pushed_sha=pushed,
            tip_sha=tip,
            is_pushed=True,
            seen_sha=pushed,
        )
        assert remote.git("log", "--format=%s", f"main..{BRANCH}").split("\n") == ["Add more", "Add the feature"]
        assert (shop.tip(), shop.tip(BRANCH), remote.tip()) == (local, work, tip)
        assert list(lander.root.iterdir()) == []

    def test_conflicts_and_red_tests_push_nothing(self, lander, shop, remote, work):
        assert isinstance(lander.look(work, "false"), RedTests)
        remote.commit({"feature.py": "other\n"})
        assert isinstance(lander.look(work), Conflict)
        assert remote.tip(BRANCH) == ""
        assert lander.known is None

    def test_new_work_takes_the_place_of_what_was_pushed(self, lander, shop, remote, work):
        remote.commit({"other": "x"})
        lander.look(work)
        lander.note(replace(lander.known, url="https://forge.example/1"))
        shop.git("checkout", "--quiet", BRANCH)
        newer = shop.commit({"even-more.py": "1"}, "Even more")

        result = lander.look(newer)

        assert isinstance(result, Proposed)
        assert remote.git("log", "--format=%s", f"main..{BRANCH}").split("\n")[0] == "Even more"
        assert result.pull_request.url == "https://forge.example/1", "it is the same pull request"

    def test_what_others_pushed_to_the_branch_is_not_overwritten(self, lander, shop, remote, work):
        lander.look(work)
        theirs = remote.theirs
        theirs.git("fetch", "--quiet", "origin")
        theirs.git("checkout", "--quiet", BRANCH)
        fix = theirs.commit({"fix.py": "1"}, "A fix by a human")
        theirs.git("push", "--quiet", "origin", BRANCH)
        assert isinstance(lander.look(work), Proposed), "a human may add to it"
        assert lander.known.seen_sha == fix
        shop.git("checkout", "--quiet", BRANCH)
        newer = shop.commit({"even-more.py": "1"}, "Even more")

        result = lander.look(newer)

        assert isinstance(result, NotNow)
        assert f"Somebody else pushed to {BRANCH} on the remote ({fix[:12]})" in result.reason
        assert remote.tip(BRANCH) == fix

    def test_the_branch_of_a_stranger_is_not_taken(self, lander, remote, work):
        theirs = remote.theirs.commit({"theirs": "1"})
        remote.theirs.git("push", "--quiet", "origin", f"{theirs}:refs/heads/{BRANCH}")
        assert isinstance(lander.look(work), NotNow)
        assert remote.tip(BRANCH) == theirs

    def test_without_a_remote_it_says_what_is_missing(self, lander, shop, work):
        lander.repository = Repository(shop.path, "main")
        with pytest.raises(ConfigurationError, match="needs a remote"):
            lander.look(work)


class TestDying:
    @pytest.mark.parametrize("moves_on", [False, True])
    @pytest.mark.parametrize("notes", [0, 1])
    def test_a_lander_that_dies_knows_its_own_push_again(self, lander, shop, remote, work, notes, moves_on):
        """After 0 notes it dies before the push, after 1 between the push and the note of it."""
        lander.dies_after = notes
        with pytest.raises(Killed):
            lander.look(work)
        before = remote.tip(BRANCH)
        assert bool(before) is bool(notes)
        if moves_on:
            remote.commit({"other": "x"})
        lander.dies_after = 99

        assert isinstance(lander.look(work), Proposed)

        assert remote.tip(BRANCH) == lander.known.pushed_sha == lander.known.seen_sha
        assert not before or remote.tip(BRANCH) == before, "it is not pushed twice"

    def test_while_it_replaces_what_it_pushed(self, lander, shop, remote, work):
        lander.look(work)
        shop.git("checkout", "--quiet", BRANCH)
        newer = shop.commit({"even-more.py": "1"}, "Even more")
        lander.dies_after = 0
        with pytest.raises(Killed):
            lander.look(newer)
        lander.dies_after = 99
        assert isinstance(lander.look(newer), Proposed)

    def test_it_was_merged_meanwhile(self, lander, remote, work):
        lander.dies_after = 1
        with pytest.raises(Killed):
            lander.look(work)
        merged_by("squash", remote)
        remote.git("branch", "-D", BRANCH)
        lander.dies_after = 99
        assert lander.look(work) == AlreadyLanded(remote.tip())


class TestLooking:
    @pytest.mark.parametrize("deleted", [True, False])
    @pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
    def test_a_merge_is_noticed_however_it_was_made(self, lander, remote, work, how, deleted):
        remote.commit({"other": "x"})
        lander.look(work)
        merged_by(how, remote)
        if deleted:
            remote.git("branch", "-D", BRANCH)

        assert lander.look(work, "false") == AlreadyLanded(remote.tip())
        assert lander.known.ended == "merged"

    @pytest.mark.parametrize("how", ["squash", "rebase"])
    def test_a_merge_is_noticed_though_the_same_lines_changed_since(self, lander, remote, work, how):
        lander.look(work)
        merged_by(how, remote)
        remote.commit({"feature.py": "rewritten\n"})
        assert lander.look(work) == AlreadyLanded(remote.tip())

    def test_a_merge_that_was_seen_stays_seen_though_its_bead_was_not_closed_then(self, lander, remote, work):
        lander.look(work)
        merged_by("squash", remote)
        lander.look(work)
        remote.git("branch", "-D", BRANCH)
        remote.commit({"feature.py": "rewritten\n"})
        assert lander.look(work, "false") == AlreadyLanded(remote.tip())

    def test_one_fetch_in_a_while_serves_all_looks(self, lander, remote, work):
        lander.look(work)
        merged_by("squash", remote)
        assert isinstance(lander.look(work, look_every=3600), Proposed)
        assert isinstance(lander.look(work), AlreadyLanded)

    def test_a_branch_that_is_gone_was_declined_and_can_be_proposed_again(self, lander, remote, work):
        lander.look(work)
        remote.git("branch", "-D", BRANCH)
        remote.commit({"other": "x"})

        assert "is gone from the remote" in str(lander.look(work).pull_request), (
            "it may not show yet that it was merged"
        )
        result = lander.look(work)
        assert isinstance(result, Declined)
        assert lander.known.ended == "declined"
        assert isinstance(lander.look(work), Proposed)
        assert remote.tip(BRANCH) == lander.known.pushed_sha

    def test_a_merge_that_shows_after_the_branch_went_is_a_merge(self, lander, remote, work):
        lander.look(work)
        there = remote.tip(BRANCH)
        remote.git("branch", "-D", BRANCH)
        assert isinstance(lander.look(work), Proposed)
        remote.git("branch", BRANCH, there)
        merged_by("squash", remote)
        remote.git("branch", "-D", BRANCH)
        assert lander.look(work) == AlreadyLanded(remote.tip())

    def test_a_branch_that_comes_again_waits_on(self, lander, remote, work):
        lander.look(work)
        there = remote.tip(BRANCH)
        remote.git("branch", "-D", BRANCH)
        assert lander.look(work).pull_request.is_gone
        remote.git("branch", BRANCH, there)
        assert not lander.look(work).pull_request.is_gone

    def test_one_that_no_longer_fits_goes_back(self, lander, remote, work):
        lander.look(work)
        tip = remote.commit({"feature.py": "other\n"})

        result = lander.look(work)

        assert isinstance(result, Conflict)
        assert f"git rebase {tip}" in result.output
        assert "feature.py" in result.output

    def test_one_that_others_added_to_is_theirs_to_rebase(self, lander, remote, work):
        lander.look(work)
        theirs = remote.theirs
        theirs.git("fetch", "--quiet", "origin")
        theirs.git("checkout", "--quiet", BRANCH)
        theirs.commit({"fix.py": "1"})
        theirs.git("push", "--quiet", "origin", BRANCH)
        theirs.git("checkout", "--quiet", "main")
        remote.commit({"feature.py": "other\n"})
        assert isinstance(lander.look(work), Proposed)

    def test_a_host_that_never_had_the_work_does_not_guess(self, lander, remote, work):
        lander.look(work)
        lander.known = replace(lander.known, pushed_sha="1" * 40, seen_sha="1" * 40, head_sha=work)
        remote.git("branch", "-D", BRANCH)
        result = lander.look(work)
        assert isinstance(result, NotNow)
        assert "cannot tell whether it was merged" in result.reason
