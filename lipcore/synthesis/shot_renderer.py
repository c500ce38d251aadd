"""The ``shot`` renderer: the shot's own mouths, carried to where the dialogue wants them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lipcore.media.color import ColorTransform
from lipcore.synthesis.bank import FrameBank
from lipcore.synthesis.inner_mouth import InnerMouthPainter
from lipcore.synthesis.matte import match_light, mouth_matte, mouth_window, shared_skin
from lipcore.synthesis.select import SelectionConfig, select_sources
from lipcore.synthesis.targets import MouthTargets
from lipcore.synthesis.warp import look_up, warp_mouth
from lipcore.types import FaceTrack, FloatArray, Frame, Patch, Window

Sources = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Frames by number, and which scene of the shot each is in."""

    numbers: npt.NDArray[np.int64]
    scenes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, numbers: npt.NDArray[np.int64], cuts: tuple[int, ...]) -> Moments:
        """Frames of a shot with these cuts."""
        return cls(numbers, np.searchsorted(np.sort(cuts), numbers, side="right"))


class ShotRenderer:
    """Frames of the plate supply the new mouth: picked by shape and pose, warped, relit.

    Args:
        targets: What is drawn, over the frames of the render.
        track: The face over the same frames.
        bank: The shot's lower faces.
        bank_landmarks: ``(S, 478, 3)`` landmarks of the bank's frames, square pixels.
        bank_shapes: ``(S, F)`` their pose-free mouths, as in ``MouthTargets``.
        bank_angles: ``(S, 2)`` their yaw and pitch.
        color: Between the plate's encoding and display-referred values.
        painter: Fills what the shot never showed of the inner mouth.
        selection: Prices of the path through the bank.
        feather: Softness of the matte, interocular units.
    """

    name = "shot"

    def __init__(
        self,
        targets: MouthTargets,
        track: FaceTrack,
        bank: FrameBank,
        bank_landmarks: FloatArray,
        bank_shapes: FloatArray,
        bank_angles: FloatArray,
        color: ColorTransform,
        painter: InnerMouthPainter,
        *,
        selection: SelectionConfig,
        feather: float,
    ) -> None:
        self._targets = targets
        self._aspect = track.pixel_aspect
        self._bank = bank
        self._landmarks = bank_landmarks
        self._color = color
        self._painter = painter
        self._feather = feather
        drawn = np.flatnonzero(targets.present & (targets.strength > 0))
        asked = Moments.of(targets.frames.first + drawn, track.cuts)
        shown = Moments.of(bank.numbers, track.cuts)
        self._sources: dict[int, Sources] = {}
        if len(drawn):
            path = select_sources(
                targets.wanted_shape[drawn],
                bank_shapes,
                targets.angles_deg[drawn],
                bank_angles,
                selection,
                asked_scene=asked.scenes,
                shown_scene=shown.scenes,
                asked_number=asked.numbers,
                shown_number=shown.numbers,
            )
            self._sources = _blend_jumps(path, asked, shown)

    @property
    def sources(self) -> dict[int, Sources]:
        """For each drawn frame: (frame number in the plate, share) of what it is made of."""
        numbers = self._bank.numbers
        return {
            frame: tuple((int(numbers[s]), share) for s, share in sources)
            for frame, sources in self._sources.items()
        }

    def render(self, frame: Frame) -> Patch | None:
        """See ``MouthRenderer``."""
        if frame.number not in self._sources:
            return None
        index = self._targets.frames.index(frame.number)
        old, new = self._targets.shown[index], self._targets.wanted[index]
        window = mouth_window(
            old, new, frame.window, feather=self._feather, pixel_aspect=self._aspect
        )
        if min(window.shape) < 4:
            return None
        alpha, hard = mouth_matte(
            old, new, window, feather=self._feather, pixel_aspect=self._aspect
        )
        plate = self._color.to_display(
            np.ascontiguousarray(frame.part(window))
        )
        made = self.draw_mouth(frame.number, old, new, window, plate, alpha)
        strength = min(1.0, float(self._targets.strength[index]) * 10)
        alpha *= np.float32(strength)
        rgb = self._color.from_display(made) * alpha[..., None]
        return Patch(window, rgb.astype(np.float32), alpha, hard)

    def draw_mouth(
        self,
        number: int,
        old: FloatArray,
        new: FloatArray,
        window: Window,
        plate: FloatArray,
        alpha: FloatArray,
    ) -> FloatArray:
        """The new mouth from the shot's own frames, ``(h, w, 3)`` display-referred.

        Args:
            number: The frame.
            old: ``(478, 3)`` landmarks of the plate, square pixels.
            new: ``(478, 3)`` landmarks of the new mouth.
            window: Plate pixels to draw.
            plate: ``(h, w, 3)`` the plate there, display-referred: its light is matched.
            alpha: ``(h, w)`` the matte there.
        """
        common = shared_skin(old, new, window, self._aspect)
        made = np.zeros_like(plate)
        for source, share in self._sources[number]:
            made += np.float32(share) * self._draw(source, new, window, plate, alpha, common)
        return made

    def draw_inside(
        self, number: int, made: FloatArray, new: FloatArray, window: Window
    ) -> FloatArray:
        """Put the shot's own inner mouth between the lips of another renderer's picture.

        Args:
            number: The frame.
            made: ``(h, w, 3)`` display-referred picture of the new mouth.
            new: ``(478, 3)`` landmarks of the new mouth, square pixels.
            window: Plate pixels that ``made`` covers.
        """
        out = np.zeros_like(made)
        for source, share in self._sources[number]:
            picture, covered = self._bank.read(source)
            taken = self._landmarks[source]
            warp = warp_mouth(new, taken, window, self._aspect)
            shown = self._color.to_display(picture)
            out += np.float32(share) * self._painter.fill(
                made, shown, covered, warp, new, taken, window, self._aspect
            )
        return out

    def _draw(
        self,
        source: int,
        new: FloatArray,
        window: Window,
        plate: FloatArray,
        alpha: FloatArray,
        common: FloatArray,
    ) -> FloatArray:
        """The new mouth made from one frame of the bank, display-referred."""
        picture, covered = self._bank.read(source)
        return carry_mouth(
            self._color.to_display(picture), covered, self._landmarks[source], new, window,
            plate, alpha, common, self._painter, self._aspect,
        )


