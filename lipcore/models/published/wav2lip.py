"""Wav2Lip's generator, a baseline, and the expert that teaches it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipcore.models.published.face_sizes import SIDE, check_sizes

MEL_STEPS = 16
"""Mel steps a frame hears, at 80 a second."""
RUN = 5
"""Frames that the expert judges together."""


@dataclass(frozen=True, slots=True)
class Wav2LipConfig:
    """Sizes; the defaults are the published ones."""

    size: int = SIDE
    """Pixels of a face's side: 96, or 96 doubled so and so often; 768 in the paper's tables."""
    divide: int = 1
    """Channels of all layers are divided by this."""

    def __post_init__(self) -> None:
        check_sizes(self.size, self.divide)


@dataclass(frozen=True, slots=True)
class LipExpertConfig:
    """Sizes; the default is the published one."""

    divide: int = 1
    """Channels of all layers are divided by this."""

    def __post_init__(self) -> None:
        check_sizes(SIDE, self.divide)


class _Unit(nn.Module):
    """Convolution (or its transpose), norm, and what passes by."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, *, passes: bool = False) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))
        self._passes = passes

    def forward(self, values: Tensor) -> Tensor:
        out = self.conv_block(values)
        return torch.relu(out + values if self._passes else out)


def _conv(
    c: int, out: int, size: int = 3, step: int | tuple[int, int] = 1, padding: int = 1
) -> _Unit:
    return _Unit(nn.Conv2d(c, out, size, step, padding))


def _same(c: int) -> _Unit:
    return _Unit(nn.Conv2d(c, c, 3, padding=1), passes=True)


def _larger(c: int, out: int) -> _Unit:
    return _Unit(nn.ConvTranspose2d(c, out, 3, 2, 1, output_padding=1))


def _hearing(divide: int, passing: int) -> nn.Sequential:
    """(B, 1, 80, 16) -> (B, 512, 1, 1); ``passing`` units of 256 channels follow the first."""
    a, b, c, d, e = (w // divide for w in (32, 64, 128, 256, 512))
    return nn.Sequential(
        _conv(1, a), _same(a), _same(a), _conv(a, b, step=(3, 1)), _same(b), _same(b),
        _conv(b, c, step=3), _same(c), _same(c), _conv(c, d, step=(3, 2)),
        *(_same(d) for _ in range(passing)),
        _conv(d, e, padding=0), _conv(e, e, size=1, padding=0),
    )  # fmt: skip


class Wav2Lip(nn.Module):
    """Half a face, a reference and sound to a face.

    Layout of ``wav2lip.pth`` and ``wav2lip_gan.pth``: names and shapes of the class ``Wav2Lip`` in
    ``models/wav2lip.py`` of github.com/Rudrabha/Wav2Lip, stored under ``state_dict`` with the
    prefix ``module.``.

    Faces larger than 96 pixels, which the authors do not publish, get for each doubling one level
    more at the fine end, as wide as the finest published one on either side; what is below is the
    published network.

    Source: Prajwal et al., *A Lip Sync Expert Is All You Need*, 2020.
    """

    def __init__(self, config: Wav2LipConfig | None = None) -> None:
        super().__init__()
        self.config = config or Wav2LipConfig()
        doublings = check_sizes(self.config.size, self.config.divide)
        a, b, c, d, e, f = (w // self.config.divide for w in (16, 32, 64, 128, 256, 512))
        wide = 384 // self.config.divide
        self.face_encoder_blocks = nn.ModuleList(
            nn.Sequential(*units) for units in (
                (_conv(6, a, 7, padding=3),),
                *((_conv(a, a, step=2), _same(a)) for _ in range(doublings)),
                (_conv(a, b, step=2), _same(b), _same(b)),
                (_conv(b, c, step=2), _same(c), _same(c), _same(c)),
                (_conv(c, d, step=2), _same(d), _same(d)),
                (_conv(d, e, step=2), _same(e), _same(e)),
                (_conv(e, f, step=2), _same(f)),
                (_conv(f, f, padding=0), _conv(f, f, size=1, padding=0)),
            )
        )  # fmt: skip
        self.audio_encoder = _hearing(self.config.divide, 1)
        self.face_decoder_blocks = nn.ModuleList(
            nn.Sequential(*units) for units in (
                (_conv(f, f, size=1, padding=0),),
                (_Unit(nn.ConvTranspose2d(2 * f, f, 3)), _same(f)),
                (_larger(2 * f, f), _same(f), _same(f)),
                (_larger(f + e, wide), _same(wide), _same(wide)),
                (_larger(wide + d, e), _same(e), _same(e)),
                (_larger(e + c, d), _same(d), _same(d)),
                (_larger(d + b, c), _same(c), _same(c)),
                *((_larger(c + a, c), _same(c), _same(c)) for _ in range(doublings)),
            )
        )  # fmt: skip
        self.output_block = nn.Sequential(_conv(c + a, b), nn.Conv2d(b, 3, 1), nn.Sigmoid())

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """New faces.

        Args:
            mel: (B, 1, 80, 16) in [-4, 4].
            faces: (B, 6, size, size) blue first, 0-1: the face without its lower half, then a
                reference.

        Returns:
            (B, 3, size, size) blue first, 0-1.
        """
        passed, values = [], faces
        for block in self.face_encoder_blocks:
            values = block(values)
            passed.append(values)
        values = self.audio_encoder(mel)
        for block in self.face_decoder_blocks:
            values = torch.cat([block(values), passed.pop()], dim=1)
        out: Tensor = self.output_block(values)
        return out


class LipExpert(nn.Module):
    """Do these five lower halves belong to this sound?

    Layout of ``lipsync_expert.pth``: names and shapes of the class ``SyncNet_color`` in
    ``models/syncnet.py`` of github.com/Rudrabha/Wav2Lip, stored under ``state_dict``.
    """

    def __init__(self, config: LipExpertConfig | None = None) -> None:
        super().__init__()
        self.config = config or LipExpertConfig()
        a, b, c, d, e = (w // self.config.divide for w in (32, 64, 128, 256, 512))
        self.face_encoder = nn.Sequential(
            _conv(3 * RUN, a, 7, padding=3), _conv(a, b, 5, (1, 2)), _same(b), _same(b),
            _conv(b, c, step=2), _same(c), _same(c), _same(c), _conv(c, d, step=2), _same(d),
            _same(d), _conv(d, e, step=2), _same(e), _same(e), _conv(e, e, step=2),
            _conv(e, e, padding=0), _conv(e, e, size=1, padding=0),
        )  # fmt: skip
        self.audio_encoder = _hearing(self.config.divide, 2)

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """How well they fit.

        Args:
            mel: (B, 1, 80, 16) in [-4, 4], from the beginning of the first frame.
            faces: (B, 5, 3, H, W) whole faces of successive frames, blue first, 0-1; of other
                than 96 pixels they are resized first.

        Returns:
            (B,) cosine, 0-1.
        """
        batch, _, _, height, width = faces.shape
        if (height, width) != (SIDE, SIDE):
            smaller = F.interpolate(
                faces.flatten(0, 1), size=(SIDE, SIDE), mode="bilinear", antialias=True
            )
            faces = smaller.view(batch, RUN, 3, SIDE, SIDE)
        halves = faces[..., SIDE // 2 :, :].flatten(1, 2)
        seen = F.normalize(self.face_encoder(halves).flatten(1), dim=1)
        heard = F.normalize(self.audio_encoder(mel).flatten(1), dim=1)
        return (seen * heard).sum(1)
