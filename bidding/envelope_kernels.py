"""Compiled geometry of one unit's value curve between its start and its end: best points, envelope, mixes.

`start` is (lower, upper, share, first): the start mix of every unit and its first allowed level; `end` is
(lower, upper, share). Positions along a curve count from 0 (the start) over the levels between to the end.
`c` is the spend table, `w` the value table, both (n_units, n_levels), `order` a permutation of the units.
"""

# pyright: basic
import numpy as np
from numba import njit


@njit(cache=True, inline="always")
def at(table, i, lower, upper, share):
    """A mix of two levels, read from one table; level -1 gives 0."""
    a = 0.0 if lower < 0 else np.float64(table[i, lower])
    if lower == upper or share <= 0.0:
        return a
    return a + share * (np.float64(table[i, upper]) - a)


@njit(cache=True, inline="always")
def inside(sl, su, el, eu, first):
    """Levels strictly between start and end, [a, b) with a <= b, so that the end's position is never the start's."""
    # max with 0 tells the compiler that no index is negative.
    a = max(np.int64(su) + (1 if sl == su else 0), np.int64(first), np.int64(0))
    return a, max(a, np.int64(el) + (0 if el == eu else 1))


@njit(cache=True, error_model="numpy")
def walk(c, w, order, s, e, step, start, end, th, tl, ph, pl):
    """Spend and value of every `step`-th unit of a range at its best points for two slopes th >= tl.

    Of equally good points the cheapest counts. Keeps the positions where `ph` and `pl` have room. Gives spend and
    value at th, the same at tl, and how many steps of position lie between.
    """
    sl, su, ss, first = start
    el, eu, es = end
    keep = ph.size > 0
    ch, vh, cl, vl = 0.0, 0.0, 0.0, 0.0
    between = 0
    for k in range(s, e, step):
        i = order[k]
        x0, y0 = at(c, i, sl[i], su[i], ss[i]), at(w, i, sl[i], su[i], ss[i])
        x1, y1 = at(c, i, el[i], eu[i], es[i]), at(w, i, el[i], eu[i], es[i])
        a, b = inside(sl[i], su[i], el[i], eu[i], first[i])
        zh = np.inf if th == np.inf else y0 - th * x0
        zl = y0 - tl * x0
        lh, ll = a - 1, a - 1
        for level in range(a, b):
            x, y = np.float64(c[i, level]), np.float64(w[i, level])
            z = y - th * x
            if z > zh:
                zh = z
                lh = level
            z = y - tl * x
            if z > zl:
                zl = z
                ll = level
        if y1 - th * x1 > zh:
            lh = b
        if y1 - tl * x1 > zl:
            ll = b
        # At th = tl both are the same; rounding must not put the second before the first.
        ll = max(lh, ll)
        if lh == b:
            ch += x1
            vh += y1
        elif lh < a:
            ch += x0
            vh += y0
        else:
            ch += np.float64(c[i, lh])
            vh += np.float64(w[i, lh])
        if ll == b:
            cl += x1
            vl += y1
        elif ll < a:
            cl += x0
            vl += y0
        else:
            cl += np.float64(c[i, ll])
            vl += np.float64(w[i, ll])
        between += ll - lh
        if keep:
            ph[i] = lh - a + 1
            pl[i] = ll - a + 1
    return ch, vh, cl, vl, between


