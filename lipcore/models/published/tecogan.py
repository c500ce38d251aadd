"""TecoGAN's generator: four times the size, steady over time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALE = 4
_FASTEST = 24.0
_CHANNELS, _BLOCKS = 64, 16


def _cubic_kernels() -> Tensor:
    """``(4, 4)`` weights of the four neighbours for each of four places between two of them,
    by the cubic of Keys with a = -0.75."""
    a, rows = -0.75, []
    for i in range(SCALE):
        s = i / SCALE
        near, far = (1 + s, s), (1 - s, 2 - s)
        rows.append([
            a * near[0] ** 3 - 5 * a * near[0] ** 2 + 8 * a * near[0] - 4 * a,
            (a + 2) * near[1] ** 3 - (a + 3) * near[1] ** 2 + 1,
            (a + 2) * far[0] ** 3 - (a + 3) * far[0] ** 2 + 1,
            a * far[1] ** 3 - 5 * a * far[1] ** 2 + 8 * a * far[1] - 4 * a,
        ])  # fmt: skip
    return torch.tensor(rows)


class _Bicubic(nn.Module):
    """Four times the size; the first of each four pixels is the given one."""

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", _cubic_kernels())

    def forward(self, values: Tensor) -> Tensor:
        batch, channels, height, width = values.shape
        rows = F.pad(values.flatten(0, 1)[:, None], (1, 2, 1, 2), mode="replicate")
        tall = F.conv2d(rows, self.kernels[:, None, :, None])  # (N, 4, h, w + 3)
        tall = tall.transpose(1, 2).reshape(-1, 1, SCALE * height, width + 3)
        wide = F.conv2d(tall, self.kernels[:, None, None, :])  # (N, 4, 4h, w)
        return wide.permute(0, 2, 3, 1).reshape(batch, channels, SCALE * height, SCALE * width)


def _pair(c: int, out: int, *pool: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c, out, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(out, out, 3, 1, 1),
        nn.LeakyReLU(0.2), *pool,
    )  # fmt: skip


class _Flow(nn.Module):
    """(B, 3, h, w) twice -> (B, 2, h, w): how far each pixel of the first has come."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder1 = _pair(6, 32, nn.MaxPool2d(2))
        self.encoder2 = _pair(32, 64, nn.MaxPool2d(2))
        self.encoder3 = _pair(64, 128, nn.MaxPool2d(2))
        self.decoder1, self.decoder2 = _pair(128, 256), _pair(256, 128)
        self.decoder3 = _pair(128, 64)
        self.flow = nn.Sequential(
            nn.Conv2d(64, 32, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 2, 3, 1, 1)
        )

    def forward(self, here: Tensor, before: Tensor) -> Tensor:
        values = torch.cat([here, before], dim=1)
        for encoder in (self.encoder1, self.encoder2, self.encoder3):
            values = encoder(values)
        for decoder in (self.decoder1, self.decoder2, self.decoder3):
            values = F.interpolate(
                decoder(values), scale_factor=2.0, mode="bilinear", align_corners=False
            )
        return torch.tanh(self.flow(values)) * _FASTEST


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, 1, 1),
        )  # fmt: skip

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = self.conv(values) + values
        return out


class _Sharpen(nn.Module):
    def __init__(self) -> None:
        super().__init__()

        def double() -> nn.ConvTranspose2d:
            return nn.ConvTranspose2d(_CHANNELS, _CHANNELS, 3, 2, 1, output_padding=1)

        self.conv_in = nn.Sequential(
            nn.Conv2d((SCALE**2 + 1) * 3, _CHANNELS, 3, 1, 1), nn.ReLU()
        )
        self.resblocks = nn.Sequential(*(_Residual() for _ in range(_BLOCKS)))
        self.conv_up = nn.Sequential(double(), nn.ReLU(), double(), nn.ReLU())
        self.conv_out = nn.Conv2d(_CHANNELS, 3, 3, 1, 1)
        self.upsample_func = _Bicubic()

    def forward(self, small: Tensor, folded: Tensor) -> Tensor:
        values = self.conv_up(self.resblocks(self.conv_in(torch.cat([small, folded], dim=1))))
        out: Tensor = self.conv_out(values) + self.upsample_func(small)
        return out


class TecoGAN(nn.Module):
    """Small pictures of a run to large ones, one after another.

    Layout of the BD generators (``TecoGAN_BD_iter500000.pth``): names and shapes of ``FRNet`` in
    ``codes/models/networks/tecogan_nets.py`` of github.com/skycrapers/TecoGAN-PyTorch, which
    reproduces the TensorFlow network of Chu et al., *Learning temporal coherence via
    self-supervision for GAN-based video generation*, 2020.
    """

    def __init__(self) -> None:
        super().__init__()
        self.upsample_func = _Bicubic()
        self.fnet, self.srnet = _Flow(), _Sharpen()

    def step(self, here: Tensor, before: Tensor, large_before: Tensor) -> Tensor:
        """The next large picture.

        Args:
            here: (B, 3, h, w) 0-1.
            before: Likewise, the picture before.
            large_before: (B, 3, 4h, 4w) what became of it.

        Returns:
            (B, 3, 4h, 4w)
        """
        height, width = here.shape[-2:]
        flow = self.fnet(here, before)  # each grid halves thrice: what is left over is mirrored
        missing = (0, width - flow.shape[-1], 0, height - flow.shape[-2])
        large_flow = SCALE * self.upsample_func(F.pad(flow, missing, mode="reflect"))
        rows = torch.linspace(-1, 1, SCALE * height, device=here.device)
        columns = torch.linspace(-1, 1, SCALE * width, device=here.device)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        at = torch.stack(
            [x + large_flow[:, 0] / ((SCALE * width - 1) / 2),
             y + large_flow[:, 1] / ((SCALE * height - 1) / 2)], dim=-1,
        )  # fmt: skip
        moved = F.grid_sample(large_before, at, padding_mode="border", align_corners=True)
        # As TensorFlow folds: the place in the block first, then the colour.
        blocks = moved.reshape(len(moved), 3, height, SCALE, width, SCALE)
        folded = blocks.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
        out: Tensor = self.srnet(here, folded)
        return out

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, T, 3, h, w) red first, 0-1 -> (B, T, 3, 4h, 4w); sides of 8 or more"""
        before = torch.zeros_like(pictures[:, 0])
        large = before.repeat(1, 1, SCALE, SCALE)
        out = []
        for here in pictures.unbind(1):
            large = self.step(here, before, large)
            before = here
            out.append(large)
        return torch.stack(out, dim=1)
