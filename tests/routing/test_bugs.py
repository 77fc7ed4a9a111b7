"""Where auto-filed bugs go."""

import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bug_routing import SETS, UNCLEAR, confusion, read_reports
from dispatch import AutoBugRouter, Bead, BugRouteInfo, PersonaMatcher, load_settings
from dispatch.models.identity import BeadId
from dispatch.routing import BUILT_IN_EVIDENCE, Evidence, bug_evidence, is_auto_filed

LEAST_RIGHT = 0.95
KNOWN_ROLES = {"backend-engineer", "web-designer", "devops-engineer"}
PANIC = "panic: runtime error: index out of range [4]\n\ngoroutine 73 [running]:\nmain.render(...)\n\t/src/page.go:61"


def bug(title: str = "[auto-filed] It fails", description: str = "", **fields: Any) -> Bead:
    return Bead(id=BeadId("shop-1"), title=title, description=description, **fields)


@pytest.fixture(scope="module")
def router() -> AutoBugRouter:
    return AutoBugRouter()


class TestReports:
    def test_there_are_enough_of_every_kind(self) -> None:
        reports = [report for name in SETS for report in read_reports(name)]
        assert len(reports) >= 150
        assert len({report.bead.id for report in reports}) == len(reports)
        assert {report.role for report in reports} == KNOWN_ROLES | {""}
        assert all(is_auto_filed(report.bead) for report in reports)
        unseen = sum(len(read_reports(name)) for name in SETS if name != "tuning")
        assert unseen >= len(reports) / 2

    def test_nearly_all_find_their_role_and_none_finds_a_wrong_one(self, router: AutoBugRouter) -> None:
        counts = confusion([report for name in SETS for report in read_reports(name)], router)
        right = sum(count for (role, sent_to), count in counts.items() if role == sent_to)
        assert right >= LEAST_RIGHT * counts.total(), counts
        assert {pair for pair in counts if pair[1] not in (pair[0], UNCLEAR)} == set()


class TestRoute:
    def test_a_route_names_the_role_in_the_title_and_the_strongest_evidence(self, router: AutoBugRouter) -> None:
        assert router.analyze_bug_for_routing(bug(description=PANIC)) == BugRouteInfo(
            should_route=True,
            persona_hint="backend-engineer",
            updated_title="[backend-engineer] [auto-filed] It fails",
            routing_reason='It goes to backend-engineer for a goroutine trace ("goroutine 73 [").',
        )

    def test_a_bug_that_was_routed_asks_for_its_role_and_is_not_routed_again(self, router: AutoBugRouter) -> None:
        routed = bug(router.analyze_bug_for_routing(bug(description=PANIC)).updated_title, PANIC)
        assert PersonaMatcher().extract_persona_hint(routed) == "backend-engineer"
        again = router.analyze_bug_for_routing(routed)
        assert not again.should_route
        assert again.routing_reason == "It already asks for backend-engineer (the title)."
        assert (again.persona_hint, again.updated_title) == ("", routed.title)

    def test_the_longest_title_still_fits_with_the_role_before_it(self, router: AutoBugRouter) -> None:
        title = router.analyze_bug_for_routing(bug(f"[auto-filed] {'x' * 487}", PANIC)).updated_title
        assert len(title) == 500
        assert title.startswith("[backend-engineer] [auto-filed] xxx")

    def test_only_what_a_program_filed_is_weighed(self, router: AutoBugRouter) -> None:
        found = router.analyze_bug_for_routing(bug("It fails", PANIC))
        assert found == BugRouteInfo(
            False, "", "It fails", "It was not filed by a program, so its evidence is not weighed."
        )
        assert router.analyze_bug_for_routing(bug("[Auto-Filed] It fails", PANIC)).should_route
        assert router.analyze_bug_for_routing(bug("It fails", PANIC, labels=("Auto Filed",))).should_route

    @pytest.mark.parametrize(
        "fields",
        [
            {"metadata": {"requires_persona": "qa-engineer"}},
            {"metadata": {"requires_persona": "somebody-unknown"}},
            {"title": "[web-designer] [auto-filed] It fails"},
            {"labels": ("role:qa-engineer",)},
            {"description": f"Ask the QA engineer to look.\n{PANIC}"},
        ],
    )
    def test_who_already_asks_for_somebody_is_left_alone(self, router: AutoBugRouter, fields: dict[str, Any]) -> None:
        found = router.analyze_bug_for_routing(bug(**{"description": PANIC, **fields}))
        assert not found.should_route
        assert found.routing_reason.startswith("It already asks for ")

    def test_the_personas_of_a_matcher_count(self) -> None:
        router = AutoBugRouter(matcher=PersonaMatcher(["gopher"]))
        assert not router.analyze_bug_for_routing(bug("[auto-filed] [gopher] It fails", PANIC)).should_route
        assert router.analyze_bug_for_routing(bug("[auto-filed] [web-designer] It fails", PANIC)).should_route


