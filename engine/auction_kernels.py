"""Compiled loops behind `AuctionBidder`, loaded before a day begins."""

from functools import cache

import numpy as np

from domain.auctions import TargetMode
from engine.auction_counts import BINS, Places, Scale
from engine.auction_goal import Bought, Program, choose
from engine.auction_outlook import Ahead
from engine.auction_response import response
from engine.auction_value import ValueLevel
from predictors.price_level import follow_level


@cache
def load_kernels() -> None:
    """Let compiled loops be loaded before the day rather than within its first call: a program of one cell."""
    scale = Scale.around(np.ones(1), 1.0)
    table = np.zeros((1, scale.n_buckets, BINS))
    table[:, :, BINS // 2] = 1.0
    ahead = Ahead(table, np.ones(table.shape[:2]), 0.0, 0.0, 1.0, 1.0)
    bids, exposures, spend = response(ahead, scale, Places(False), False)
    program = Program(bids, exposures, spend, ahead.value.reshape(-1), scale.n_buckets)
    choose(program, Bought(), program.most / 2, None, TargetMode.HARD, ValueLevel())
    follow_level(np.zeros(2), np.ones(2), 2)
