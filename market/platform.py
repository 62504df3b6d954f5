"""The simulated world as an ad platform: late reports out, bids in, and nothing of the hidden truth.

Rules of this platform: bids are rounded to the tick and clipped to floor and cap; a unit may be edited a limited
number of times a day where the scenario says so; delivery stops for good the moment the next click would overdraw
the account's budget, so overspend is 0, and for the day where the scenario has daily budgets; an hour is reported when it is over, conversions on the hour of their click.
"""

import numpy as np
import polars as pl
from scipy.special import pdtrik

from domain.errors import ConfigError, InvalidPlan
from domain.plans import RECEIPTS, Action, BidPlan, Receipts, ReceiptState
from domain.tables import BIDS, REPORT, US_PER_HOUR, UTC_TIME, BidTable, Floats, ReportBatch, check
from domain.time import Hour, Window
from market.fluid import Curves
from market.ledger import Ledger
from market.shocks import daily_caps
from market.truth import Shoppers, stream
from market.world import SimWorld

_IMPRESSIONS = 10  # random stream beside those of market.truth


class SimPlatform:
    """One policy's run in a world; satisfies `domain.protocols.AdPlatform`.

    Attributes
    ----------
    world
        The world it runs in; many runs may share one.
    ledger
        What has happened, for evaluation.
    clock
        Position of the hour that is next to run; `advance` runs it.
    """

    def __init__(self, world: SimWorld) -> None:
        self.world = world
        self.ledger = Ledger(world.n_units, world.n_hours)
        self.clock = 0
        starts = [h.start.replace(tzinfo=None) for h in world.hours]
        self._starts = np.array(starts, "datetime64[us]").astype(np.int64)
        self._bids: Floats = world.start_bids.copy()
        self._edits = np.zeros(world.n_units, np.int64)
        self._position = {unit_id: i for i, unit_id in enumerate(world.units["unit_id"])}
        self._read_at = self._read_before = -1
        self._dry = False
        self._day_caps = daily_caps(world.scenario, world.seed, world.expected)
        self._dry_day = -1

    # -- what the desk sees -------------------------------------------------------------------------------------

    @property
    def now(self) -> Hour:
        """Hour that is next to run."""
        return self.world.hours[0].plus(self.clock)

    @property
    def remaining_budget(self) -> float:
        """What is left of the account's budget, account currency."""
        return self.world.budget - float(self.ledger.spend.sum())

    @property
    def deliverable(self) -> float:
        """What is left until delivery stops; the budget, unless the platform over-delivers."""
        return self.world.delivery_stops_at - float(self.ledger.spend.sum())

    def read_reports(self, window: Window) -> ReportBatch:
        """Rows of hours in the window that are new or restated since the last hour in which reports were read.

        Reading twice at the same hour gives the same rows twice, so a reader that died in between loses nothing.
        """
        if self.clock > self._read_at:
            self._read_before, self._read_at = self._read_at, self.clock
        first = self.world.hours[0]
        low = max(Hour(window.start).hours_since(first), 0)
        high = min(Hour(window.end).hours_since(first), self.clock)
        ledger = self.ledger
        fresh = ledger.changed[:, low:high] > self._read_before if high > low else np.zeros((0, 0), np.bool_)
        hour, unit = np.nonzero(fresh.T)
        hour = hour + low
        starts = self._starts
        columns = {
            "unit_id": self.world.units["unit_id"].gather(unit),
            "start_utc": pl.Series(starts[hour]).cast(UTC_TIME),
            "grain": pl.repeat("hour", unit.size, dtype=REPORT["grain"], eager=True),
            "hours": np.ones(unit.size),
            **{n: getattr(ledger, n)[unit, hour] for n in ("impressions", "clicks", "spend", "orders", "gmv")},
            "bid_cpc": ledger.bids[unit, hour],
            "learned_at": pl.Series(starts[0] + ledger.changed[unit, hour].astype(np.int64) * US_PER_HOUR).cast(
                UTC_TIME
            ),
        }
        return ReportBatch(check(pl.DataFrame(columns), REPORT, "reports of the market"), source="sim")

    def live_bids(self) -> BidTable:
        """Bids in force, all known."""
        live = self._bids > 0
        return BidTable(
            pl.DataFrame(
                {
                    "unit_id": self.world.units["unit_id"],
                    "bid_cpc": self._bids.copy(),  # Polars shares the memory, and the next edit changes it in place
                    "state": np.where(live, "enabled", "paused"),
                    "known": np.ones(self._bids.size, np.bool_),
                    "edits_today": self._edits.copy(),
                }
            ).cast({"state": BIDS["state"]})
        )

    def publish(self, plan: BidPlan) -> Receipts:
        """Put the bids of a plan in force; one receipt per unit that it sets or pauses."""
        if plan.account != self.world.account.name:
            raise InvalidPlan(
                f"plan for account {plan.account!r} sent to the simulated account {self.world.account.name!r}; "
                "publish it on its own platform"
            )
        sent = plan.units.filter(pl.col("action").is_in([Action.SET.value, Action.PAUSE.value]))
        answers = [
            self._edit(unit_id, 0.0 if action == Action.PAUSE.value else bid)
            for unit_id, action, bid in sent.select("unit_id", "action", "bid_cpc").iter_rows()
        ]
        rows = [(unit_id, *answer) for unit_id, answer in zip(sent["unit_id"], answers, strict=True)]
        return Receipts(pl.DataFrame(rows, schema=dict(RECEIPTS), orient="row"))

    def put(self, bids: Floats, *, rules: bool = True) -> None:
        """Put one bid per unit (n_units,) in force at once, 0 = pause; for those who need no desk.

        Without `rules` neither tick, floor, cap nor the day's edits hold: what nobody may do, and an oracle must.
        """
        if not rules:
            self._bids = np.array(bids, np.float64)
            return
        limits = self.world.limits
        ticks = np.round(np.round(bids / limits.tick) * limits.tick, 9)
        legal = np.where(bids > 0, np.clip(ticks, limits.floor, limits.cap), 0.0)
        moved = legal != self._bids
        if limits.edits_per_day is not None:
            moved &= self._edits < limits.edits_per_day
        self._bids = np.where(moved, legal, self._bids)
        self._edits += moved

    def _edit(self, unit_id: str, bid: float | None) -> tuple[str, float | None, str | None]:
        """One edit: its receipt state, the bid now in force, and a reason where it is not what was sent."""
        limits = self.world.limits
        i = self._position.get(unit_id)
        if i is None:
            return ReceiptState.REJECTED.value, None, "no such unit"
        if bid is None or not np.isfinite(bid) or bid < 0:
            return ReceiptState.REJECTED.value, float(self._bids[i]), "not a bid"
        legal = 0.0
        if bid > 0:
            legal = min(max(round(round(bid / limits.tick) * limits.tick, 9), limits.floor), limits.cap)
        if legal == self._bids[i]:
            pass  # a repeated edit is none
        elif limits.edits_per_day is not None and self._edits[i] >= limits.edits_per_day:
            return ReceiptState.REJECTED.value, float(self._bids[i]), "no edits left today"
        else:
            self._bids[i] = legal
            self._edits[i] += 1
        if abs(legal - bid) > 1e-9:
            return ReceiptState.ADJUSTED.value, legal, "rounded to the tick, or clipped to floor or cap"
        return ReceiptState.APPLIED.value, legal, None

    # -- what the world does ------------------------------------------------------------------------------------

    def advance(self, hour: Hour) -> None:
        """Run an hour with the bids in force; hours run once each, in order."""
        world, ledger, h = self.world, self.ledger, self.clock
        if h >= world.n_hours or hour != world.hours[h]:
            due = "none: the scenario is over" if h >= world.n_hours else str(world.hours[h])
            raise ConfigError(f"simulated hours run once each and in order: asked for {hour}, due is {due}")
        shoppers = world.shoppers(h)
        won, price = self._win(h, shoppers)
        paid = np.cumsum(price)
        day = int(world.expected.day[h])
        shut = self._dry or self._dry_day == day
        for_good, for_today = self.deliverable, self._day_caps[day] - self._spent_on(day)
        delivered = 0 if shut else int(np.searchsorted(paid, min(for_good, for_today), side="right"))
        open_share = 0.0 if shut else 1.0
        if not shut and delivered < won.size:
            open_share = won[delivered] / shoppers.unit.size
            self._dry, self._dry_day = for_good <= for_today, day
        price = price[:delivered]
        won = won[:delivered]
        n = world.n_units
        ledger.bids[:, h] = self._bids
        ledger.clicks[:, h] = np.bincount(shoppers.unit[won], minlength=n)
        ledger.spend[:, h] = np.bincount(shoppers.unit[won], weights=price, minlength=n)
        ledger.impressions[:, h] = ledger.clicks[:, h] + self._looks(h, open_share)
        ledger.changed[self._bids > 0, h] = h + 1
        self._take_orders(h, shoppers, won)
        self._after(h, shoppers, won, price)
        ledger.settle(h)
        self.clock += 1
        tz = world.account.tz
        if self.now.local(tz).date() != hour.local(tz).date():
            self._edits[:] = 0

    def _spent_on(self, day: int) -> float:
        """Spend of a local day so far; not asked for where no day has a budget."""
        if not np.isfinite(self._day_caps[day]):
            return 0.0
        return float(self.ledger.spend[:, self.world.expected.day == day].sum())

    @property
    def curves(self) -> Curves:
        """Expected response to any bids in this run, as far as it has gone: what hindsight knows."""
        return self.world.truth

    def _win(self, h: int, shoppers: Shoppers) -> tuple[np.ndarray, Floats]:
        """Positions of the shoppers whose click is won with the bids in force, in order of time, and the prices."""
        won = np.flatnonzero(shoppers.price < self._bids[shoppers.unit])
        return won, shoppers.price[won]

    def _after(self, h: int, shoppers: Shoppers, won: np.ndarray, price: Floats) -> None:
        """What else an hour leads to; nothing in this market."""

    def run_out(self) -> None:
        """Let the orders that are still to come arrive, after the last hour; nothing is sold any more."""
        hour = self.clock
        while self.ledger.open_orders:
            self.ledger.settle(hour)
            hour += 1

    def _take_orders(self, h: int, shoppers: Shoppers, won: np.ndarray) -> None:
        """Remember who of the winners' shoppers will order, and when."""
        clicked = np.zeros(shoppers.unit.size, np.bool_)
        clicked[won] = True
        mine = clicked[shoppers.orders]
        self.ledger.expect(
            h, shoppers.unit[shoppers.orders[mine]], shoppers.lag[mine], shoppers.value[mine], shoppers.count[mine]
        )

    def _looks(self, h: int, open_share: float) -> Floats:
        """(n_units,) impressions without a click: Poisson, by inversion, so that a higher bid never gets fewer."""
        world = self.world
        ctr = world.scenario.demand.ctr
        clicks, _ = world.truth.at_hour(h).response(self._bids[:, None])
        mean = clicks[:, 0] * open_share * (1 / ctr - 1)
        u = stream(world.seed, _IMPRESSIONS, h).random(world.n_units)
        looks = np.zeros(world.n_units)
        some = mean > 0
        looks[some] = np.ceil(np.maximum(pdtrik(u[some], mean[some]), 0.0))
        return looks