class TestUnclear:
    def test_nothing_to_go_by(self, router: AutoBugRouter) -> None:
        found = router.analyze_bug_for_routing(bug(description="It is broken."))
        assert found == BugRouteInfo(
            False,
            "",
            "[auto-filed] It fails",
            "Unclear: nothing in it tells what kind of error it is, so QA triages it.",
        )

    def test_too_little_to_go_by(self, router: AutoBugRouter) -> None:
        found = router.analyze_bug_for_routing(bug(description="Since the last deployment."))
        assert found.routing_reason == (
            'Unclear: all there is for devops-engineer is a deployment ("deployment"), so QA triages it.'
        )

    def test_weak_signs_need_each_other(self, router: AutoBugRouter) -> None:
        assert not router.analyze_bug_for_routing(bug(description="In Safari, on mobile.")).should_route
        three = router.analyze_bug_for_routing(bug(description="In Safari, on mobile, with the wrong font."))
        assert three.persona_hint == "web-designer"

    def test_signs_for_two_roles(self, router: AutoBugRouter) -> None:
        text = "ReferenceError in one log, KeyError in the other"
        found = router.analyze_bug_for_routing(bug(description=text))
        assert not found.should_route
        assert found.routing_reason == (
            'Unclear: an error class of Python ("KeyError") speaks for backend-engineer, an error class of scripts '
            '("ReferenceError") for web-designer, so QA triages it.'
        )


class TestEvidence:
    @pytest.mark.parametrize(
        "text",
        [
            "rendering of the list",
            "The app does not react",
            "See document.pdf",
            "450 rows, 500 are allowed; it returned 404 records",
            "nginx",
            "an edge case",
            "discipline and decision",
            "the pipelined styler",
            "portal.example.rs is down",
        ],
    )
    def test_a_part_of_a_word_or_a_number_proves_nothing(self, router: AutoBugRouter, text: str) -> None:
        assert not router.analyze_bug_for_routing(bug(description=text)).should_route

    def test_a_panic_that_renders_is_no_matter_of_style(self, router: AutoBugRouter) -> None:
        found = router.analyze_bug_for_routing(bug("[auto-filed] rendering the header layout fails", PANIC))
        assert found.persona_hint == "backend-engineer"

    @pytest.mark.parametrize("evidence", BUILT_IN_EVIDENCE, ids=lambda evidence: evidence.what)
    def test_every_sign_has_a_name_a_role_and_a_weight(self, evidence: Evidence) -> None:
        assert evidence.what
        assert evidence.role in KNOWN_ROLES
        assert 2 <= evidence.weight <= 10

    def test_every_sign_is_met_in_some_report(self) -> None:
        """A sign that no report shows is one that nobody has seen work."""
        reports = [report for name in SETS for report in read_reports(name)]
        unseen = [one.what for one in BUILT_IN_EVIDENCE if not any(_shows(one, report.bead) for report in reports)]
        assert unseen == []

    def test_own_evidence_replaces_the_table_or_adds_to_it(self) -> None:
        mine = Evidence(r"\bflux capacitor\b", "time-engineer", 5)
        alone, added = AutoBugRouter([mine]), AutoBugRouter([*BUILT_IN_EVIDENCE, mine])
        odd = bug(description="Flux Capacitor is empty")
        assert alone.analyze_bug_for_routing(odd).persona_hint == "time-engineer"
        assert added.analyze_bug_for_routing(odd).routing_reason == (
            r'It goes to time-engineer for the pattern \bflux capacitor\b ("Flux Capacitor").'
        )
        assert not alone.analyze_bug_for_routing(bug(description=PANIC)).should_route
        title = alone.analyze_bug_for_routing(odd).updated_title
        assert alone.analyze_bug_for_routing(bug(title, odd.description)).updated_title == title
        assert added.analyze_bug_for_routing(bug(description=PANIC)).persona_hint == "backend-engineer"

    def test_a_configuration_adds_to_the_table_and_may_give_its_roles_to_others(self, tmp_path: Path) -> None:
        text = """
            [roles.frontend-engineer]
            aliases = ["web-designer"]
            [roles.time-engineer]
            aliases = ["timer"]
            [[bug_evidence]]
            pattern = '\\bflux capacitor\\b'
            role = "Timer"
        """
        (tmp_path / "dispatch.toml").write_text(text)
        evidence = bug_evidence(load_settings(environ={}, cwd=tmp_path))
        assert {one.role for one in evidence} == {
            "backend-engineer",
            "devops-engineer",
            "frontend-engineer",
            "time-engineer",
        }
        router = AutoBugRouter(evidence)
        assert router.analyze_bug_for_routing(bug(description="the flux capacitor")).persona_hint == "time-engineer"
        assert router.analyze_bug_for_routing(bug(description="card.css is empty")).persona_hint == "frontend-engineer"

    def test_the_pattern_of_the_example_spans_lines(self) -> None:
        router = AutoBugRouter([Evidence("panic: .*goroutine", "backend-engineer", 5)])
        assert router.analyze_bug_for_routing(bug(description=PANIC)).should_route

    def test_a_label_is_a_line(self) -> None:
        router = AutoBugRouter([Evidence("^label:area/time$", "time-engineer", 5)])
        assert router.analyze_bug_for_routing(bug(labels=("x", "area/time"))).should_route
        assert not router.analyze_bug_for_routing(bug(labels=("area/times",))).should_route

    @pytest.mark.parametrize(
        "part", ["a.", "a/", "a-", "A.b", "\n", " at ", "at a.b$", "https://a", "SELECT ", "a_", " "]
    )
    def test_hostile_texts_take_no_time(self, router: AutoBugRouter, part: str) -> None:
        began = time.process_time()
        router.analyze_bug_for_routing(bug(description=part * 50_000))
        assert time.process_time() - began < 5.0


def _shows(evidence: Evidence, bead: Bead) -> bool:
    return (
        evidence.what
        in AutoBugRouter([Evidence(evidence.pattern, "x", 9, evidence.what)])
        .analyze_bug_for_routing(bead)
        .routing_reason
    )