def carry_mouth(
    shown: FloatArray,
    covered: Window,
    taken: FloatArray,
    new: FloatArray,
    window: Window,
    plate: FloatArray,
    alpha: FloatArray,
    common: FloatArray,
    painter: InnerMouthPainter,
    pixel_aspect: float,
) -> FloatArray:
    """A mouth of one frame carried to new landmarks in another, ``(h, w, 3)``.

    Args:
        shown: ``(H, W, 3)`` the source's lower face, display-referred.
        covered: What ``shown`` covers of its own frame.
        taken: ``(478, 3)`` the source's landmarks, square pixels.
        new: ``(478, 3)`` the landmarks of the new mouth, likewise.
        window: Pixels to draw.
        plate: ``(h, w, 3)`` the frame that is drawn on, display-referred.
        alpha: ``(h, w)`` the matte there.
        common: ``(h, w)`` skin that both show, from ``shared_skin``.
        painter: Fills what the source does not show of the inner mouth.
        pixel_aspect: Of both frames.
    """
    warp = warp_mouth(new, taken, window, pixel_aspect)
    skin = match_light(look_up(shown, covered, warp.lookup), plate, alpha, common)
    return painter.fill(skin, shown, covered, warp, new, taken, window, pixel_aspect)


def _blend_jumps(
    path: npt.NDArray[np.int64], asked: Moments, shown: Moments
) -> dict[int, Sources]:
    """Dissolve over the two frames around each jump of the path, but not over a cut.

    On either side of a jump both stretches of the shot are continued by one frame, so that
    what is dissolved into moves on meanwhile; a stretch that ends there is held.

    Args:
        path: ``(N,)`` the source of each asked frame.
        asked: The asked frames.
        shown: The sources.
    """
    shares: list[dict[int, float]] = [{int(s): 1.0} for s in path]

    def beside(source: int, step: int) -> int:
        other = source + step
        if not 0 <= other < len(shown.numbers) or (
            shown.numbers[other] - shown.numbers[source] != step
            or shown.scenes[other] != shown.scenes[source]
        ):
            return source
        return other

    for i in range(1, len(path)):
        if (
            asked.numbers[i] != asked.numbers[i - 1] + 1
            or asked.scenes[i] != asked.scenes[i - 1]
            or 0 <= path[i] - path[i - 1] <= 1
        ):
            continue
        before, after = beside(int(path[i]), -1), beside(int(path[i - 1]), 1)
        for place, other in ((i - 1, before), (i, after)):
            own = shares[place]
            scaled = {source: share * (2 / 3) for source, share in own.items()}
            scaled[other] = scaled.get(other, 0.0) + 1 / 3
            shares[place] = scaled
    return {
        int(number): tuple(sorted(share.items()))
        for number, share in zip(asked.numbers, shares, strict=True)
    }
