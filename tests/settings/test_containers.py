"""Which engine runs containers, what a project's may use, and what runners and projects must agree on."""

import pytest

from dispatch.errors import ConfigurationError
from dispatch.settings import Isolation

RUNNER = '[runners.mine]\nkind = "command"\nargv = ["agent"]\n'
ISOLATED = f'{RUNNER}isolation = "container"\n'
SHOP = '[projects.shop]\nimage = "shop:1"\n'


def test_containers_are_off_and_their_limits_have_defaults(read):
    settings = read(RUNNER)
    project = settings.project("shop")

    assert settings.runners["mine"].isolation is Isolation.NONE
    assert settings.containers.engine == ""
    assert (project.image, project.network) == ("", False)
    assert (project.memory, project.cpus, project.pids) == (2 << 30, 2.0, 256)


def test_a_project_says_how_much_its_containers_may_use(read):
    text = f'{ISOLATED}[containers]\nengine = "unix:///run/e.sock"\n{SHOP}network = true\ncpus = 0.5\npids = 64\n'
    settings = read(f'{text}memory = "512m"')
    project = settings.project("shop")

    assert settings.runners["mine"].isolation is Isolation.CONTAINER
    assert settings.containers.engine == "unix:///run/e.sock"
    assert (project.image, project.network) == ("shop:1", True)
    assert (project.memory, project.cpus, project.pids) == (512 << 20, 0.5, 64)


@pytest.mark.parametrize(
    ("written", "memory"),
    [('"2g"', 2 << 30), ('"20MB"', 20 << 20), ('" 17000K "', 17_000 << 10), ("33554432", 32 << 20), ("0", 0)],
)
def test_memory_is_read_as_people_write_it(read, written, memory):
    assert read(f"{SHOP}memory = {written}").project("shop").memory == memory


def test_a_model_may_have_its_commands_run_in_containers(read):
    model = '[runners.model]\nkind = "llm"\nisolation = "container"\n[providers.main]\nkind = "openai"\nmodel = "m"\n'
    assert read(f"{model}{SHOP}").runners["model"].isolation is Isolation.CONTAINER
    with pytest.raises(ConfigurationError, match=r'dispatch.toml:3: runner "model" needs a container, and no project'):
        read(model)


def test_the_environment_may_name_the_engine(read):
    settings = read("", {"DISPATCH_CONTAINERS__ENGINE": "unix:///run/other.sock"})
    assert settings.containers.engine == "unix:///run/other.sock"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f'{SHOP}memory = "much"',
            'dispatch.toml:3: projects.shop.memory = "much" is not an amount of memory. Write for example "512m" or '
            '"2g".',
        ),
        (
            f'{SHOP}memory = "1k"',
            'dispatch.toml:3: projects.shop.memory = "1k" is too little to start anything. Write at least "16m", or 0 '
            "for no limit.",
        ),
        (
            '[containers]\nengine = "tcp://10.0.0.1:2375"',
            'dispatch.toml:2: containers.engine = "tcp://10.0.0.1:2375" is not the socket of an engine on this host. '
            "Write unix:///path/to/the.sock: a worktree of this host can only be mounted by an engine of this host.",
        ),
        (
            ISOLATED,
            'dispatch.toml:4: runner "mine" needs a container, and no project has an image to make one from. Name '
            'one: [projects.<name>] image = "registry/name:tag".',
        ),
        (
            "[projects.shop]\nnetwork = true",
            'dispatch.toml:2: project "shop" has no image, so "network" limits nothing. Name the image: image = '
            '"registry/name:tag", or remove the key.',
        ),
        (
            f'{SHOP}[runners.own]\nkind = "python"\ntarget = "a:b"\nisolation = "container"',
            'dispatch.toml:6: the python runner "own" cannot work in a container. '
            'Write a runner of kind "command" for a program in the image.',
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_line_and_the_cure(read, text, message):
    with pytest.raises(ConfigurationError) as raised:
        read(text)
    assert str(raised.value).endswith(message)
