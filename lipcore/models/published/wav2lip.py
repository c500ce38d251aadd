"""Wav2Lip's generator, the baseline."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 96
"""Pixels of a face's side."""
MEL_STEPS = 16
"""Mel steps a frame hears, at 80 a second."""


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


class Wav2Lip(nn.Module):
    """Half a face, a reference and sound to a face.

    Layout of ``wav2lip.pth`` and ``wav2lip_gan.pth``: names and shapes of the class ``Wav2Lip`` in
    ``models/wav2lip.py`` of github.com/Rudrabha/Wav2Lip, stored under ``state_dict`` with the
    prefix ``module.``.

    Source: Prajwal et al., *A Lip Sync Expert Is All You Need*, 2020.
    """

    def __init__(self) -> None:
        super().__init__()
        one = {"size": 1, "padding": 0}
        self.face_encoder_blocks = nn.ModuleList(
            nn.Sequential(*units) for units in (
                (_conv(6, 16, 7, padding=3),),
                (_conv(16, 32, step=2), _same(32), _same(32)),
                (_conv(32, 64, step=2), _same(64), _same(64), _same(64)),
                (_conv(64, 128, step=2), _same(128), _same(128)),
                (_conv(128, 256, step=2), _same(256), _same(256)),
                (_conv(256, 512, step=2), _same(512)),
                (_conv(512, 512, padding=0), _conv(512, 512, **one)),
            )
        )  # fmt: skip
        self.audio_encoder = nn.Sequential(
            _conv(1, 32), _same(32), _same(32),
            _conv(32, 64, step=(3, 1)), _same(64), _same(64),
            _conv(64, 128, step=3), _same(128), _same(128),
            _conv(128, 256, step=(3, 2)), _same(256),
            _conv(256, 512, padding=0), _conv(512, 512, **one),
        )  # fmt: skip
        self.face_decoder_blocks = nn.ModuleList(
            nn.Sequential(*units) for units in (
                (_conv(512, 512, **one),),
                (_Unit(nn.ConvTranspose2d(1024, 512, 3)), _same(512)),
                (_larger(1024, 512), _same(512), _same(512)),
                (_larger(768, 384), _same(384), _same(384)),
                (_larger(512, 256), _same(256), _same(256)),
                (_larger(320, 128), _same(128), _same(128)),
                (_larger(160, 64), _same(64), _same(64)),
            )
        )  # fmt: skip
        self.output_block = nn.Sequential(_conv(80, 32), nn.Conv2d(32, 3, 1), nn.Sigmoid())

    def forward(self, mel: Tensor, faces: Tensor) -> Tensor:
        """New faces.

        Args:
            mel: (B, 1, 80, 16) in [-4, 4].
            faces: (B, 6, 96, 96) blue first, 0-1: the face without its lower half, then a
                reference.

        Returns:
            (B, 3, 96, 96) blue first, 0-1.
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
