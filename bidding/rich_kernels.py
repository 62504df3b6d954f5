"""Compiled loops of the rich solver: clicks against cost of every unit, and the dual of one group of units.

Where a unit's value per click does not depend on its bid, its curve is a convex cost of clicks: segments of
rising marginal cost m (units whose value per click does are left to `bidding.level_kernels`). At prices z = (P, on gmv, on clicks, on orders) a click is worth
``A = w + g z_gmv + z_clicks + r z_orders``, and segment j pays where A > P m_j. The step is smoothed to a ramp

    f_j = clip(1/2 + (A dq_j - P dc_j) / kappa_j, 0, 1)        kappa_j = epsilon dc_j P_ref

which is the gradient of a convex, once differentiable dual; as epsilon shrinks it becomes the program's own.
Sums are in the basis (spend, gmv, clicks, orders); a row is a vector of weights on it. `tables`, `allowed` and `scratch`
are those of `bidding.level_kernels`; `hull` is (marginal costs, levels, values per click, whether they vary).
"""

# pyright: basic
import numpy as np
from numba import njit

from bidding.level_kernels import answer, respond


@njit(cache=True, error_model="numpy", inline="always")
def _rates(tables, start, end, i, rates):
    """Gmv, orders and value per click of a unit; whether one of them changes with the bid."""
    _c, q, v, n_, w = tables
    b = np.int64(end[i])
    clicks = 0.0 if b < 0 else np.float64(q[i, b])
    if clicks > 0.0:
        rates[i, 0], rates[i, 1], rates[i, 2] = v[i, b] / clicks, n_[i, b] / clicks, w[i, b] / clicks
    else:
        rates[i, 0], rates[i, 1], rates[i, 2] = 0.0, 0.0, 0.0
    for k in range(np.int64(start[i]) + 1, b + 1):
        y = np.float64(q[i, k])
        off = max(
            abs(v[i, k] - rates[i, 0] * y) - 1e-5 * abs(v[i, b]),
            abs(n_[i, k] - rates[i, 1] * y) - 1e-5 * abs(n_[i, b]),
            abs(w[i, k] - rates[i, 2] * y) - 1e-5 * abs(w[i, b]),
        )
        if off > 0.0:
            return True
    return False


@njit(cache=True, error_model="numpy", inline="always")
def _hull(c, q, start, end, i, cost, level, px, pq, pl):
    """Lower convex hull of a unit's cost of clicks."""
    levels = c.shape[1]
    top = 0
    a, b = np.int64(start[i]), np.int64(end[i])
    px[0] = 0.0 if a < 0 else np.float64(c[i, a])
    pq[0] = 0.0 if a < 0 else np.float64(q[i, a])
    pl[0] = a
    for k in range(a + 1, b + 1):
        x, y = np.float64(c[i, k]), np.float64(q[i, k])
        if y <= pq[top]:
            continue
        while top > 0 and (pq[top] - pq[top - 1]) * (x - px[top]) <= (y - pq[top]) * (px[top] - px[top - 1]):
            top -= 1
        top += 1
        px[top], pq[top], pl[top] = x, y, k
    level[i, 0] = pl[0]
    for t in range(top):
        cost[i, t] = (px[t + 1] - px[t]) / (pq[t + 1] - pq[t])
        level[i, t + 1] = pl[t + 1]
    for t in range(top, levels):
        cost[i, t] = np.inf
        level[i, t + 1] = pl[top]


@njit(cache=True, error_model="numpy")
def hulls(tables, start, end, hull):
    """Fill `hull`: marginal cost per click and level behind each envelope segment, values per click, whether they vary.

    Costs (n_units, n_levels) are padded with inf, levels are (n_units, n_levels + 1) from the start on. A unit whose
    value per click changes with the bid gets no hull.
    """
    c, q = tables[0], tables[1]
    cost, level, rates, varies = hull
    n, levels = c.shape
    px, pq, pl = np.empty(levels + 1), np.empty(levels + 1), np.empty(levels + 1, np.int16)
    for i in range(n):
        varies[i] = _rates(tables, start, end, i, rates)
        if not varies[i]:
            _hull(c, q, start, end, i, cost, level, px, pq, pl)