@njit(cache=True, error_model="numpy")
def narrow(c, w, order, s, e, start, end, th, tl, ph, pl, qh, ql):
    """Positions qh, ql at two slopes th >= tl between those of a bracket, for units that the bracket leaves open.

    The best point moves one way with the slope, so only positions ph .. pl are looked at. Gives spend and value at
    th and at tl over those at ph, and the steps of position between ph and qh, qh and ql, ql and pl.
    """
    sl, su, ss, first = start
    el, eu, es = end
    ch, vh, cl, vl = 0.0, 0.0, 0.0, 0.0
    above, between, below = 0, 0, 0
    for k in range(s, e):
        i = order[k]
        p0, p1 = np.int64(ph[i]), np.int64(pl[i])
        if p0 == p1:
            qh[i], ql[i] = p0, p0
            continue
        a, b = inside(sl[i], su[i], el[i], eu[i], first[i])
        final = b - a + 1
        if p0 == 0:
            x0, y0 = at(c, i, sl[i], su[i], ss[i]), at(w, i, sl[i], su[i], ss[i])
        else:
            x0, y0 = np.float64(c[i, a + p0 - 1]), np.float64(w[i, a + p0 - 1])
        zh, zl = y0 - th * x0, y0 - tl * x0
        ih, il = p0, p0
        xh, yh, xl, yl = x0, y0, x0, y0
        for p in range(p0 + 1, p1 + 1):
            if p == final:
                x, y = at(c, i, el[i], eu[i], es[i]), at(w, i, el[i], eu[i], es[i])
            else:
                x, y = np.float64(c[i, a + p - 1]), np.float64(w[i, a + p - 1])
            z = y - th * x
            if z > zh:
                zh = z
                ih = p
                xh = x
                yh = y
            z = y - tl * x
            if z > zl:
                zl = z
                il = p
                xl = x
                yl = y
        if il < ih:
            il, xl, yl = ih, xh, yh
        ch += xh - x0
        vh += yh - y0
        cl += xl - x0
        vl += yl - y0
        above += ih - p0
        between += il - ih
        below += p1 - il
        qh[i], ql[i] = ih, il
    return ch, vh, cl, vl, above, between, below


@njit(cache=True, error_model="numpy")
def segments(c, w, order, s, e, start, end, ph, pl, count):
    """Envelope segments of every unit between its two positions: slope, spend, value, unit, from, to."""
    sl, su, ss, first = start
    el, eu, es = end
    slope, dx, dy = np.empty(count), np.empty(count), np.empty(count)
    unit, source, sink = np.empty(count, np.int32), np.empty(count, np.int16), np.empty(count, np.int16)
    width = c.shape[1] + 3
    px, py, pp = np.empty(width), np.empty(width), np.empty(width, np.int16)
    n = 0
    for k in range(s, e):
        i = order[k]
        if ph[i] == pl[i]:
            continue
        a, b = inside(sl[i], su[i], el[i], eu[i], first[i])
        final = b - a + 1
        top = -1
        for p in range(ph[i], pl[i] + 1):
            if p == 0:
                x, y = at(c, i, sl[i], su[i], ss[i]), at(w, i, sl[i], su[i], ss[i])
            elif p == final:
                x, y = at(c, i, el[i], eu[i], es[i]), at(w, i, el[i], eu[i], es[i])
            else:
                x, y = np.float64(c[i, a + p - 1]), np.float64(w[i, a + p - 1])
            while top >= 1 and (py[top] - py[top - 1]) * (x - px[top]) <= (y - py[top]) * (px[top] - px[top - 1]):
                # A chord that is cut already stays a segment of its own, so that a mix never has three levels.
                if (pp[top] == 1 and sl[i] != su[i]) or (pp[top] == final - 1 and p == final and el[i] != eu[i]):
                    break
                top -= 1
            top += 1
            px[top], py[top], pp[top] = x, y, p
        steepest = np.inf
        for t in range(top):
            step_x, step_y = px[t + 1] - px[t], py[t + 1] - py[t]
            if step_x > 0.0:
                steepest = min(steepest, step_y / step_x)
            slope[n], dx[n], dy[n] = steepest, step_x, step_y
            unit[n], source[n], sink[n] = i, pp[t], pp[t + 1]
            n += 1
    return slope[:n], dx[:n], dy[:n], unit[:n], source[:n], sink[:n]


@njit(cache=True, error_model="numpy")
def state_at(i, p, start, end):
    """Mix of levels at a position of a unit's curve."""
    sl, su, ss, first = start
    el, eu, es = end
    a, b = inside(sl[i], su[i], el[i], eu[i], first[i])
    if p == 0:
        return sl[i], su[i], ss[i]
    if p == b - a + 1:
        return el[i], eu[i], es[i]
    return np.int16(a + p - 1), np.int16(a + p - 1), 1.0


