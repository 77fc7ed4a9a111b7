"""What is wrong with a definition is told with its line, all of it at once."""

from datetime import timedelta
from pathlib import Path

import pytest

from dispatch.models.workflow import Condition, NodeKind, Quorum, Workflow
from dispatch.routing import role_names
from dispatch.settings import Settings
from dispatch.workflow.library import Definition, read_file, read_text

ROLES = role_names(Settings(home=Path("/nowhere")))
HEAD = 'name = "w"\nstart = "a"\n'
TASK = '[nodes.a]\non = { success = "done" }\n'


def read(text: str) -> Definition:
    return read_text("w.toml", text, ROLES)


def defined(text: str) -> Workflow:
    workflow = read(text).workflow
    assert workflow is not None, read(text).told
    return workflow


def test_a_definition_is_read_with_all_that_it_says() -> None:
    workflow = defined(
        """
        name = "w"
        description = " What for. "
        start = "a"
        cycle_limit = 0
        chosen_by = { types = ["bug"], labels = ["l"], title = ["some words"] }
        [nodes.a]
        kind = "verify"
        role = "QA"
        reviewers = 3
        quorum = "any"
        instructions = " Look. "
        timeout = "1h30m"
        max_attempts = 1
        on.approved = "done"
        on.rejected = "done"
        """
    )

    node = workflow.nodes["a"]
    assert (workflow.name, workflow.description, workflow.start, workflow.cycle_limit) == ("w", "What for.", "a", 0)
    assert (workflow.types, workflow.labels, workflow.title_words) == (("bug",), ("l",), ("some words",))
    assert (node.kind, node.role, node.reviewers, node.quorum) == (NodeKind.VERIFY, "qa-engineer", 3, Quorum.ANY)
    assert (node.instructions, node.timeout, node.max_attempts) == ("Look.", timedelta(minutes=90), 1)
    assert node.edges == {Condition.APPROVED: "done", Condition.REJECTED: "done"}


def test_what_is_left_out_has_a_default() -> None:
    workflow = defined(HEAD + TASK)

    node = workflow.nodes["a"]
    assert (workflow.description, workflow.cycle_limit, workflow.types) == ("", 3, ())
    assert (node.kind, node.role, node.reviewers, node.timeout, node.max_attempts) == (NodeKind.TASK, "", 1, None, 3)