@njit(cache=True, error_model="numpy")
def rescaled(c0, q0, start0, end0, varied, tables, start, end, hull, near):
    """`hulls` from those of tables c0, q0, in place: a unit whose two rows are multiples of its old ones keeps its own.

    Gives how many were kept.
    """
    c, q = tables[0], tables[1]
    cost, level, rates, varies = hull
    n, levels = c.shape
    px, pq, pl = np.empty(levels + 1), np.empty(levels + 1), np.empty(levels + 1, np.int16)
    kept = 0
    for i in range(n):
        varies[i] = _rates(tables, start, end, i, rates)
        if varies[i]:
            continue
        b = np.int64(end[i])
        same = not varied[i] and start[i] == start0[i] and b == np.int64(end0[i])
        if same and b >= 0 and c0[i, b] > 0 and q0[i, b] > 0:
            by_cost, by_clicks = np.float64(c[i, b]) / c0[i, b], np.float64(q[i, b]) / q0[i, b]
            far = 0
            for k in range(levels):
                far += abs(c[i, k] - by_cost * c0[i, k]) > near * c[i, k]
                far += abs(q[i, k] - by_clicks * q0[i, k]) > near * q[i, k]
            if far == 0 and by_cost > 0.0 and by_clicks > 0.0:
                factor = by_cost / by_clicks
                for t in range(levels):
                    cost[i, t] *= factor
                kept += 1
                continue
        _hull(c, q, start, end, i, cost, level, px, pq, pl)
    return kept


@njit(cache=True, error_model="numpy")
def response(tables, hull, allowed, scratch, order, s, e, step, z, epsilon, reference, total, bend):
    """Smoothed dual of a range of units at prices z; fills the sums `total` (4,) and curvature `bend` (4, 4)."""
    c, q = tables[0], tables[1]
    cost, level, rates, varies = hull
    total[:] = 0.0
    bend[:] = 0.0
    price, on_gmv, on_clicks, on_orders = z[0], z[1], z[2], z[3]
    tau = 0.5 * epsilon * reference / price if price > 0.0 else 0.0
    phi = 0.0
    tc, tv, tq, tn = 0.0, 0.0, 0.0, 0.0
    cc, cv, cq, cn, vv, vq, vn, qq, qn, nn = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    width = cost.shape[1]
    for k in range(s, e, step):
        i = order[k]
        if varies[i]:
            phi += respond(i, z, epsilon, reference, tables, allowed, scratch, total, bend)
            continue
        g, r = rates[i, 0], rates[i, 1]
        gain = rates[i, 2] + g * on_gmv + on_clicks + r * on_orders
        full, none = np.inf, np.inf
        if gain <= 0.0:
            full, none = -1.0, 0.0
        elif price > 0.0:
            full = gain / price / (1.0 + tau)
            none = gain / price / (1.0 - tau) if tau < 1.0 else 1e300
        p = 0
        for j in range(width):
            p += cost[i, j] <= full
        if full == np.inf:
            p = 0
            while p < width and cost[i, p] < np.inf:
                p += 1
        at = np.int64(level[i, p])
        x = 0.0 if at < 0 else np.float64(c[i, at])
        y = 0.0 if at < 0 else np.float64(q[i, at])
        phi += gain * y - price * x
        while p < width and cost[i, p] < none:
            to = np.int64(level[i, p + 1])
            if to == at:
                break
            dc = np.float64(c[i, to]) - (0.0 if at < 0 else np.float64(c[i, at]))
            dq = np.float64(q[i, to]) - (0.0 if at < 0 else np.float64(q[i, at]))
            kappa = epsilon * dc * reference
            f = min(1.0, max(0.0, 0.5 + (gain * dq - price * dc) / kappa))
            x += f * dc
            y += f * dq
            phi += 0.5 * kappa * f * f
            if 0.0 < f < 1.0:
                h = 1.0 / kappa
                dv, dn = g * dq, r * dq
                cc += h * dc * dc
                cv += h * dc * dv
                cq += h * dc * dq
                cn += h * dc * dn
                vv += h * dv * dv
                vq += h * dv * dq
                vn += h * dv * dn
                qq += h * dq * dq
                qn += h * dq * dn
                nn += h * dn * dn
            p += 1
            at = to
        tc += x
        tv += g * y
        tq += y
        tn += r * y
    m = np.float64(step)
    sums = (tc, tv, tq, tn)
    bent = ((cc, cv, cq, cn), (cv, vv, vq, vn), (cq, vq, qq, qn), (cn, vn, qn, nn))
    for j in range(4):
        total[j] = m * (total[j] + sums[j])
        for k in range(4):
            bend[j, k] = m * (bend[j, k] + bent[j][k])
    return m * phi