@njit(cache=True, error_model="numpy")
def part(i, p, q, f, start, end):
    """Mix at the share f of the way from position p to q, neighbours on the envelope."""
    al, au, asx = state_at(i, p, start, end)
    bl, bu, bsx = state_at(i, q, start, end)
    if f <= 0.0:
        return al, au, asx
    if f >= 1.0:
        return bl, bu, bsx
    if al == au and bl == bu:
        return al, bl, f
    if al == au:
        return bl, bu, f * bsx
    if bl == bu:
        return al, au, asx + f * (1.0 - asx)
    return al, au, asx + f * (bsx - asx)


@njit(cache=True, error_model="numpy")
def last_slope(c, w, leaf, free, start, end):
    """Smallest slope at which a unit of a group that no row binds still gains; inf where there is none."""
    least = np.inf
    sl, su, ss, first = start
    el, eu, es = end
    for i in range(leaf.size):
        if not free[leaf[i]]:
            continue
        x1, y1 = at(c, i, el[i], eu[i], es[i]), at(w, i, el[i], eu[i], es[i])
        x, y = at(c, i, sl[i], su[i], ss[i]), at(w, i, sl[i], su[i], ss[i])
        own = np.inf
        if x1 > x and y1 > y:
            own = (y1 - y) / (x1 - x)
        a, b = inside(sl[i], su[i], el[i], eu[i], first[i])
        for level in range(a, b):
            x, y = np.float64(c[i, level]), np.float64(w[i, level])
            if x1 > x and y1 > y:
                own = min(own, (y1 - y) / (x1 - x))
        least = min(least, own)
    return least


@njit(cache=True, error_model="numpy")
def all_segments(c, w, order, start, end):
    """Every envelope segment of every unit between its start and end: slope, spend, value, unit."""
    sl, su, _ss, first = start
    el, eu, es = end
    n = order.size
    ph, pl = np.zeros(n, np.int16), np.zeros(n, np.int16)
    count = 0
    for i in range(n):
        a, b = inside(sl[i], su[i], el[i], eu[i], first[i])
        if sl[i] != el[i] or su[i] != eu[i] or (sl[i] != su[i] and _ss[i] != es[i]):
            pl[i] = b - a + 1
            count += b - a + 1
    slope, dx, dy, unit, _source, _sink = segments(c, w, order, 0, n, start, end, ph, pl, count)
    return slope, dx, dy, unit


@njit(cache=True, error_model="numpy")
def laid_out(slope, dx, dy):
    """Segments by falling slope: minus the slope, ascending, and spend and value before each (one entry more).

    Three counting passes over the upper 33 bits of the slope, then insertion, which finds little to do; slopes must
    not be negative. Where insertion finds much to do after all, a common sort takes over.
    """
    n = slope.size
    bits = slope.view(np.int64)
    order, turned = np.arange(n - 1, -1, -1), np.empty(n, np.int64)
    for shift in (30, 41, 52):
        count = np.zeros(2049, np.int64)
        for k in range(n):
            count[2048 - ((bits[k] >> shift) & 2047)] += 1
        for b in range(2048):
            count[b + 1] += count[b]
        for j in range(n):
            k = order[j]
            b = 2047 - ((bits[k] >> shift) & 2047)
            turned[count[b]] = k
            count[b] += 1
        order, turned = turned, order
    moves = 0
    for j in range(1, n):
        k, i = order[j], j
        while i > 0 and slope[order[i - 1]] < slope[k]:
            order[i] = order[i - 1]
            i -= 1
        order[i] = k
        moves += j - i
        if moves > 20 * n:
            order = np.argsort(-slope)
            break
    falling, spend, gain = np.empty(n), np.zeros(n + 1), np.zeros(n + 1)
    for j in range(n):
        k = order[j]
        falling[j] = -slope[k]
        spend[j + 1] = spend[j] + dx[k]
        gain[j + 1] = gain[j] + dy[k]
    return falling, spend, gain
