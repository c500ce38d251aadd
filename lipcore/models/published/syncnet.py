"""SyncNet v2, the judge of LSE-C and LSE-D."""

from __future__ import annotations

from torch import Tensor, nn

RUN = 5
"""Frames of a run of mouths; the sound under it is 20 steps of cepstra."""


def _stage(
    conv: nn.Module, channels: int, *pool: nn.Module, three: bool = False
) -> list[nn.Module]:
    norm = nn.BatchNorm3d(channels) if three else nn.BatchNorm2d(channels)
    return [conv, norm, nn.ReLU(), *pool]


def _summary() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024)
    )


class SyncNet(nn.Module):
    """Mouths and sounds to embeddings that are near where they belong together.

    Layout of ``syncnet_v2.model``: names and shapes of the class ``S`` in ``SyncNetModel.py`` of
    github.com/joonson/syncnet_python (Chung and Zisserman, *Out of time*, 2016), 1024 wide.
    """

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_stage(nn.Conv2d(1, 64, 3, padding=1), 64, nn.Identity()),
            *_stage(nn.Conv2d(64, 192, 3, padding=1), 192, nn.MaxPool2d(3, (1, 2))),
            *_stage(nn.Conv2d(192, 384, 3, padding=1), 384),
            *_stage(nn.Conv2d(384, 256, 3, padding=1), 256),
            *_stage(nn.Conv2d(256, 256, 3, padding=1), 256, nn.MaxPool2d(3, 2)),
            *_stage(nn.Conv2d(256, 512, (5, 4)), 512),
        )
        self.netfcaud = _summary()
        self.netfclip = _summary()
        flat, halved = (1, 3, 3), (1, 2, 2)

        def square(channels_in: int, *pool: nn.Module) -> list[nn.Module]:
            conv = nn.Conv3d(channels_in, 256, flat, padding=(0, 1, 1))
            return _stage(conv, 256, *pool, three=True)

        self.netcnnlip = nn.Sequential(
            *_stage(nn.Conv3d(3, 96, (RUN, 7, 7), halved), 96,
                    nn.MaxPool3d(flat, halved), three=True),
            *_stage(nn.Conv3d(96, 256, (1, 5, 5), halved, padding=(0, 1, 1)), 256,
                    nn.MaxPool3d(flat, halved, padding=(0, 1, 1)), three=True),
            *square(256), *square(256), *square(256, nn.MaxPool3d(flat, halved)),
            *_stage(nn.Conv3d(256, 512, (1, 6, 6)), 512, three=True),
        )  # fmt: skip

    def embed_sound(self, cepstra: Tensor) -> Tensor:
        """(B, 1, 13, 20) as ``evaluate.mfcc`` gives them -> (B, 1024)"""
        embedded: Tensor = self.netfcaud(self.netcnnaud(cepstra).flatten(1))
        return embedded

    def embed_mouths(self, faces: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) faces, blue first, 0-255 -> (B, 1024)"""
        embedded: Tensor = self.netfclip(self.netcnnlip(faces).flatten(1))
        return embedded

    def forward(self, faces: Tensor, cepstra: Tensor) -> tuple[Tensor, Tensor]:
        """Both embeddings; shapes as above."""
        return self.embed_mouths(faces), self.embed_sound(cepstra)
