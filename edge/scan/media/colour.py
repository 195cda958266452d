"""Light and colours of HDR and wide-gamut video as those of a BT.709 screen.

Runs in the decoder process only. Works without numpy, whose import would double its start: FFmpeg
looks colours up in a table of 36 by 36 by 36 that is made here once a clip.

SDR video is shown as it is stored: its transfer functions differ in names more than on screens.
For HDR the reference white of 203 cd/m2 (ITU-R BT.2408-7) becomes the white of the SDR picture. The
tone curve is the identity up to white, and cuts there: what an SDR camera would have recorded stays
exactly that, and only highlights are lost. The picture is then encoded for a display of gamma 2.4
(ITU-R BT.1886).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

Matrix = tuple[tuple[float, ...], ...]

REFERENCE_WHITE = 203.0
"""cd/m2."""
SIDE = 36
"""Steps of the table along each of red, green and blue; the square of `LEVEL`."""
LEVEL = 6
_GAMMA = 2.4
# Light is looked up by its root, as the eye sees it, up to 1.9 times the white: then white,
# where the curve has its edge, is a step of the table.
_PEAK = ((SIDE - 1) / 27) ** _GAMMA

# ITU-T H.273, table 2: chromaticities of red, green, blue and white, by the number of primaries.
_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
_BT2020 = 9
_PRIMARIES = {
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), _C),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
# H.273, table 3: how values become light.
YCGCO, CONSTANT_LUMINANCE, ICTCP = 8, 10, 14
"""Matrices that swscale does not know, by their number in H.273's table 4."""
_GAMMA_28, _LINEAR, _LOG_100, _LOG_316, _PQ, _ST428, _HLG = 5, 8, 9, 10, 16, 17, 18

# SMPTE ST 2084.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# ITU-R BT.2100, table 5; system gamma of a display of 1000 cd/m2.
_A, _B, _C_HLG = 0.17883277, 0.28466892, 0.55991073
_HLG_PEAK, _SYSTEM_GAMMA = 1000.0, 1.2
_LUMA_2020 = (0.2627, 0.6780, 0.0593)
# BT.2100, tables 7 and 8, inverted: how much Ct and Cp add to I for L, M and S, of PQ and of HLG;
# and from the light of L, M, S to that of R, G, B.
_LMS_OF_PQ = ((0.008609, 0.111030), (-0.008609, -0.111030), (0.560031, -0.320627))
_LMS_OF_HLG = ((0.015719, 0.209581), (-0.015719, -0.209581), (1.021271, -0.605274))
_RGB_OF_LMS = (
    (3.436607, -2.506452, 0.069845),
    (-0.791330, 1.983600, -0.192271),
    (-0.025950, -0.098914, 1.124864),
)

# Linear light of a stored value v, 1 for the white of SDR; of HLG the scene's, 0 to 1.
_LIGHT = {
    _GAMMA_28: "pow(v,2.8)",
    _LINEAR: "v",
    _LOG_100: "gt(v,0)*pow(10,(v-1)*2)",
    _LOG_316: "gt(v,0)*pow(10,(v-1)*2.5)",
    _PQ: (
        f"pow(max(pow(v,{1 / _M2})-{_C1},0)/({_C2}-{_C3}*pow(v,{1 / _M2})),{1 / _M1})"
        f"*{10000 / REFERENCE_WHITE}"
    ),
    _ST428: f"pow(v,2.6)*{52.37 / 48}",
    _HLG: f"if(lte(v,0.5),v*v/3,(exp((v-{_C_HLG})/{_A})+{_B})/12)",
}


class ColourSpace(NamedTuple):
    """Primaries and transfer, by the numbers of ITU-T H.273.

    With one of the matrices above, values are not red, green and blue but a luma and two
    differences of colour, these plus a half.
    """

    primaries: int
    transfer: int
    matrix: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether pixels are shown as they are stored."""
        known = self.primaries in _PRIMARIES or self.transfer in _LIGHT
        return not known and not self.matrix

    @property
    def curve(self) -> str:
        """FFmpeg's expression for the root of the light of a stored value, for `lutrgb`."""
        if self.matrix:
            return "val"
        light = _LIGHT.get(self.transfer, f"pow(v,{_GAMMA})").replace("v", "(val/maxval)")
        return f"maxval*pow(clip(({light})/{self._peak},0,1),1/{_GAMMA})"

    def table(self) -> bytes:
        """A picture of `LEVEL**3` squared pixels, RGB of 16 bits: red runs fastest, then green.

        FFmpeg's `haldclut` looks up in it what `curve` made of a colour.
        """
        steps = [step / (SIDE - 1) for step in range(SIDE)]
        if not self.matrix:
            steps = [step**_GAMMA * self._peak for step in steps]
        values: list[int] = []
        for third in steps:
            for second in steps:
                for first in steps:
                    values += self._shown(first, second, third)
        return struct.pack(f"<{len(values)}H", *values)

    def _shown(self, first: float, second: float, third: float) -> Iterator[int]:
        """Red, green and blue on the screen, 16 bits, of what `curve` made of a colour's values."""
        light, primaries = (first, second, third), self.primaries
        if self.matrix == YCGCO:
            y, cg, co = first, second - 0.5, third - 0.5
            # Encoded for the screen as they are.
            light = (y - cg + co, y + cg, y - cg - co)
            yield from (round(65535 * min(1.0, max(0.0, value))) for value in light)
            return
        if self.matrix == CONSTANT_LUMINANCE:
            light = _from_constant_luminance(first, second - 0.5, third - 0.5)
        is_hlg = self.transfer == _HLG
        if self.matrix == ICTCP:
            light = _from_ictcp(first, second - 0.5, third - 0.5, is_hlg)
            primaries = _BT2020
        scale = _hlg_gain(*light) if is_hlg else 1.0
        for value in _applied(_to_bt709(primaries), light):
            yield _encoded(value * scale)

    def codes(self) -> list[int]:
        """What `curve` makes of each stored value of 8 bits."""
        light = {_PQ: _pq_light, _HLG: _hlg_light}.get(self.transfer, _plain_light)
        roots = (min(1.0, light(code / 255) / self._peak) ** (1 / _GAMMA) for code in range(256))
        return [round(255 * root) for root in roots]

    @property
    def _peak(self) -> float:
        """The brightest light that is looked up; of HLG the scene's."""
        return 1.0 if self.transfer in {_HLG, _LINEAR, _LOG_100, _LOG_316} else _PEAK


