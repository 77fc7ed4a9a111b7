"""How long a conversation is kept."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from dispatch.settings import SessionSettings


def test_a_conversation_is_kept_for_a_day_unless_it_is_set() -> None:
    assert SessionSettings().lifetime == timedelta(hours=24)
    assert SessionSettings.model_validate({"lifetime": "90m"}).lifetime == timedelta(minutes=90)


@pytest.mark.parametrize("wrong", [{"lifetime": "0s"}, {"lifetime": "soon"}, {"life": "1h"}])
def test_what_is_no_time_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SessionSettings.model_validate(wrong)
