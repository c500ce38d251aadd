"""Between a plate's encoding and a display-referred picture, invertibly.

The networks and the trackers see display-referred pixels, about 0-1 with skin in the middle.
What they make goes back through the exact inverse, so values below 0 and above 1 survive.

Names of encodings are those of the OpenColorIO config in force (``$OCIO``, else the ACES
studio config that OpenColorIO carries), and these:

=====================  ====================================================================
``rec709``, ``rec601``,  display-referred video: taken as it is
``srgb``, ``hlg``
``pq``                 video after SMPTE ST 2084: taken as it is
``cineon``             printing density: stretched between its black and its white
``chromaticities:...`` scene-linear, primaries and white as eight numbers, red x first
=====================  ====================================================================
"""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from lipcore.errors import ColorError
from lipcore.media.exr_format import Part
from lipcore.types import FloatArray

if TYPE_CHECKING:
    from lipcore.media.plate import Plate

Matrix = npt.NDArray[np.float64]

LINEAR = "lin_rec709_scene"
"""What an EXR file holds where it does not say otherwise."""

_DISPLAY = ("rec709", "rec601", "srgb", "hlg", "pq")
_CINEON = (95 / 1023, 685 / 1023)
"""Code values of black and white in printing density, as fractions."""
_REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
_KNOWN_PRIMARIES = {
    _REC709: LINEAR,
    (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767): "ACEScg",
    (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767): "ACES2065-1",
}
_LUMA = np.array([0.2126, 0.7152, 0.0722])
_MIDDLE_GREY = 0.18
_LEAVE_ALONE_STOPS = 1.0
_MAX_STOPS = 10.0
_KNEE = 0.0031308
_SLOPE_AT_ONE = 1.055 / 2.4


class _Encoding(Protocol):
    """Plate pixels to linear Rec.709 or to the display, and back; ``(..., 3)`` float64."""

    def forward(self, rgb: Matrix) -> Matrix: ...
    def inverse(self, rgb: Matrix) -> Matrix: ...


@dataclass(frozen=True, slots=True)
class _Affine:
    black: float
    white: float

    def forward(self, rgb: Matrix) -> Matrix:
        return (rgb - self.black) / (self.white - self.black)

    def inverse(self, rgb: Matrix) -> Matrix:
        return rgb * (self.white - self.black) + self.black


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    matrix: Matrix

    def forward(self, rgb: Matrix) -> Matrix:
        return _multiply(rgb, self.matrix)

    def inverse(self, rgb: Matrix) -> Matrix:
        return _multiply(rgb, np.linalg.inv(self.matrix))


@dataclass(frozen=True, slots=True)
class _Curved:
    """A curve that only OpenColorIO knows."""

    name: str

    def forward(self, rgb: Matrix) -> Matrix:
        return _convert(rgb, self.name, LINEAR)

    def inverse(self, rgb: Matrix) -> Matrix:
        return _convert(rgb, LINEAR, self.name)


