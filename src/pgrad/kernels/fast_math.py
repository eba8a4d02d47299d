"""Branch-free elementary functions, so that a loop over lanes vectorises.

The C library's `sin`, `exp` and `tanh` are calls: a loop that makes one takes one lane at a time (here 26 ns for sine
and cosine against 2 ns, 4 ns for exp against 0.3 ns, 20 ns for tanh against 0.3 ns).
"""

from typing import Any

import numpy as np

from pgrad.kernels.jit import both

f4 = np.float32
i4 = np.int32

PI = 3.141592653589793
TURN = 2.0 * PI  # rad


@both
def sin_cos(angle: float) -> tuple[float, float]:
    """Return sine and cosine of an angle in radians, in float64.

    Within 1.7e-16 of the exact value for |angle| ≤ 10; the error grows with the angle by about 1e-21 a radian, from a
    reduction by π/2 in two parts (Cody and Waite 1980). Polynomials on [-π/4, π/4]: fdlibm's `__kernel_sin`, `_cos`.
    """
    quarter_turns = np.floor(angle * 0.6366197723675814 + 0.5)
    r = (angle - quarter_turns * 1.5707963267341256) - quarter_turns * 6.077100506506192e-11
    z = r * r
    s = -2.50507602534068634195e-08 + z * 1.58969099521155010221e-10
    s = -1.98412698298579493134e-04 + z * (2.75573137070700676789e-06 + z * s)
    s = r + r * z * (-1.66666666666666324348e-01 + z * (8.33333333332248946124e-03 + z * s))
    c = 2.08757232129817482790e-09 + z * -1.13596475577881948265e-11
    c = 2.48015872894767294178e-05 + z * (-2.75573143513906633035e-07 + z * c)
    c = 1.0 - 0.5 * z + z * z * (4.16666666666666019037e-02 + z * (-1.38888888888741095749e-03 + z * c))
    quadrant = quarter_turns - 4.0 * np.floor(quarter_turns * 0.25)
    swapped = (quadrant == 1.0) | (quadrant == 3.0)
    sine = c if swapped else s
    cosine = s if swapped else c
    sine = -sine if quadrant >= 2.0 else sine
    cosine = -cosine if (quadrant == 1.0) | (quadrant == 2.0) else cosine
    return sine, cosine


@both
def wrap_angle(angle: float) -> float:
    """Return the same direction [rad] in [-π, π), up to rounding."""
    return angle - TURN * np.floor((angle + PI) / TURN)  # type: ignore[no-any-return]


@both
def exp(x: Any) -> Any:
    """Return eˣ in float32, relative error below 1.2e-7 for -87 ≤ x ≤ 88; clamped outside. NaN stays NaN.

    Cephes' `expf`.
    """
    x = min(max(x, f4(-87.0)), f4(88.0)) if x == x else x
    k = np.floor(x * f4(1.44269504) + f4(0.5))
    r = (x - k * f4(0.693359375)) - k * f4(-2.12194440e-4)
    p = f4(1.9875691500e-4) * r + f4(1.3981999507e-3)
    p = (p * r + f4(8.3334519073e-3)) * r + f4(4.1665795894e-2)
    p = (p * r + f4(1.6666665459e-1)) * r + f4(5.0000001201e-1)
    power = i4((i4(k) + i4(127)) << i4(23)).view(np.float32)
    return (p * r * r + r + f4(1.0)) * power


@both
def tanh(x: Any) -> Any:
    """Return tanh x in float32, absolute error below 3e-7. NaN stays NaN. Eigen's rational fit of degree 13/6."""
    x = min(max(x, f4(-7.905311)), f4(7.905311)) if x == x else x
    z = x * x
    p = f4(-2.76076847742355e-16) * z + f4(2.00018790482477e-13)
    p = (p * z + f4(-8.60467152213735e-11)) * z + f4(5.12229709037114e-08)
    p = (p * z + f4(1.48572235717979e-05)) * z + f4(6.37261928875436e-04)
    p = (p * z + f4(4.89352455891786e-03)) * x
    q = f4(1.19825839466702e-06) * z + f4(1.18534705686654e-04)
    q = (q * z + f4(2.26843463243900e-03)) * z + f4(4.89352518554385e-03)
    return p / q


@both
def log(x: Any) -> Any:
    """Return log x in float32 of a normal x > 0, relative error below 2e-7 away from 1. Cephes' `logf`."""
    bits = f4(x).view(np.int32)
    exponent = (bits >> i4(23)) - i4(126)
    mantissa = i4((bits & i4(0x007FFFFF)) | i4(0x3F000000)).view(np.float32)  # in [½, 1)
    small = mantissa < f4(0.707106781186547524)
    e = f4(exponent) - (f4(1.0) if small else f4(0.0))
    r = mantissa + (mantissa if small else f4(0.0)) - f4(1.0)
    z = r * r
    p = f4(7.0376836292e-2) * r + f4(-1.1514610310e-1)
    p = (p * r + f4(1.1676998740e-1)) * r + f4(-1.2420140846e-1)
    p = (p * r + f4(1.4249322787e-1)) * r + f4(-1.6668057665e-1)
    p = (p * r + f4(2.0000714765e-1)) * r + f4(-2.4999993993e-1)
    p = (p * r + f4(3.3333331174e-1)) * r * z + e * f4(-2.12194440e-4) - f4(0.5) * z
    return r + p + e * f4(0.693359375)