@njit(cache=True, error_model="numpy")
def _solved(matrix, right, free):
    """Step on the free coordinates by elimination, lightly damped; 0 on the others."""
    d = right.size
    a, x = np.zeros((d, d)), np.zeros(d)
    for i in range(d):
        for j in range(d):
            if free[i] and free[j]:
                a[i, j] = matrix[i, j]
        if free[i]:
            a[i, i] = a[i, i] * (1.0 + 1e-9) + 1e-300
            x[i] = right[i]
        else:
            a[i, i] = 1.0
    for i in range(d):
        for j in range(i + 1, d):
            f = a[j, i] / a[i, i]
            for k in range(i, d):
                a[j, k] -= f * a[i, k]
            x[j] -= f * x[i]
        # What elimination leaves of a dependent row is rounding; it gets no step of its own.
    for i in range(d - 1, -1, -1):
        for k in range(i + 1, d):
            x[i] -= a[i, k] * x[k]
        x[i] /= a[i, i]
    return x


@njit(cache=True, error_model="numpy")
def descend(
    tables, hull, allowed, scratch, order, s, e, step, outer, rows, right, y, epsilon, reference, tol, total, bend
):
    """Minimise the smoothed dual of a range of units over the multipliers y >= 0 of its own rows.

    `rows` (d, 4) are weights on the basis, `outer` (4,) prices from rows above. Projected Newton with backtracking;
    y is changed in place, `total` and `bend` are those of the answer. Gives the dual value and evaluations made.
    """
    d = right.size
    z = np.empty(4)
    y2, gradient, free = np.empty(d), np.empty(d), np.zeros(d, np.bool_)
    total2, bend2, hessian = np.empty(4), np.empty((4, 4)), np.empty((d, d))

    for b in range(4):
        z[b] = outer[b]
        for r in range(d):
            z[b] += y[r] * rows[r, b] * (1.0 if b == 0 else -1.0)
    value = response(tables, hull, allowed, scratch, order, s, e, step, z, epsilon, reference, total, bend)
    for r in range(d):
        value += y[r] * right[r]
    count, damping, stale = 1, 1e-6, True
    scale = np.empty(d)
    for _ in range(200):
        if stale:
            worst = 0.0
            for r in range(d):
                left, paid = 0.0, 0.0
                for b in range(4):
                    left += rows[r, b] * total[b]
                    paid += abs(rows[r, b]) * total[b]
                scale[r] = max(abs(right[r]), paid, 1e-300)
                gradient[r] = right[r] - left
                free[r] = y[r] > 0.0 or gradient[r] < 0.0
                if free[r]:
                    worst = max(worst, abs(gradient[r]) / scale[r])
            if worst <= tol:
                break
        price = outer[0]
        for r in range(d):
            price += y[r] * rows[r, 0]
        for r in range(d):
            for t in range(d):
                h = 0.0
                for a in range(4):
                    for b in range(4):
                        h += rows[r, a] * bend[a, b] * rows[t, b]
                hessian[r, t] = h
            # Levenberg: with damping 1 a row that is off by a percent moves the price by a percent.
            hessian[r, r] += damping * scale[r] * rows[r, 0] / max(price, 1e-300)
        move = _solved(hessian, -gradient, free)
        dp = 0.0
        for r in range(d):
            dp += abs(move[r]) * rows[r, 0]
        share = min(1.0, 0.7 * max(price, 1e-12) / dp) if dp > 0.0 else 1.0
        slope = 0.0
        for r in range(d):
            y2[r] = max(0.0, y[r] + share * move[r]) if free[r] else y[r]
            slope += gradient[r] * (y2[r] - y[r])
        for b in range(4):
            z[b] = outer[b]
            for r in range(d):
                z[b] += y2[r] * rows[r, b] * (1.0 if b == 0 else -1.0)
        trial = response(tables, hull, allowed, scratch, order, s, e, step, z, epsilon, reference, total2, bend2)
        for r in range(d):
            trial += y2[r] * right[r]
        count += 1
        stale = trial <= value + 1e-4 * min(slope, 0.0) + 1e-14 * abs(value)
        if stale:
            damping = max(0.05 * damping, 1e-8)
            value = trial
            y[:] = y2
            total[:] = total2
            bend[:] = bend2
        else:
            damping = max(10.0 * damping, 1e-4)
            if damping > 1e8:
                break
    return value, count