@dataclass(frozen=True, slots=True, eq=False)
class ColorTransform:
    """One shot's way to the display and back; make it with ``for_plate``.

    Scene-referred encodings go to linear Rec.709, are multiplied by ``exposure`` and take the
    sRGB curve: mirrored below 0, and above 1 continued by a logarithm of the same slope.
    """

    colorspace: str
    exposure: float
    _encoding: _Encoding
    _curve: bool

    @classmethod
    def for_plate(cls, colorspace: str, sample_rgb: FloatArray | None = None) -> ColorTransform:
        """Make the transform of a shot.

        Args:
            colorspace: ``PlateInfo.colorspace``.
            sample_rgb: ``(..., 3)`` pixels of the shot in its own encoding, best of the face.
                A scene-referred shot more than a stop off middle grey is brought there.

        Raises:
            ColorError: The name is unknown, or the encoding cannot be inverted.
        """
        name = check_colorspace(colorspace)
        encoding, curve = _encoding_of(name)
        exposure = 1.0
        if curve and sample_rgb is not None and sample_rgb.size:
            exposure = _exposure(encoding.forward(sample_rgb.astype(np.float64)))
        return cls(name, exposure, encoding, curve)

    @classmethod
    def of_plate(cls, plate: Plate) -> ColorTransform:
        """The transform of a plate, exposed for its middle frame whatever part is rendered.

        Raises:
            ColorError: As ``for_plate``.
            MediaError: The middle frame cannot be read.
        """
        info = plate.info
        if not _encoding_of(check_colorspace(info.colorspace))[1]:
            return cls.for_plate(info.colorspace)  # no exposure to find: no frame to look at
        absent = set(info.missing)
        center = (info.frames.first + info.frames.last) / 2
        there = (n for n in info.frames if n not in absent)
        middle = min(there, key=lambda n: abs(n - center), default=info.frames.first)
        return cls.for_plate(info.colorspace, plate.read(middle).thinned(8, 8))

    def to_display(self, rgb: FloatArray) -> FloatArray:
        """``(..., 3)`` plate pixels to display-referred ones, not clamped."""
        if self._is_identity:
            return rgb.astype(np.float32)
        values = self._encoding.forward(rgb.astype(np.float64))
        if self._curve:
            values = _encode(values * self.exposure)
        return values.astype(np.float32)

    def from_display(self, rgb: FloatArray) -> FloatArray:
        """The inverse of ``to_display``, to about 1e-6 of each value."""
        if self._is_identity:
            return rgb.astype(np.float32)
        values = rgb.astype(np.float64)
        if self._curve:
            values = _decode(values) / self.exposure
        return self._encoding.inverse(values).astype(np.float32)

    def linear_matrix(self) -> Matrix | None:
        """(3, 3) from plate pixels to what the sRGB curve takes; None where there is no curve.

        Raises:
            ColorError: The way is not a matrix and the curve.
        """
        if self._is_identity:
            return None
        if not self._curve or not isinstance(self._encoding, _Linear):
            raise ColorError(
                f"the color space {self.colorspace!r} has a curve that only OpenColorIO knows",
                hint="Convert the plate to a scene-linear space such as ACEScg first.",
                colorspace=self.colorspace,
            )
        return self._encoding.matrix * self.exposure

    def tracking_picture(self, rgb: FloatArray) -> npt.NDArray[np.uint8]:
        """``(height, width, 3)`` display-referred 8-bit picture for detectors, clamped.

        NaN becomes 0. Quantised to half floats on the way, for speed.
        """
        if self._is_identity:
            values = np.nan_to_num(rgb, nan=0.0)
            return (np.clip(values, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        if self._curve and isinstance(self._encoding, _Linear):
            scale = (self._encoding.matrix * self.exposure).astype(np.float32)
            diagonal = np.allclose(scale, np.eye(3) * scale[0, 0], atol=1e-6)
            linear = rgb * scale[0, 0] if diagonal else rgb @ scale.T
            with np.errstate(over="ignore", invalid="ignore"):
                return _display_table()[linear.astype(np.float16).view(np.uint16)]
        values = np.nan_to_num(self.to_display(rgb), nan=0.0)
        return (np.clip(values, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)

    @property
    def _is_identity(self) -> bool:
        return self.colorspace in _DISPLAY


def check_colorspace(name: str) -> str:
    """The canonical form of an encoding's name.

    Raises:
        ColorError: No encoding has this name; the hint lists near ones.
    """
    lowered = name.strip().lower()
    if lowered in (*_DISPLAY, "cineon", LINEAR):
        return lowered
    if lowered.startswith("chromaticities:"):
        _custom_primaries(lowered)
        return lowered
    known = _ocio_names()
    found = known.get(lowered)
    if found is None:
        near = difflib.get_close_matches(lowered, known, n=4, cutoff=0.5)
        shown = sorted({known[match] for match in near}) or ["ACEScg", LINEAR, *_DISPLAY]
        raise ColorError(
            f"no color space is called {name!r}",
            hint=f"Did you mean one of: {', '.join(shown)}? $OCIO chooses the config.",
            colorspace=name,
        )
    return found


def is_display_referred(colorspace: str) -> bool:
    """Pixels of this encoding can be shown, or stored as whole numbers, as they are."""
    return colorspace in (*_DISPLAY, "cineon")


def exr_colorspace(part: Part) -> str:
    """The encoding of an EXR part: by its color space attribute, else by its chromaticities.

    A name that is unknown here is passed over: files carry names of configs that are not at
    hand.
    """
    for attribute in ("colorInteropID", "oiio:ColorSpace", "colorSpace", "colorspace"):
        name = part.text(attribute)
        if name:
            try:
                return check_colorspace(name)
            except ColorError:
                continue
    primaries = part.floats("chromaticities")
    if primaries is None or len(primaries) != 8:
        return LINEAR
    for known, name in _KNOWN_PRIMARIES.items():
        if np.allclose(primaries, known, atol=2e-3):
            return name
    custom = "chromaticities:" + ",".join(f"{value:.6g}" for value in primaries)
    try:
        return check_colorspace(custom)
    except ColorError:
        return LINEAR


def _encoding_of(name: str) -> tuple[_Encoding, bool]:
    if name in _DISPLAY:
        return _Affine(0.0, 1.0), False
    if name == "cineon":
        return _Affine(*_CINEON), False
    if name == LINEAR:
        return _Linear(np.eye(3)), True
    if name.startswith("chromaticities:"):
        return _Linear(_custom_primaries(name)), True
    return _probe(name), True


@functools.lru_cache(maxsize=16)
def _probe(name: str) -> _Encoding:
    """An OpenColorIO encoding, as a matrix where it is linear."""
    probes = np.concatenate([np.eye(3), 2 * np.eye(3), -np.eye(3), np.zeros((1, 3))])
    out = _convert(probes, name, LINEAR)
    matrix = out[:3].T
    if np.allclose(out, probes @ matrix.T, rtol=1e-5, atol=1e-6):
        # Cached by name: the OpenColorIO library rounds to float32, so invert the rounded one.
        return _Linear(matrix)
    encoding = _Curved(name)
    ramp = np.repeat(np.linspace(0.05, 1.0, 39)[:, None], 3, axis=1)
    back = encoding.inverse(encoding.forward(ramp))
    if not np.allclose(back, ramp, rtol=1e-4, atol=1e-5):
        raise ColorError(
            f"the color space {name!r} cannot be inverted",
            hint="Convert the plate to a scene-linear space such as ACEScg first.",
            colorspace=name,
        )
    return encoding


def _multiply(rgb: Matrix, matrix: Matrix) -> Matrix:
    return rgb if np.array_equal(matrix, np.eye(3)) else rgb @ matrix.T


def _custom_primaries(name: str) -> Matrix:
    try:
        numbers = [float(text) for text in name.removeprefix("chromaticities:").split(",")]
        matrix = _to_rec709(numbers)
    except (ValueError, np.linalg.LinAlgError, ZeroDivisionError) as error:
        raise ColorError(
            f"{name!r} does not describe primaries",
            hint="Give eight numbers: x,y of red, green, blue and white.",
            colorspace=name,
        ) from error
    return matrix


def _to_rec709(primaries: Sequence[float]) -> Matrix:
    """Linear RGB of these primaries to linear Rec.709, white adapted after Bradford."""
    if len(primaries) != 8 or not np.isfinite(primaries).all():
        raise ValueError("eight finite numbers are needed")
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    source, white = _rgb_to_xyz(primaries)
    target, target_white = _rgb_to_xyz(_REC709)
    gain = (bradford @ target_white) / (bradford @ white)
    adapt = np.linalg.inv(bradford) @ np.diag(gain) @ bradford
    if np.allclose(primaries[:6], (1, 0, 0, 1, 0, 0)):
        adapt = np.eye(3)  # CIE XYZ itself: its white is no white that was adapted to
    matrix: Matrix = np.linalg.inv(target) @ adapt @ source
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise ValueError("the primaries lie on a line")
    return matrix


def _rgb_to_xyz(primaries: Sequence[float]) -> tuple[Matrix, Matrix]:
    points = np.asarray(primaries, np.float64).reshape(4, 2)
    xyz = np.concatenate([points, 1 - points.sum(1, keepdims=True)], axis=1)
    white = xyz[3] / xyz[3, 1]
    scale = np.linalg.solve(xyz[:3].T, white)
    return xyz[:3].T * scale, white


def _exposure(linear: Matrix) -> float:
    luma = linear.reshape(-1, 3) @ _LUMA
    luma = luma[np.isfinite(luma) & (luma > 1e-6)]
    if luma.size == 0:
        return 1.0
    low, high = np.percentile(luma, (5, 95))
    middle = luma[(luma >= low) & (luma <= high)]
    stops = float(np.log2(_MIDDLE_GREY) - np.log2(middle).mean())
    if abs(stops) <= _LEAVE_ALONE_STOPS:
        return 1.0
    return float(2.0 ** np.clip(stops, -_MAX_STOPS, _MAX_STOPS))


def _encode(linear: Matrix) -> Matrix:
    size = np.abs(linear)
    low = np.minimum(size, _KNEE) * 12.92
    middle = 1.055 * np.clip(size, _KNEE, 1.0) ** (1 / 2.4) - 0.055
    high = 1.0 + _SLOPE_AT_ONE * np.log(np.maximum(size, 1.0))
    out = np.where(size <= _KNEE, low, np.where(size <= 1.0, middle, high))
    return np.copysign(out, linear)


def _decode(display: Matrix) -> Matrix:
    size = np.abs(display)
    knee = _KNEE * 12.92
    low = size / 12.92
    middle = ((np.clip(size, knee, 1.0) + 0.055) / 1.055) ** 2.4
    high = np.exp((np.maximum(size, 1.0) - 1.0) / _SLOPE_AT_ONE)
    out = np.where(size <= knee, low, np.where(size <= 1.0, middle, high))
    return np.copysign(out, display)


@functools.lru_cache(maxsize=1)
def _display_table() -> npt.NDArray[np.uint8]:
    """8-bit display value of every half float; 0 for NaN."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
    values = _encode(np.clip(np.nan_to_num(halves, nan=0.0), 0, 1))
    return (values * 255 + 0.5).astype(np.uint8)


def _config() -> str:
    return os.environ.get("OCIO") or "ocio://studio-config-latest"


@functools.lru_cache(maxsize=4)
def _names_of(config: str) -> dict[str, str]:
    import OpenImageIO as oiio  # noqa: N813 -- the library's own short name

    opened = oiio.ColorConfig(config)
    names: dict[str, str] = {}
    for name in opened.getColorSpaceNames():
        for alias in (name, *opened.getAliases(name)):
            names.setdefault(alias.lower(), name)
    for role in opened.getRoles():
        names.setdefault(role.lower(), role)
    if not names:
        raise ColorError(
            f"the OpenColorIO config {config} cannot be read: {opened.geterror()}",
            hint="Set $OCIO to a config that opens, or unset it.",
        )
    return names


def _ocio_names() -> dict[str, str]:
    return _names_of(_config())


def _convert(rgb: Matrix, source: str, target: str) -> Matrix:
    import OpenImageIO as oiio  # noqa: N813 -- the library's own short name

    flat: Any = np.ascontiguousarray(rgb.reshape(1, -1, 3), np.float32)
    out = oiio.ImageBufAlgo.colorconvert(
        oiio.ImageBuf(flat), source, target, unpremult=False, colorconfig=_config()
    )
    if out.has_error:
        raise ColorError(
            f"{source!r} cannot be converted to {target!r}: {out.geterror()}",
            hint="Choose another --colorspace, or an OpenColorIO config that has both.",
        )
    pixels = np.asarray(out.get_pixels(oiio.FLOAT), np.float64)
    return pixels.reshape(rgb.shape)
