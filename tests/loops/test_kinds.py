"""What kind of thing an action is."""

import pytest

from dispatch.loops.kinds import kinds_of
from tests.loops.actions import act


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("read", ["read", "read_file", "Read", "glob", "Grep", "search_text", "read_tree", "list-files"]),
        ("edit", ["edit", "edit_file", "write_file", "create_file", "MultiEdit", "apply_patch", "str_replace"]),
        ("test", ["test", "run_tests"]),
        ("command", ["command", "bash", "Bash", "execute", "run_command", "shell"]),
        ("commit", ["commit", "git_commit"]),
    ],
)
def test_its_type_tells(kind: str, types: list[str]) -> None:
    for name in types:
        assert kinds_of(act(name, "a")) == {kind}, name


def test_other_types_are_of_no_kind() -> None:
    assert not kinds_of(act("think"))
    assert not kinds_of(act("reader"))


@pytest.mark.parametrize(
    ("command", "besides"),
    [
        ("cat a.py", {"read"}),
        ("cd src && grep -rn 'a > b' .", {"read"}),
        ("nl -ba a.py | sed -n '1,20p'", {"read"}),
        ("git diff", {"read"}),
        ("make 2>&1 | head -n 3", set()),
        ("make > /dev/null 2>&1", set()),
        ("git checkout main", set()),
        ("cat > a.py", {"edit"}),
        ("cat <<'EOF' > a.py\ncat b.py\npytest\nEOF", {"edit"}),
        ("cat <<'EOF' > a.py\ncat b.py\nEOF\npytest -q", {"edit", "test"}),
        ("cat <<EOF >> a.py\nunfinished", {"edit"}),
        ("sed -i 's/a/b/' a.py", {"edit"}),
        ("sed -E -i.bak 's/a/b/' a.py", {"edit"}),
        ("git diff | git apply -R", {"read", "edit"}),
        ("echo x | tee a.py", {"edit"}),
        ("python3 -c \"open('a', 'w').write('x')\"", {"edit"}),
        ("python3 -c 'print(1 > 0)'", set()),
        ("pytest -q tests/test_a.py", {"test"}),
        ("python3 -m pytest", {"test"}),
        ("PYTHONPATH=. python tests/runtests.py forms", {"test"}),
        ("python manage.py test shop", {"test"}),
        ("go test ./...", {"test"}),
        ("npm run test", {"test"}),
        ("make check", {"test"}),
        ("cargo build", set()),
        ("python reproduce.py", set()),
    ],
)
def test_a_shell_command_tells_by_its_words(command: str, besides: set[str]) -> None:
    assert kinds_of(act("command", command)) == {"command", *besides}


def test_only_the_beginning_of_a_long_command_is_looked_at() -> None:
    assert kinds_of(act("command", f"echo {'x' * 10_000}\npytest")) == {"command"}