def _from_ictcp(i: float, ct: float, cp: float, is_hlg: bool) -> tuple[float, float, float]:
    """Light of red, green and blue with the primaries of BT.2020; may be negative."""
    weights, light = (_LMS_OF_HLG, _hlg_light) if is_hlg else (_LMS_OF_PQ, _pq_light)
    lms = tuple(light(min(1.0, max(0.0, i + a * ct + b * cp))) for a, b in weights)
    red, green, blue = _applied(_RGB_OF_LMS, lms)
    return red, green, blue


def _from_constant_luminance(y: float, cb: float, cr: float) -> tuple[float, float, float]:
    """Light of red, green and blue, of BT.2020's table 4 with constant luminance."""
    red = min(1.0, max(0.0, y + cr * (1.7184 if cr <= 0 else 0.9936)))
    blue = min(1.0, max(0.0, y + cb * (1.9404 if cb <= 0 else 1.5816)))
    of_red, of_green, of_blue = _LUMA_2020
    light = (_scene_light(y) - of_red * _scene_light(red) - of_blue * _scene_light(blue)) / of_green
    light = min(1.0, max(0.0, light))
    green = 4.5 * light if light < 0.018 else 1.0993 * math.pow(light, 0.45) - 0.0993
    return _plain_light(red), _plain_light(green), _plain_light(blue)


def _scene_light(value: float) -> float:
    return value / 4.5 if value < 0.081 else math.pow((value + 0.0993) / 1.0993, 1 / 0.45)


def _plain_light(value: float) -> float:
    return math.pow(value, _GAMMA)


def _pq_light(value: float) -> float:
    root = math.pow(value, 1 / _M2)
    light = math.pow(max(root - _C1, 0) / (_C2 - _C3 * root), 1 / _M1)
    return light * 10000 / REFERENCE_WHITE


def _hlg_light(value: float) -> float:
    low = value * value / 3
    return low if value <= 0.5 else (math.exp((value - _C_HLG) / _A) + _B) / 12


def _encoded(light: float) -> int:
    return round(65535 * math.pow(min(1.0, max(0.0, light)), 1 / _GAMMA))


def _hlg_gain(red: float, green: float, blue: float) -> float:
    """From the scene's light to the display's: the opto-optical transfer function of BT.2100."""
    luma = sum(weight * part for weight, part in zip(_LUMA_2020, (red, green, blue), strict=True))
    return luma ** (_SYSTEM_GAMMA - 1) * _HLG_PEAK / REFERENCE_WHITE if luma > 0 else 0.0


@cache
def _to_bt709(primaries: int) -> Matrix:
    """From linear RGB of these primaries to linear RGB of BT.709 (SMPTE RP 177)."""
    if primaries not in _PRIMARIES:
        return ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    own = _PRIMARIES[primaries]
    adapted = _product(_adaptation(own[3], _D65), _to_xyz(own))
    return _product(_inverse(_to_xyz(_BT709)), adapted)


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> Matrix:
    columns = [_xyz(*place) for place in primaries[:3]]
    matrix = tuple(zip(*columns, strict=True))
    scale = _applied(_inverse(matrix), _xyz(*primaries[3]))
    return tuple(
        tuple(value * factor for value, factor in zip(row, scale, strict=True)) for row in matrix
    )


def _adaptation(white: tuple[float, float], target: tuple[float, float]) -> Matrix:
    """From one white to another by Bradford's method."""
    cone = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
    before, after = _applied(cone, _xyz(*white)), _applied(cone, _xyz(*target))
    scaled = tuple(
        tuple(value * b / a for value in row) for row, a, b in zip(cone, before, after, strict=True)
    )
    return _product(_inverse(cone), scaled)


def _xyz(x: float, y: float) -> tuple[float, ...]:
    # The blue of XYZ itself has no luminance: ITU-T H.273 gives it the place 0, 0.
    return (x / y, 1.0, (1 - x - y) / y) if y else (x, y, 1 - x - y)


def _applied(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = tuple(zip(*right, strict=True))
    return tuple(
        tuple(sum(a * b for a, b in zip(row, c, strict=True)) for c in columns) for row in left
    )


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    return tuple(tuple(value / determinant for value in row) for row in cofactors)