FAULTS = {
    "not TOML": ("name = ", ["1: is not TOML: Invalid value. Correct that line."]),
    "a node twice": (
        HEAD + TASK + TASK,
        ["5: is not TOML: Cannot declare ('nodes', 'a') twice. Correct that line."],
    ),
    "nothing": (
        "",
        [
            '1: it has no name. Add name = "..." at the top.',
            "1: it has no nodes. Add a section [nodes.<name>] for each.",
        ],
    ),
    "no start": ('name = "w"\n' + TASK, ['1: it does not say where it starts. Add start = "a".']),
    "unknown start": (
        'name = "w"\nstart = "implemnt"\n[nodes.implement]\non = { success = "done" }',
        ['2: it starts at the unknown node "implemnt". Did you mean "implement"?'],
    ),
    "a bad name": (
        HEAD.replace("w", "My Flow") + TASK,
        [
            '1: "My Flow" cannot be the name of a workflow. Use lower-case words joined by hyphens, 60 characters at '
            "most."
        ],
    ),
    "a bad name of a node": (
        'name = "w"\nstart = "A b"\n[nodes."A b"]\non = { success = "done" }',
        ['3: "A b" cannot be the name of a node. Use lower-case words joined by hyphens, 60 characters at most.'],
    ),
    "the end as a node": (
        HEAD + TASK + '[nodes.done]\non = { success = "a" }',
        ['5: no node can be named "done", which is where a workflow ends. Choose another name.'],
    ),
    "an unknown key above": (
        HEAD + 'colour = "red"\n' + TASK,
        [
            '3: unknown key "colour" at the top level. The keys there are: name, description, start, cycle_limit, '
            "chosen_by, nodes."
        ],
    ),
    "an unknown key of a node": (
        HEAD + TASK + 'rolle = "qa"',
        ['5: unknown key "rolle" in [nodes.a]. Did you mean "role"?'],
    ),
    "misspelt edges, of which nothing else follows": (
        HEAD + '[nodes.a]\nonn = { success = "b" }\n[nodes.b]\non = { success = "done" }',
        ['4: unknown key "onn" in [nodes.a]. Did you mean "on"?'],
    ),
    "wrong types": (
        HEAD + "description = 3\n[nodes.a]\nreviewers = 2.0\nmax_attempts = true\ntimeout = []\non = 4\n",
        [
            '3: description = 3 is not a text. Write it in quotes, for example "main".',
            "5: nodes.a.reviewers = 2.0 is not a whole number. Write a whole number, for example 2.",
            "6: nodes.a.max_attempts = true is not a whole number. Write a whole number, for example 2.",
            "7: nodes.a.timeout = [] is not a duration. Write for example 45s, 30m, 1h30m or 500ms.",
            "8: nodes.a.on = 4 is not a table. Write a section of that name in brackets, with its keys below it.",
        ],
    ),
    "a list that holds something else": (
        HEAD + "[chosen_by]\ntypes = [\n  3,\n]\n" + TASK,
        ['4: chosen_by.types.0 = 3 is not a text. Write it in quotes, for example "main".'],
    ),
    "nodes that are none": (
        HEAD + "nodes = 3",
        ["3: nodes = 3 is not a table. Write a section of that name in brackets, with its keys below it."],
    ),
    "a node that is none": (
        HEAD + TASK + "[nodes]\nb = 3",
        ["6: nodes.b = 3 is not a table. Write a section of that name in brackets, with its keys below it."],
    ),
    "no time at all": (
        HEAD + TASK + 'timeout = "0s"',
        [
            '5: nodes.a.timeout = "0s" is not longer than nothing. Write a duration above zero, for example 45s, 30m, '
            "1h30m or 500ms."
        ],
    ),
    "a time without end": (
        HEAD + TASK + 'timeout = "31d"',
        ['5: the timeout of "a" (744h) is longer than 30 days. Write a shorter one.'],
    ),
    "numbers out of range": (
        HEAD + "cycle_limit = -1\n" + TASK + "max_attempts = 0\n",
        [
            "3: cycle_limit = -1 is not between 0 and 20. Write a number from 0 to 20.",
            "6: nodes.a.max_attempts = 0 is not between 1 and 20. Write a number from 1 to 20.",
        ],
    ),
    "too many reviewers": (
        HEAD + '[nodes.a]\nkind = "verify"\nreviewers = 21\non = { approved = "done", rejected = "done" }',
        ["5: nodes.a.reviewers = 21 is not between 1 and 20. Write a number from 1 to 20."],
    ),
    "an unknown kind, of which nothing else follows": (
        HEAD + '[nodes.a]\nkind = "verfy"\nreviewers = 2\non = { approved = "done" }',
        ['4: nodes.a.kind = "verfy" is not one of task, verify, approval, commit. Did you mean "verify"?'],
    ),
    "an unknown role": (
        HEAD + TASK + 'role = "backend-enginer"',
        ['5: "a" is for the unknown role "backend-enginer". Did you mean "backend-engineer"?'],
    ),
    "a role like none": (
        HEAD + TASK + 'role = "wizard"',
        ['5: "a" is for the unknown role "wizard". Add [roles.wizard] to dispatch.toml, or name a role that exists.'],
    ),
    "an edge to nowhere": (
        HEAD + '[nodes.a]\non = { success = "done", failure = "b" }',
        ['4: "a" leads to the unknown node "b" on failure. Name a node of it, or done: a, done.'],
    ),
    "a misspelt condition, of which nothing else follows": (
        HEAD + '[nodes.a]\non = { sucess = "done" }',
        ['4: "a" is a node of the kind task, which never comes to "sucess". Did you mean "success"?'],
    ),
    "a verdict on a task": (
        HEAD + '[nodes.a]\n[nodes.a.on]\nsuccess = "done"\napproved = "done"',
        [
            '6: "a" is a node of the kind task, which never comes to "approved". It comes to one of: success, failure, '
            "timeout."
        ],
    ),
    "a success of a human": (
        HEAD + '[nodes.a]\nkind = "approval"\n[nodes.a.on]\napproved = "done"\nrejected = "done"\nsuccess = "done"',
        [
            '8: "a" is a node of the kind approval, which never comes to "success". It comes to one of: approved, '
            "rejected, timeout."
        ],
    ),
    "a task that leads nowhere, of which nothing else follows": (
        HEAD + "[nodes.a]",
        ['3: "a" does not say where it leads on success. Add success = "..." to its "on".'],
    ),
    "a review that says only yes": (
        HEAD + '[nodes.a]\nkind = "verify"\non = { approved = "done" }',
        ['5: "a" does not say where it leads on rejected. Add rejected = "..." to its "on".'],
    ),
    "an approval that says only no": (
        HEAD + '[nodes.a]\nkind = "approval"\non = { rejected = "done" }',
        ['5: "a" does not say where it leads on approved. Add approved = "..." to its "on".'],
    ),
    "two edges for one thing": (
        HEAD + '[nodes.a]\nkind = "verify"\non = { approved = "done", success = "done", failure = "done" }',
        ['5: "a" has an edge for approved, so that the one for success is not taken. Remove one of them.'],
    ),
    "keys of other kinds": (
        HEAD + TASK + 'reviewers = 2\nquorum = "all"',
        [
            '5: "a" is a node of the kind task: only a verify node has reviewers. Remove "reviewers".',
            '6: "a" is a node of the kind task: only the reviewers of a verify node vote. Remove "quorum".',
        ],
    ),
    "an approval by a role": (
        HEAD + '[nodes.a]\nkind = "approval"\nrole = "nobody"\nmax_attempts = 2\n'
        'on = { approved = "done", rejected = "done" }',
        [
            '5: "a" is a node of the kind approval: a human approves, whatever the role. Remove "role".',
            '6: "a" is a node of the kind approval: an approval is asked for once, and does not fail. '
            'Remove "max_attempts".',
        ],
    ),
    "a silence that means nothing": (
        HEAD + '[nodes.a]\nkind = "approval"\ntimeout = "2d"\non = { approved = "done", rejected = "done" }',
        [
            '5: "a" has a timeout and no edge for it, so that it would go on waiting. Add timeout = "..." to its "on", '
            "or remove the timeout."
        ],
    ),
    "a silence that never ends": (
        HEAD + '[nodes.a]\nkind = "approval"\non = { approved = "done", rejected = "done", timeout = "done" }',
        ['5: "a" has an edge for timeout, and no timeout: a human has any time. Add timeout = "2d", or so.'],
    ),
    "a wrong time of a human, of which nothing else follows": (
        HEAD + '[nodes.a]\nkind = "approval"\ntimeout = "soon"\n'
        'on = { approved = "done", rejected = "done", timeout = "done" }',
        ['5: nodes.a.timeout = "soon" is not a duration. Write for example 45s, 30m, 1h30m or 500ms.'],
    ),
    "a node that nobody reaches": (
        HEAD + TASK + '[nodes.b]\non = { success = "done" }',
        ['5: no edge leads to "b" from the start. Lead one there, or remove the node.'],
    ),
    "no way out": (
        HEAD + '[nodes.a]\non = { success = "done", failure = "b" }\n[nodes.b]\non = { success = "c" }\n'
        '[nodes.c]\non = { success = "b" }',
        [
            '5: there is no way out of "b": no edges lead from it to done. Lead one of them to "done".',
            '7: there is no way out of "c": no edges lead from it to done. Lead one of them to "done".',
        ],
    ),
    "a loop where nobody may come back": (
        HEAD + "cycle_limit = 0\n" + '[nodes.a]\non = { success = "b" }\n'
        '[nodes.b]\nkind = "verify"\n[nodes.b.on]\napproved = "done"\nrejected = "a"',
        [
            '5: on success "a" leads back to "b", and cycle_limit = 0 lets no bead come back. Write a cycle_limit of 1 '
            "or more, or lead it on.",
            '10: on rejected "b" leads back to "a", and cycle_limit = 0 lets no bead come back. Write a cycle_limit of '
            "1 or more, or lead it on.",
        ],
    ),
    "an empty word": (
        HEAD + '[chosen_by]\nlabels = ["a", " "]\n' + TASK,
        ["4: chosen_by.labels has an empty entry. Remove it."],
    ),
    "what a database cannot keep": (
        HEAD + 'description = "a\\u0000b"\n' + TASK,
        ['3: description = "a\\u0000b" holds a NUL character. Remove it.'],
    ),
}


