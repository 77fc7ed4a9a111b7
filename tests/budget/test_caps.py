"""Caps: none unless set, reached when nothing is left, and counted in exact cents."""

from decimal import Decimal
from typing import Any

import pytest

from dispatch.budget import bead_cap, bead_refusal, project_reason, system_reason, used_up
from dispatch.models.guarding import Spent
from dispatch.models.identity import ProjectId
from dispatch.settings import CapSettings, Settings, load_settings

SHOP = ProjectId("shop")
NONE = CapSettings()


def _caps(**caps: Any) -> CapSettings:
    return CapSettings.model_validate(caps)


def _usd(amount: str) -> Spent:
    return Spent(usd=Decimal(amount))


def test_without_caps_nothing_is_refused() -> None:
    fortune = Spent(usd=Decimal(10**9), tokens_in=10**12)
    assert bead_cap(NONE) is None
    assert bead_refusal(fortune.usd, NONE) is None
    assert project_reason(SHOP, fortune, NONE) is None
    assert system_reason([fortune], NONE) is None


@pytest.mark.parametrize(("spent", "refused"), [("4.999999999", False), ("5", True), ("7.25", True)])
def test_a_bead_is_refused_from_its_cap_on(spent: str, refused: bool) -> None:
    caps = _caps(bead_usd=5.0)
    expected = "It has used up the $5.00 that a bead may cost (bead_usd)." if refused else None
    assert bead_refusal(Decimal(spent), caps) == expected
    assert used_up(caps) == "It has used up the $5.00 that a bead may cost (bead_usd)."


def test_a_project_is_told_what_it_spent_today() -> None:
    caps = _caps(project_usd_day=1000)
    assert project_reason(SHOP, _usd("999.99"), caps) is None
    assert project_reason(SHOP, _usd("1234.5"), caps) == (
        "The budget of shop for today is spent, $1,234.50 of $1,000.00 (project_usd_day): "
        "it goes on at 00:00 UTC, or with a higher cap."
    )


def test_the_system_is_the_sum_of_all_projects() -> None:
    caps = _caps(system_usd_day=50, system_tokens_day=1_000_000)
    assert system_reason([_usd("20"), _usd("29.99")], caps) is None
    assert system_reason([_usd("20"), _usd("30.005")], caps) == (
        "The system's budget for today is spent, $50.005 of $50.00 (system_usd_day): "
        "it goes on at 00:00 UTC, or with a higher cap."
    )
    used = [Spent(tokens_in=600_000, tokens_out=100_000), Spent(tokens_out=300_000)]
    assert system_reason(used, caps) == (
        "The system's budget for today is spent, 1,000,000 of 1,000,000 tokens (system_tokens_day): "
        "it goes on at 00:00 UTC, or with a higher cap."
    )


def test_dollars_add_up_without_drift() -> None:
    dime = _usd("0.1")
    assert sum([dime] * 3, start=Spent()).usd == Decimal("0.3")
    assert project_reason(SHOP, sum([dime] * 3, start=Spent()), _caps(project_usd_day=0.3)) is not None


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    file = tmp_path / "dispatch.toml"
    file.write_text(
        "[caps]\nbead_usd = 5.0\nproject_usd_day = 20.0\nsystem_tokens_day = 7\n"
        "[projects.shop]\ncaps = { project_usd_day = 10.1 }\n[projects.barn]\ncaps = { bead_usd = 0 }\n"
    )
    return load_settings(config=file, environ={"DISPATCH_CAPS__SYSTEM_USD_DAY": "50.5"}, cwd=tmp_path)


def test_a_projects_own_caps_go_before_those_of_all(settings: Settings) -> None:
    shop, barn, other = (settings.project_caps(name) for name in ("shop", "barn", "other"))
    assert (shop.bead_usd, shop.project_usd_day) == (Decimal("5.0"), Decimal("10.1"))
    assert (barn.bead_usd, barn.project_usd_day) == (Decimal(0), Decimal("20.0"))
    assert other == settings.caps
    assert {caps.system_usd_day for caps in (shop, barn, other)} == {Decimal("50.5")}
    assert {caps.system_tokens_day for caps in (shop, barn, other)} == {7}
