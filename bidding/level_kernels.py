"""Compiled geometry of units whose value per click depends on the bid, such as positions on a page of results.

What a click is worth then changes from level to level, and with it, at prices z = (P, on gmv, on clicks, on orders), the
envelope itself: level l gives ``A_l = w_l + z_gmv v_l + z_clicks q_l + z_orders n_l`` for the spend c_l. So the envelope
of (c, A) is laid anew at every z, and each of its segments is taken by the ramp of `bidding.rich_kernels`,

    f = clip(1/2 + (dA - P dc) / kappa, 0, 1)        kappa = epsilon dc P_ref

The sum stays convex and once differentiable in z: the envelope is the largest mix of linear functions of z, f falls
along it, and a level that enters or leaves the envelope has equal f on both sides.

Everywhere `tables` is (spend, clicks, gmv, orders, value), (n_units, n_levels) each, `allowed` is (first level, last level,
may pause), (n_units,) each, and `scratch` room for one envelope: spend, A, level, (n_levels + 1,) each.
"""

# pyright: basic
import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def envelope(i, z, tables, allowed, scratch):
    """Lay unit i's upper envelope into `scratch` from its pause or first level on; gives the index of its last point."""
    c, q, v, n_, w = tables
    first, last, may = allowed
    px, pa, pl = scratch
    k = np.int64(first[i])
    if may[i]:
        px[0], pa[0], pl[0] = 0.0, 0.0, -1
    else:
        px[0], pl[0] = np.float64(c[i, k]), k
        pa[0] = w[i, k] + z[1] * v[i, k] + z[2] * q[i, k] + z[3] * n_[i, k]
        k += 1
    top = 0
    while k <= last[i]:
        x, y = np.float64(c[i, k]), w[i, k] + z[1] * v[i, k] + z[2] * q[i, k] + z[3] * n_[i, k]
        if x > px[top] or y > pa[top]:
            if x <= px[top]:  # as cheap, and better
                top -= 1
            while top > 0 and (pa[top] - pa[top - 1]) * (x - px[top]) <= (y - pa[top]) * (px[top] - px[top - 1]):
                top -= 1
            top += 1
            px[top], pa[top], pl[top] = x, y, k
        k += 1
    return top


@njit(cache=True, error_model="numpy")
def respond(i, z, epsilon, reference, tables, allowed, scratch, total, bend):
    """Unit i's part of the smoothed dual; its sums are added to `total` (4,), its curvature to `bend` (4, 4)."""
    c, q, v, n_, _w = tables
    px, pa, pl = scratch
    top = envelope(i, z, tables, allowed, scratch)
    a = np.int64(pl[0])
    x0, v0, q0, n0 = 0.0, 0.0, 0.0, 0.0
    if a >= 0:
        x0, v0, q0, n0 = np.float64(c[i, a]), np.float64(v[i, a]), np.float64(q[i, a]), np.float64(n_[i, a])
        total[0] += x0
        total[1] += v0
        total[2] += q0
        total[3] += n0
    phi = pa[0] - z[0] * px[0]
    for t in range(top):
        dc, da = px[t + 1] - px[t], pa[t + 1] - pa[t]
        gain, kappa = da - z[0] * dc, epsilon * dc * reference
        f = 0.5 + gain / kappa
        if f <= 0.0:
            break
        b = np.int64(pl[t + 1])
        x1, v1, q1, n1 = np.float64(c[i, b]), np.float64(v[i, b]), np.float64(q[i, b]), np.float64(n_[i, b])
        d = (x1 - x0, v1 - v0, q1 - q0, n1 - n0)
        x0, v0, q0, n0 = x1, v1, q1, n1
        if f >= 1.0:
            f = 1.0
            phi += gain
        else:
            phi += 0.5 * kappa * f * f
            for j in range(4):
                for k in range(4):
                    bend[j, k] += d[j] * d[k] / kappa
        for j in range(4):
            total[j] += f * d[j]
    return phi


@njit(cache=True, error_model="numpy")
def answer(i, z, epsilon, reference, tables, allowed, scratch):
    """Mix of two neighbours on unit i's envelope that spends what its smoothed answer spends: lower, upper, share."""
    px, pa, pl = scratch
    top = envelope(i, z, tables, allowed, scratch)
    extra = 0.0
    for t in range(top):
        dc = px[t + 1] - px[t]
        f = 0.5 + (pa[t + 1] - pa[t] - z[0] * dc) / (epsilon * dc * reference)
        if f <= 0.0:
            break
        extra += min(1.0, f) * dc
    for t in range(top):
        dc = px[t + 1] - px[t]
        if extra < dc:
            if extra <= 0.0:
                return pl[t], pl[t], 1.0
            return pl[t], pl[t + 1], extra / dc
        extra -= dc
    return pl[top], pl[top], 1.0
