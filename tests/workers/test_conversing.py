"""What is kept of an agent's conversation, and what the next run gets of it."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import ProgrammingError

from dispatch.models.messages import MessageEvent, ProgressEvent, SessionEvent
from dispatch.models.session import Session, Turn
from workers.conversing import Conversation

HERE = socket.gethostname()
NOON = datetime(2026, 9, 25, 12, tzinfo=UTC)
KNOWN = Session(
    runner="mine", role="dev", external_id="abc", host=HERE, turns=(Turn(role="user", text="Hello."),), started_at=NOON
)


@pytest.fixture
def saved() -> list[Session]:
    return []


def conversation(saved: list[Session], before: Session | None = None) -> Conversation:
    return Conversation(saved.append, before, "dev")


def test_who_says_nothing_writes_nothing(saved: list[Session]) -> None:
    kept = conversation(saved, KNOWN)
    assert kept.begin("mine") is not None
    kept.add(ProgressEvent(message="On it."))
    kept.flush()
    kept.write()
    assert saved == []


def test_the_first_run_is_told_of_no_conversation(saved: list[Session]) -> None:
    assert conversation(saved).begin("mine") is None


@pytest.mark.parametrize(("runner", "resumed"), [("mine", "abc"), ("other", "")])
def test_a_run_is_told_the_turns_and_its_own_program_s_session(saved: list[Session], runner: str, resumed: str) -> None:
    told = conversation(saved, KNOWN).begin(runner)
    assert told is not None
    assert (told.id, told.turns, told.started_at) == (resumed, KNOWN.turns, NOON)


def test_a_program_s_session_is_bound_to_runner_role_and_host(saved: list[Session]) -> None:
    kept = conversation(saved, KNOWN)
    kept.begin("other")
    kept.add(SessionEvent(id="def"))
    kept.flush()
    kept.flush()
    kept.add(SessionEvent(id="def"))
    kept.flush()
    kept.add(SessionEvent(id="def", everywhere=True))
    kept.flush()
    assert [(one.runner, one.role, one.external_id, one.host) for one in saved] == [
        ("other", "dev", "def", HERE),
        ("other", "dev", "def", ""),
    ]
    assert saved[0].turns == KNOWN.turns


def test_turns_follow_those_of_before_and_are_kept_short(saved: list[Session]) -> None:
    kept = conversation(saved, KNOWN)
    kept.begin("mine")
    for number in range(300):
        kept.add(MessageEvent(role="assistant", text=f"{number} " + "x" * 20_000))
    kept.flush()
    (session,) = saved
    assert session.turns[0].text == "Hello."
    assert session.turns[-1].text.startswith("299 ")
    assert sum(len(turn.text) for turn in session.turns) <= 60_000
    assert sum(turn.left_out or 1 for turn in session.turns) == 301


def test_half_a_surrogate_pair_in_a_turn_hinders_nothing(saved: list[Session]) -> None:
    kept = conversation(saved)
    kept.add(MessageEvent.model_construct(type="message", role="tool", text="a\ud800"))
    kept.flush()
    assert saved[0].turns[0].text == "a\ufffd"


def test_what_cannot_be_written_now_waits_and_the_outcome_s_write_tells_of_it(
    saved: list[Session], away: Callable[[], Exception]
) -> None:
    troubles = [away(), away()]

    def save(session: Session) -> None:
        if troubles:
            raise troubles.pop()
        saved.append(session)

    kept = Conversation(save, None, "dev")
    kept.begin("mine")
    kept.add(SessionEvent(id="abc"))
    kept.flush()
    with pytest.raises(type(away())):
        kept.write()
    kept.write()
    assert [one.external_id for one in saved] == ["abc"]


def test_what_the_database_refuses_is_dropped(saved: list[Session]) -> None:
    def save(session: Session) -> None:
        saved.append(session)
        raise ProgrammingError("INSERT", {}, Exception("no"))

    kept = Conversation(save, None, "dev")
    kept.add(SessionEvent(id="abc"))
    kept.write()
    kept.write()
    assert len(saved) == 1


@pytest.mark.parametrize("wrong", ["", "a\nb", "a\0", "x" * 501])
def test_an_id_that_no_variable_holds_is_none(wrong: str) -> None:
    with pytest.raises(ValueError, match="id"):
        SessionEvent(id=wrong)