@njit(cache=True, error_model="numpy")
def descend_all(
    tables, hull, allowed, scratch, order, begin, stop, sample, outer, row_at, rows, right, y, epsilon, reference, tol,
    totals, bends,
):  # fmt: skip
    """`descend` for every group that holds units; `bends` becomes what is left of it when own rows follow.

    `sample` 0 takes every unit, else about that many per group. Gives the sum of the dual values and the number of
    units that were looked at.
    """
    value, looked = 0.0, 0
    for g in range(begin.size):
        s, e = begin[g], stop[g]
        totals[g] = 0.0
        bends[g] = 0.0
        if e <= s:
            continue
        step = 1 if sample == 0 else max(1, (e - s) // sample)
        a, b = row_at[g], row_at[g + 1]
        own, count = descend(
            tables, hull, allowed, scratch, order, s, e, step, outer[g], rows[a:b], right[a:b], y[a:b], epsilon,
            reference[g], tol, totals[g], bends[g],
        )  # fmt: skip
        value += own
        looked += count * ((e - s) // step)
        # Schur complement: rows with a price keep their left side when the prices above move.
        for r in range(a, b):
            if y[r] <= 0.0:
                continue
            k = np.zeros(4)
            h = 0.0
            for i in range(4):
                for j in range(4):
                    k[i] += bends[g, i, j] * rows[r, j]
                h += rows[r, i] * k[i]
            if h > 0.0:
                for i in range(4):
                    for j in range(4):
                        bends[g, i, j] -= k[i] * k[j] / h
    return value, looked


@njit(cache=True, error_model="numpy")
def answers(tables, hull, allowed, scratch, order, begin, stop, prices, epsilon, reference, lower, upper, share):
    """Mix of two neighbouring envelope levels per unit that spends what the smoothed answer spends."""
    c, q = tables[0], tables[1]
    cost, level, rates, varies = hull
    width = cost.shape[1]
    for g in range(begin.size):
        z = prices[g]
        price = z[0]
        tau = 0.5 * epsilon * reference[g] / price if price > 0.0 else 0.0
        for k in range(begin[g], stop[g]):
            i = order[k]
            if varies[i]:
                lower[i], upper[i], share[i] = answer(i, z, epsilon, reference[g], tables, allowed, scratch)
                continue
            gain = rates[i, 2] + rates[i, 0] * z[1] + z[2] + rates[i, 1] * z[3]
            full, none = np.inf, np.inf
            if gain <= 0.0:
                full, none = -1.0, 0.0
            elif price > 0.0:
                full = gain / price / (1.0 + tau)
                none = gain / price / (1.0 - tau) if tau < 1.0 else 1e300
            p = 0
            while p < width and cost[i, p] <= full and cost[i, p] < np.inf:
                p += 1
            extra, j = 0.0, p
            while j < width and cost[i, j] < none and cost[i, j] < np.inf:
                a, b = np.int64(level[i, j]), np.int64(level[i, j + 1])
                dc = np.float64(c[i, b]) - (0.0 if a < 0 else np.float64(c[i, a]))
                dq = np.float64(q[i, b]) - (0.0 if a < 0 else np.float64(q[i, a]))
                f = min(1.0, max(0.0, 0.5 + (gain * dq - price * dc) / (epsilon * dc * reference[g])))
                extra += f * dc
                j += 1
            lower[i], upper[i], share[i] = level[i, p], level[i, p], 1.0
            while extra > 0.0 and p < j:
                a, b = np.int64(level[i, p]), np.int64(level[i, p + 1])
                dc = np.float64(c[i, b]) - (0.0 if a < 0 else np.float64(c[i, a]))
                if extra >= dc:
                    lower[i], upper[i], share[i] = b, b, 1.0
                    extra -= dc
                    p += 1
                else:
                    lower[i], upper[i], share[i] = a, b, extra / dc
                    break
