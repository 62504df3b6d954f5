"""Compiled loops of the exact laminar solver: cut the value curve of a group at its rows, children first.

The curve of a group, value as a function of spend, is the sum of its units' envelopes laid out by falling
slope. A row allows an interval of spend on it. The cut is found in three steps, none of which approximates:

1. a guess of the slope at the cut, from a strided sample of the units (only speed depends on it);
2. one pass that takes every unit to its best point at a slope just above and just below the guess; spend and
   value of both say whether the cut lies between (else the bracket moves);
3. the envelope segments between the two are sorted by slope and taken one by one; the one that breaks a row
   is taken in part.

Each unit's state is a start and an end mix of levels (`bidding.curves`); a cut moves the ends (or, where a
row forces a group to spend more, the starts), so that the parent sees curves that are cut already.
"""

# Loops stay loops: numba compiles no generator expressions.
# ruff: noqa: SIM110
# pyright: basic
import numpy as np
from numba import njit

from bidding.envelope_kernels import at, narrow, part, segments, state_at, walk

HIGH, LOW = 0, 1  # which end of the allowed interval is looked for
NONE = -1


@njit(cache=True)
def unit_ranges(parent, leaf):
    """Depth-first order of the units, and each group's range [begin, end) in it, direct members first."""
    n_groups, n = parent.size, leaf.size
    direct = np.zeros(n_groups, np.int64)
    for i in range(n):
        direct[leaf[i]] += 1
    size = direct.copy()
    for g in range(n_groups - 1, 0, -1):
        size[parent[g]] += size[g]
    begin = np.zeros(n_groups, np.int64)
    free = np.zeros(n_groups, np.int64)
    free[0] = direct[0]
    for g in range(1, n_groups):
        begin[g] = free[parent[g]]
        free[parent[g]] += size[g]
        free[g] = begin[g] + direct[g]
    order = np.empty(n, np.int32)
    at = begin.copy()
    for i in range(n):
        g = leaf[i]
        order[at[g]] = i
        at[g] += 1
    return order, begin, begin + size


@njit(cache=True, error_model="numpy")
def _before(side, theta, spend, value, budget, rho, right):
    """Whether the state at a slope lies before the cut that is looked for."""
    if side == HIGH:
        if spend > budget:
            return False
        for r in range(rho.size):
            if theta < rho[r] and right[r] - rho[r] * spend + value < 0.0:
                return False
        return True
    for r in range(rho.size):
        if theta >= rho[r] and right[r] - rho[r] * spend + value < 0.0:
            return True
    return False


@njit(cache=True, error_model="numpy")
def _room(side, theta, spend, value, budget, rho, right):
    """Signed distance of a state to the cut, relative to what is spent; positive before it."""
    least = np.inf
    if side == HIGH:
        if budget < np.inf:
            least = (budget - spend) / max(budget, spend)
        for r in range(rho.size):
            if theta < rho[r]:
                least = min(least, (right[r] - rho[r] * spend + value) / (rho[r] * max(spend, 1e-300)))
        return least
    most = -np.inf
    for r in range(rho.size):
        if theta >= rho[r]:
            most = max(most, (rho[r] * spend - value - right[r]) / (rho[r] * max(spend, 1e-300)))
    return most


@njit(cache=True, error_model="numpy")
def _guess(c, w, order, s, e, step, start, end, totals, side, budget, rho, right, hint, fine):
    """Slope near the cut by false position, in its logarithm, on a sample scaled to the exact totals."""
    sl, su, ss, _first = start
    el, eu, es = end
    x0, y0, x1, y1 = 0.0, 0.0, 0.0, 0.0
    for k in range(s, e, step):
        i = order[k]
        x0 += at(c, i, sl[i], su[i], ss[i])
        y0 += at(w, i, sl[i], su[i], ss[i])
        x1 += at(c, i, el[i], eu[i], es[i])
        y1 += at(w, i, el[i], eu[i], es[i])
    if not (x1 > x0 and y1 > y0):
        return hint
    fx = (totals[2] - totals[0]) / (x1 - x0)
    fy = (totals[3] - totals[1]) / (y1 - y0)
    none = np.empty(0, np.int16)
    upper, lower, theta, factor = np.inf, 0.0, hint, 1.3
    room_up, room_low = 1.0, -1.0
    for turn in range(60):
        ch, vh, _cl, _vl, _n = walk(c, w, order, s, e, step, start, end, theta, theta, none, none)
        at_c, at_v = totals[0] + fx * (ch - x0), totals[1] + fy * (vh - y0)
        room = _room(side, theta, at_c, at_v, budget, rho, right)
        if _before(side, theta, at_c, at_v, budget, rho, right):
            upper, room_up = theta, min(max(room, 1e-6), 10.0)
        else:
            lower, room_low = theta, max(min(room, -1e-6), -10.0)
        if upper == np.inf:
            theta = lower * factor
            factor *= factor
        elif lower == 0.0:
            theta = upper / factor
            factor *= factor
        else:
            if upper <= lower * fine:
                break
            # Every third turn halves, so that a kink cannot stall it.
            t = 0.5 if turn % 3 == 2 else min(max(room_up / (room_up - room_low), 0.05), 0.95)
            theta = upper * (lower / upper) ** t
        if not 1e-200 < theta < 1e200:
            break
    if lower == 0.0:
        return upper
    if upper == np.inf:
        return lower
    return upper * (lower / upper) ** min(max(room_up / (room_up - room_low), 0.0), 1.0)


