"""The names that other programs import."""

import subprocess
import sys
import uuid
from datetime import timedelta

import pytest

import dispatch


@pytest.mark.parametrize("name", dispatch.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(dispatch, name)

    assert isinstance(value, timedelta) or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'dispatcher_of_everything'"):
        _ = dispatch.dispatcher_of_everything


def test_routing_works_alone_on_values_built_in_memory() -> None:
    bead = dispatch.Bead(id="a", title="[auto-filed] KeyError", description="Traceback (most recent call last):")
    agent = dispatch.Agent(id=uuid.uuid4(), name="one", roles=("backend-engineer",))

    route = dispatch.AutoBugRouter().analyze_bug_for_routing(bead)

    assert dispatch.PersonaMatcher().find_agent_by_persona_hint(route.persona_hint, [agent]) is agent


def test_the_package_itself_loads_neither_celery_nor_sqlalchemy() -> None:
    program = "import sys, dispatch; print(sorted({'celery', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
