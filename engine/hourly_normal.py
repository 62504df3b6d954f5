"""Normal distribution for compiled loops: its function, the logarithm of that, and its inverse."""

# pyright: basic
import math

from numba import njit

_SQRT_HALF = 0.7071067811865476
ROOT_2PI = 2.5066282746310002


@njit(cache=True)
def cdf(x):
    """Normal distribution function."""
    return 0.5 * math.erfc(-x * _SQRT_HALF)


@njit(cache=True)
def log_cdf(x):
    """Its logarithm, also far in the tail."""
    if x > -10.0:
        return math.log(cdf(x))
    return -0.5 * x * x - math.log(-x * ROOT_2PI) - 1.0 / (x * x)


@njit(cache=True)
def quantile(p):
    """Inverse of the normal distribution function (Acklam), relative error 1e-9 and better."""
    if p <= 0.0:
        return -40.0
    if p >= 1.0:
        return 40.0
    if p < 0.02425 or p > 1.0 - 0.02425:
        q = math.sqrt(-2.0 * math.log(p if p < 0.5 else 1.0 - p))
        x = (
            (
                (((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838) * q - 2.549732539343734)
                * q
                + 4.374664141464968
            )
            * q
            + 2.938163982698783
        ) / (
            (((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996) * q + 3.754408661907416) * q
            + 1.0
        )
        return x if p < 0.5 else -x
    q = p - 0.5
    r = q * q
    return (
        (
            (
                (
                    ((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r
                    + 1.383577518672690e02
                )
                * r
                - 3.066479806614716e01
            )
            * r
            + 2.506628277459239
        )
        * q
        / (
            (
                (
                    ((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r
                    + 6.680131188771972e01
                )
                * r
                - 1.328068155288572e01
            )
            * r
            + 1.0
        )
    )