@njit(cache=True, error_model="numpy")
def _cut(c, w, order, s, e, start, end, totals, side, budget, rho, right, hint, ph, pl, scratch):
    """Move the ends (side HIGH) or starts (side LOW) of a range of units to the cut.

    Gives spend and value there, the slope at the cut, and the row that binds: -2 the budget, else a position in
    `rho`; whether a second row is tight too.
    """
    n = e - s
    th, tl, grow = np.inf, 0.0, 1.0
    if n > 4:
        centre, margin = hint, 0.6
        if n > 1000:
            step = max(1, n // int(min(4096.0, 100.0 + np.sqrt(n))))
            margin = 0.02 + 2.0 / np.sqrt(n / step)
            centre = _guess(
                c, w, order, s, e, step, start, end, totals, side, budget, rho, right, hint, 1.0 + 0.5 * margin
            )
        th, tl, grow = centre * (1.0 + margin), centre / (1.0 + margin), margin
    while True:
        ch, vh, cl, vl, count = walk(c, w, order, s, e, 1, start, end, th, tl, ph, pl)
        if th < np.inf and not _before(side, th, ch, vh, budget, rho, right):
            grow *= 2.0
            tl, th = th, th * (1.0 + grow)
            if th > 1e250 or grow > 1e9:
                th = np.inf
        elif tl > 0.0 and _before(side, tl, cl, vl, budget, rho, right):
            grow *= 2.0
            th, tl = tl, tl / (1.0 + grow)
            if tl < 1e-250 or grow > 1e9:
                tl = 0.0
        else:
            break
    qh, ql = scratch
    for turn in range(40):
        if count <= 16 + n // 50 or not (tl > 0.0 and th < np.inf and th > tl * (1.0 + 1e-12)):
            break
        # False position between the two ends, and a bracket of a tenth of the old one about it.
        up = max(_room(side, th, ch, vh, budget, rho, right), 1e-9)
        low = max(-_room(side, tl, cl, vl, budget, rho, right), 1e-9)
        share = min(max(up / (up + low), 0.02), 0.98) if turn % 3 < 2 else 0.5
        mh, ml = th * (tl / th) ** max(share - 0.06, 0.0), th * (tl / th) ** min(share + 0.06, 1.0)
        dch, dvh, dcl, dvl, above, between, below = narrow(c, w, order, s, e, start, end, mh, ml, ph, pl, qh, ql)
        if not _before(side, mh, ch + dch, vh + dvh, budget, rho, right):
            tl, cl, vl, count = mh, ch + dch, vh + dvh, above
            for k in range(s, e):
                pl[order[k]] = qh[order[k]]
        elif _before(side, ml, ch + dcl, vh + dvl, budget, rho, right):
            th, ch, vh, count = ml, ch + dcl, vh + dvl, below
            for k in range(s, e):
                ph[order[k]] = ql[order[k]]
        else:
            tl, cl, vl = ml, ch + dcl, vh + dvl
            th, ch, vh, count = mh, ch + dch, vh + dvh, between
            for k in range(s, e):
                ph[order[k]], pl[order[k]] = qh[order[k]], ql[order[k]]
    slope, dx, dy, unit, source, sink = segments(c, w, order, s, e, start, end, ph, pl, count)
    by_slope = np.argsort(-slope, kind="mergesort")
    spend, value = ch, vh
    theta, which, both = th, NONE, False
    taken, f, at = 0, 0.0, -1
    for k in by_slope:
        share, cause = 1.0, NONE
        if side == HIGH:
            if spend + dx[k] > budget:
                share, cause = (budget - spend) / dx[k], -2
            for r in range(rho.size):
                fall = rho[r] * dx[k] - dy[k]
                left = right[r] - rho[r] * spend + value
                if fall > 0.0 and left < fall and left < share * fall:
                    share, cause = left / fall, r
        else:
            share = 0.0
            for r in range(rho.size):
                rise = dy[k] - rho[r] * dx[k]
                lack = rho[r] * spend - value - right[r]
                if lack > 0.0 and rise > 0.0 and min(1.0, lack / rise) > share:
                    share, which = min(1.0, lack / rise), r
            if share > 0.0:
                theta = slope[k]
            if share < 1.0:
                cause = which
        share = min(1.0, max(0.0, share))
        spend += share * dx[k]
        value += share * dy[k]
        if side == HIGH and cause != NONE:
            theta, which = slope[k], cause
        if share < 1.0 or cause != NONE:
            f, at = share, k
            break
        taken += 1
        if side == HIGH:
            theta = slope[k]
    if side == HIGH:
        # Rounding may let the last segment pass; the tightest row then is the one that binds.
        tight = 0
        least = np.inf
        scale = max(abs(spend), 1e-300)
        if budget < np.inf:
            room = (budget - spend) / max(abs(budget), scale)
            tight += room <= 1e-9
            if which == NONE and room < least:
                least, which = room, -2
        for r in range(rho.size):
            room = (right[r] - rho[r] * spend + value) / max(abs(right[r]), rho[r] * scale, abs(value))
            tight += room <= 1e-9
            if at == -1 and room < least:
                least, which = room, r
        both = tight > 1
    target_l, target_u, target_s = (end[0], end[1], end[2]) if side == HIGH else (start[0], start[1], start[2])
    # Positions refer to the old start and end, so they are all read before any is written: unit by unit, first
    # the state of the cut, then (below) of units whose segments were taken.
    moved = by_slope[: taken + 1] if at >= 0 else by_slope[:taken]
    m = moved.size
    nl, nu, ns = np.empty(m, np.int16), np.empty(m, np.int16), np.empty(m)
    for j in range(m):
        k = moved[j]
        nl[j], nu[j], ns[j] = part(unit[k], source[k], sink[k], f if k == at else 1.0, start, end)
    for k in range(s, e):
        i = order[k]
        l1, u1, s1 = state_at(i, ph[i], start, end)
        target_l[i], target_u[i], target_s[i] = l1, u1, s1
    for j in range(m):
        i = unit[moved[j]]
        target_l[i], target_u[i], target_s[i] = nl[j], nu[j], ns[j]
    return spend, value, theta, which, both


@njit(cache=True, error_model="numpy")
def sweep(c, w, order, begin, stop, parent, row_at, row_kind, row_rho, row_right, start, end, sums):
    """Cut every group at its rows, children first.

    `row_at` (n_groups + 1,) delimits each group's rows in `row_kind` .. `row_right`. Gives per group the
    slope and row of the upper cut, of the lower cut, and a state: 0 fine, 1 two rows tight, 2 unreachable; and
    the slope and row of an upper cut of the group's own that stood before its row was found unreachable.
    """
    n_groups = parent.size
    n = order.size
    high, high_row = np.zeros(n_groups), np.full(n_groups, -1, np.int64)
    low, low_row = np.full(n_groups, np.inf), np.full(n_groups, -1, np.int64)
    state = np.zeros(n_groups, np.int8)
    stood, stood_row = np.zeros(n_groups), np.full(n_groups, -1, np.int64)
    ph, pl = np.empty(n, np.int16), np.empty(n, np.int16)
    scratch = (np.empty(n, np.int16), np.empty(n, np.int16))
    hint = 1.0
    for g in range(n_groups - 1, -1, -1):
        s, e = begin[g], stop[g]
        budget, budget_row = np.inf, -1
        n_roi = 0
        for r in range(row_at[g], row_at[g + 1]):
            if row_kind[r] == 1:
                n_roi += 1
            elif row_right[r] < budget:
                budget, budget_row = row_right[r], r
        rho, right, index = np.empty(n_roi), np.empty(n_roi), np.empty(n_roi, np.int64)
        n_roi = 0
        for r in range(row_at[g], row_at[g + 1]):
            if row_kind[r] == 1:
                rho[n_roi], right[n_roi], index[n_roi] = row_rho[r], row_right[r], r
                n_roi += 1
        totals = sums[g]
        # Sums that were added in another order may differ in the last digits.
        noise = 1e-12
        if row_at[g + 1] > row_at[g]:
            if totals[0] > budget + noise * abs(totals[0]):
                state[g] = 2
                high[g] = np.inf
                high_row[g], low_row[g] = budget_row, budget_row
                totals[2], totals[3] = totals[0], totals[1]
                for k in range(s, e):
                    i = order[k]
                    end[0][i], end[1][i], end[2][i] = start[0][i], start[1][i], start[2][i]
            else:
                over = totals[2] > budget
                for r in range(n_roi):
                    over |= right[r] - rho[r] * totals[2] + totals[3] < 0.0
                if over and e > s:
                    average = totals[3] / totals[2] if totals[2] > 0.0 and totals[3] > 0.0 else 1.0
                    spend, value, theta, which, both = _cut(
                        c, w, order, s, e, start, end, totals, HIGH, budget, rho, right, hint * average, ph, pl, scratch
                    )
                    totals[2], totals[3] = spend, value
                    high[g] = theta
                    high_row[g] = budget_row if which == -2 else index[which]
                    if both:
                        state[g] = 1
                    if 0.0 < theta < np.inf:
                        hint = theta / average
            short, lack = False, -1
            for r in range(n_roi):
                scale = max(abs(right[r]), rho[r] * totals[2] + abs(totals[3]))
                if right[r] - rho[r] * totals[2] + totals[3] < -noise * scale:
                    short = True
                    lack = r
            if short and state[g] != 2:
                state[g] = 2
                stood[g], stood_row[g] = high[g], high_row[g]
                high[g] = max(high[g], rho[lack])
                high_row[g], low_row[g] = index[lack], index[lack]
                for k in range(s, e):
                    i = order[k]
                    start[0][i], start[1][i], start[2][i] = end[0][i], end[1][i], end[2][i]
                totals[0], totals[1] = totals[2], totals[3]
            if state[g] != 2:
                under = False
                for r in range(n_roi):
                    scale = max(abs(right[r]), rho[r] * totals[0] + abs(totals[1]))
                    under |= right[r] - rho[r] * totals[0] + totals[1] < -noise * scale
                if under and e > s:
                    spend, value, theta, which, _both = _cut(
                        c, w, order, s, e, start, end, totals, LOW, budget, rho, right, rho.max(), ph, pl, scratch
                    )
                    totals[0], totals[1] = spend, value
                    low[g] = theta
                    low_row[g] = index[max(which, 0)]
            if state[g] == 2:
                low[g] = high[g]
        if g > 0:
            for j in range(4):
                sums[parent[g], j] += totals[j]
    return high, high_row, low, low_row, state, stood, stood_row


@njit(cache=True, error_model="numpy")
def ray(at, parent, row_kind, row_rho, high, high_row, low, low_row, stood, stood_row, y):
    """Fill y (n_rows,) with the prices that prove a lost group's row out of reach; its own price is 1.

    With no objective, a price P of spend and M of gmv put every group below at the slope P / M; a cut there is kept by
    its own row's price, from the group down, just as in `prices`.
    """
    n_groups = parent.size
    price, mass = np.zeros(n_groups), np.zeros(n_groups)
    inside = np.zeros(n_groups, np.bool_)
    inside[at] = True
    r = high_row[at]
    y[r] = 1.0
    price[at] = row_rho[r] if row_kind[r] == 1 else 1.0
    mass[at] = 1.0 if row_kind[r] == 1 else 0.0
    for g in range(at, n_groups):
        a, p, m = -1, 0.0, 0.0
        slope = 0.0
        if g == at:
            p, m = price[g], mass[g]
            if stood_row[g] >= 0 and stood_row[g] != r and stood[g] * m > p:
                a, slope = stood_row[g], stood[g]
        else:
            if not inside[parent[g]]:
                continue
            inside[g] = True
            p, m = price[parent[g]], mass[parent[g]]
            if high_row[g] >= 0 and high[g] * m > p:
                a, slope = high_row[g], high[g]
            elif low_row[g] >= 0 and low[g] < np.inf and p > low[g] * m:
                a, slope = low_row[g], low[g]
        if a >= 0:
            if row_kind[a] == 1:
                y[a] = (slope * m - p) / (row_rho[a] - slope)
                p, m = p + y[a] * row_rho[a], m + y[a]
            else:
                y[a] = slope * m - p
                p += y[a]
        price[g], mass[g] = p, m


@njit(cache=True, error_model="numpy")
def prices(parent, row_kind, row_rho, high, high_row, low, low_row, state):
    """Effective slope of each group and the multiplier of each row, in closed form from the root down."""
    n_groups = parent.size
    theta, pooled = np.zeros(n_groups), np.ones(n_groups)
    multiplier = np.zeros(row_kind.size)
    for g in range(n_groups):
        above = 0.0 if g == 0 else theta[parent[g]]
        mass = 1.0 if g == 0 else pooled[parent[g]]
        theta[g], pooled[g] = above, mass
        if state[g] == 2:
            theta[g] = high[g]
            continue
        if above < high[g] and high_row[g] >= 0:
            at, r = high[g], high_row[g]
        elif above > low[g]:
            at, r = low[g], low_row[g]
        else:
            continue
        theta[g] = at
        if row_kind[r] == 1:
            multiplier[r] = mass * (at - above) / (row_rho[r] - at)
            pooled[g] = mass + multiplier[r]
        else:
            multiplier[r] = mass * (at - above)
    return theta, multiplier
