"""What ran is put together from every calendar that was said: superseded ones, moved ones, and those told afterwards."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from data import Workspace
from domain.account import Account
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.time import Hour, Window
from engine.promotions import past_phases, that_ran

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def calendar(*spans: tuple[str, float, float]) -> PromotionCalendar:
    return PromotionCalendar(
        tuple(Phase(n, PhaseKind.BURST, Window(START + a * DAY, START + b * DAY)) for n, a, b in spans)
    )


def spans(found: PromotionCalendar) -> list[tuple[float, float]]:
    return [((p.window.start - START) / DAY, (p.window.end - START) / DAY) for p in found.phases]


def test_a_promotion_that_ran_is_remembered_when_the_next_one_is_set() -> None:
    spring, summer = calendar(("warm-up", 1, 3), ("burst", 3, 4)), calendar(("warm-up", 30, 32), ("burst", 32, 33))
    found = that_ran([(spring, START), (summer, START + 20 * DAY)], Hour(START + 31 * DAY), summer)
    assert spans(found) == [(1, 3), (3, 4)]
    assert len({p.name for p in found.phases}) == 2
    third = calendar(("burst", 60, 61))
    said = [(spring, START), (summer, START + 20 * DAY), (third, START + 50 * DAY)]
    assert spans(that_ran(said, Hour(START + 55 * DAY), third)) == [(1, 3), (3, 4), (30, 32), (32, 33)]


def test_what_was_cancelled_or_moved_before_it_ran_never_was() -> None:
    first, moved = calendar(("burst", 10, 12)), calendar(("burst", 14, 16))
    assert spans(that_ran([(first, START), (moved, START + 5 * DAY)], Hour(START + 20 * DAY), PromotionCalendar())) == [(14, 16)]  # fmt: skip
    cut_short = that_ran([(first, START), (PromotionCalendar(), START + 11 * DAY)], Hour(START + 20 * DAY), PromotionCalendar())  # fmt: skip
    assert spans(cut_short) == [(10, 11)]


def test_an_edit_of_the_running_promotion_leaves_it_out_of_the_past() -> None:
    first, longer = calendar(("warm-up", 10, 12), ("burst", 12, 13)), calendar(("warm-up", 10, 12), ("burst", 12, 14))
    said = [(first, START), (longer, START + 12 * DAY)]
    assert spans(that_ran(said, Hour(START + 12.5 * DAY), longer)) == []
    later = calendar(("burst", 40, 41))
    assert spans(that_ran([*said, (later, START + 30 * DAY)], Hour(START + 35 * DAY), later)) == [(10, 12), (12, 14)]


def test_a_promotion_told_afterwards_counts_and_nothing_counts_before_it_was_said(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "ws", create=True)
    workspace.create_account(Account("north", "EUR"), START)
    old, coming = calendar(("burst", 1, 2)), calendar(("burst", 30, 31))
    for k, edit in enumerate((old, coming)):
        workspace.set_phases("north", edit, by="Ada", reason="", now=START + (20 + k) * DAY)
    assert spans(past_phases(workspace, "north", Hour(START + 25 * DAY), coming)) == [(1, 2)]
    assert spans(past_phases(workspace, "north", Hour(START + 15 * DAY), coming)) == []
    assert spans(past_phases(workspace, "north", Hour(START + 30 * DAY), coming)) == [(1, 2)]


def test_phases_that_are_called_alike_are_told_apart_and_others_keep_their_names() -> None:
    apart = calendar(("warm-up", 1, 3), ("burst", 3, 4))
    assert PromotionCalendar.of_several(reversed(apart.phases)) == apart
    once = calendar(("burst", 1, 2), ("warm-up", 3, 4))
    again = PromotionCalendar.of_several((*calendar(("burst", 5, 6)).phases, *once.phases))
    assert spans(again) == [(1, 2), (3, 4), (5, 6)]
    assert len({p.name for p in again.phases}) == 3
    # even where somebody wrote a namesake's new name by hand
    written = replace(once.phases[1], name=again.phases[0].name)
    three = (once.phases[0], written, *calendar(("burst", 5, 6)).phases)
    assert len({p.name for p in PromotionCalendar.of_several(three).phases}) == 3