@pytest.mark.parametrize(("text", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_its_line_and_its_cure(text: str, told: list[str]) -> None:
    definition = read(text)

    assert definition.told == [f"w.toml:{line}" for line in told]
    assert definition.workflow is None


def test_all_faults_are_told_in_the_order_of_the_lines() -> None:
    definition = read(
        """name = "W"
cycle_limit = "many"
[nodes.a]
role = "wizard"
on = { success = "dnoe" }
[nodes.b]
kind = "x"
"""
    )

    assert [fault.line for fault in definition.faults] == [1, 1, 2, 4, 5, 7]


def test_the_longest_name_and_the_longest_timeout_are_allowed() -> None:
    name = "n" * 60
    text = f'name = "{name}"\nstart = "{name}"\n[nodes.{name}]\ntimeout = "30d"\non = {{ success = "done" }}'

    assert defined(text).nodes[name].timeout == timedelta(days=30)
    assert read(text.replace(name, f"{name}n")).told == [
        f'w.toml:{line}: "{name}" cannot be the name of a {what}. Use lower-case words joined by hyphens, '
        "60 characters at most."
        for line, what in ((1, "workflow"), (3, "node"))
    ]


def big(**sizes: int) -> str:
    nodes = sizes.get("nodes", 1)
    lines = [
        'name = "w"',
        'start = "n0"',
        f'description = "{"d" * sizes.get("description", 1)}"',
        f"[chosen_by]\nlabels = {['l' * sizes.get('word', 1)] * sizes.get('words', 1)}",
    ]
    for number in range(nodes):
        target = f"n{number + 1}" if number + 1 < nodes else "done"
        lines += [f"[nodes.n{number}]", f"instructions = '{'i' * sizes.get('instructions', 1)}'"]
        lines.append(f'on = {{ success = "{target}" }}')
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("size", "most", "told"),
    [
        ("nodes", 64, "198: it has 65 nodes, and 64 are allowed. Make two workflows of it."),
        ("description", 500, "3: the description has 501 characters, and 500 are allowed. Shorten it."),
        ("words", 64, "5: chosen_by.labels has 65 entries. Keep at most 64."),
        ("word", 100, "5: an entry of chosen_by.labels has 101 characters, and 100 are allowed. Shorten it."),
        (
            "instructions",
            10_000,
            '7: what "n0" tells its agents has 10001 characters, and 10000 are allowed. Shorten it.',
        ),
    ],
)
def test_sizes_have_limits(size: str, most: int, told: str) -> None:
    assert read(big(**{size: most})).told == []
    assert read(big(**{size: most + 1})).told == [f"w.toml:{told}"]


def test_what_is_nested_without_end_is_a_fault_and_no_crash() -> None:
    assert read("a = " + "[" * 50_000).faults
    assert read(f"a = {'[' * 300}{']' * 300}").faults


def test_a_file_has_to_be_a_small_text(tmp_path: Path) -> None:
    file = tmp_path / "w.toml"

    file.write_bytes(b"#" * (256 * 1024) + b"#")
    assert read_file(file, ROLES).told == [f"{file}:1: is larger than 256 kB. Shorten it."]

    file.write_bytes((HEAD + TASK).encode().ljust(256 * 1024, b"#"))
    assert read_file(file, ROLES).workflow is not None

    file.write_bytes(b'name = "w"\n# gr\xfc\xdfe')
    assert read_file(file, ROLES).told == [f"{file}:2: is not UTF-8. Save it in that encoding."]

    file.unlink()
    (told,) = read_file(file, ROLES).told
    assert told == f"{file}:1: cannot be read (No such file or directory). It has to be a readable file."


def test_line_ends_of_another_system_change_nothing() -> None:
    assert read((HEAD + TASK + 'role = "wizard"').replace("\n", "\r\n")).faults[0].line == 5
