"""S3FD, the face detector of Wav2Lip and of SyncNet's evaluation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TRUNK = {
    # name: (channels in, channels out); a name that ends in _1 begins a new, halved grid
    "conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128), "conv2_2": (128, 128),
    "conv3_1": (128, 256), "conv3_2": (256, 256), "conv3_3": (256, 256),
    "conv4_1": (256, 512), "conv4_2": (512, 512), "conv4_3": (512, 512),
    "conv5_1": (512, 512), "conv5_2": (512, 512), "conv5_3": (512, 512),
}  # fmt: skip
_HEADS = {"conv3_3_norm": 256, "conv4_3_norm": 512, "conv5_3_norm": 512, "fc7": 1024,
          "conv6_2": 512, "conv7_2": 256}  # fmt: skip
_MEAN_BGR = (104.0, 117.0, 123.0)
_SPREAD = (0.1, 0.2)

SYNCNET_NAMES: dict[str, str] = {
    # names of `sfd_face.pth` in syncnet_python -> ours
    **{f"vgg.{i}": name for i, name in zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33), (*_TRUNK, "fc6", "fc7"),
        strict=True)},
    **{f"L2Norm{n}_3": f"conv{n}_3_norm" for n in (3, 4, 5)},
    **{f"extras.{i}": n for i, n in enumerate(("conv6_1", "conv6_2", "conv7_1", "conv7_2"))},
    **{f"loc.{i}": f"{name}_mbox_loc" for i, name in enumerate(_HEADS)},
    **{f"conf.{i}": f"{name}_mbox_conf" for i, name in enumerate(_HEADS)},
}  # fmt: skip


class _UnitLength(nn.Module):
    """Brings the channels of each place to length 1 and scales them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, values: Tensor) -> Tensor:
        return F.normalize(values, dim=1, eps=1e-10) * self.weight[None, :, None, None]


class S3FD(nn.Module):
    """Pictures to scores and boxes on six grids (4 to 128 pixels apart).

    Layout of ``s3fd-619a316812.pth`` (Wav2Lip's ``s3fd.pth``): names and shapes of the class
    ``s3fd`` in ``face_detection/detection/sfd/net_s3fd.py`` of github.com/Rudrabha/Wav2Lip, which
    took it from face-alignment. ``dilated`` is the variant of ``sfd_face.pth`` in
    github.com/joonson/syncnet_python (``detectors/s3fd/nets.py``), whose fc6 is dilated by 6, whose
    third grid is not cut off at an odd edge, which sees red first, and whose names are those of
    ``SYNCNET_NAMES``.

    Source: Zhang et al., *S3FD: Single Shot Scale-invariant Face Detector*, 2017.
    """

    def __init__(self, *, dilated: bool = False) -> None:
        super().__init__()
        self._dilated = dilated
        for name, (channels_in, channels_out) in _TRUNK.items():
            self.add_module(name, nn.Conv2d(channels_in, channels_out, 3, padding=1))
        around = {"padding": 6, "dilation": 6} if dilated else {"padding": 3}
        self.fc6 = nn.Conv2d(512, 1024, 3, **around)  # type: ignore[arg-type]
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.conv6_1 = nn.Conv2d(1024, 256, 1)
        self.conv6_2 = nn.Conv2d(256, 512, 3, stride=2, padding=1)
        self.conv7_1 = nn.Conv2d(512, 128, 1)
        self.conv7_2 = nn.Conv2d(128, 256, 3, stride=2, padding=1)
        for name, channels in _HEADS.items():
            if name.endswith("norm"):
                self.add_module(name, _UnitLength(channels))
            scores = 4 if name == "conv3_3_norm" else 2
            self.add_module(f"{name}_mbox_conf", nn.Conv2d(channels, scores, 3, padding=1))
            self.add_module(f"{name}_mbox_loc", nn.Conv2d(channels, 4, 3, padding=1))

    def forward(self, pictures: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Scores and boxes.

        Args:
            pictures: (B, 3, H, W) blue first (``dilated``: red first), 0-255 less the published
                mean.

        Returns:
            Of each grid, the finest first: (B, 2, h, w) scores of no face and of a face before
            the softmax, and (B, 4, h, w) boxes relative to the grid.
        """
        seen, values = {}, pictures
        for name in _TRUNK:
            if name.endswith("_1") and name != "conv1_1":
                whole = self._dilated and name == "conv4_1"
                values = F.max_pool2d(values, 2, ceil_mode=whole)
            values = F.relu(self.get_submodule(name)(values))
            if f"{name}_norm" in _HEADS:
                seen[f"{name}_norm"] = self.get_submodule(f"{name}_norm")(values)
        values = F.max_pool2d(values, 2)
        for name in ("fc6", "fc7", "conv6_1", "conv6_2", "conv7_1", "conv7_2"):
            values = F.relu(self.get_submodule(name)(values))
            seen[name] = values
        found = []
        for name in _HEADS:
            scores = self.get_submodule(f"{name}_mbox_conf")(seen[name])
            if scores.shape[1] == 4:  # three kinds of background
                scores = torch.cat([scores[:, :3].amax(1, keepdim=True), scores[:, 3:]], dim=1)
            found.append((scores, self.get_submodule(f"{name}_mbox_loc")(seen[name])))
        return found

    @torch.no_grad()
    def detect(self, pictures: Tensor, *, least: float = 0.5) -> list[Tensor]:
        """Faces.

        Args:
            pictures: (B, 3, H, W) red first, 0-255.
            least: Score below which nothing is a face.

        Returns:
            Of each picture (K, 5): x0, y0, x1, y1 in pixels, and score, the surest first; boxes
            that share more than 0.3 with a surer one are left out.
        """
        mean = pictures.new_tensor(_MEAN_BGR)[None, :, None, None]
        rows: list[list[Tensor]] = [[] for _ in pictures]
        ordered = pictures.flip(1) - mean
        if self._dilated:
            ordered = ordered.flip(1)
        for level, (scores, boxes) in enumerate(self(ordered)):
            step = 4 * 2**level
            sure = scores.softmax(1)[:, 1]
            for b, y, x in (sure > max(least, 0.05)).nonzero().tolist():
                dx, dy, dw, dh = boxes[b, :, y, x].tolist()
                side = 4.0 * step
                middle_x = (x + 0.5) * step + dx * _SPREAD[0] * side
                middle_y = (y + 0.5) * step + dy * _SPREAD[0] * side
                size = torch.tensor([dw, dh]).mul(_SPREAD[1]).exp() * side / 2
                corner = torch.tensor([middle_x, middle_y])
                rows[b].append(torch.cat([corner - size, corner + size, sure[b, y, x][None].cpu()]))
        return [_distinct(torch.stack(r)) if r else torch.zeros(0, 5) for r in rows]


def _distinct(found: Tensor, shared: float = 0.3) -> Tensor:
    """(K, 5) without boxes that a surer one covers."""
    left, kept = found[found[:, 4].argsort(descending=True)], []
    while len(left):
        best = left[0]
        kept.append(best)
        low, high = left[:, :2].maximum(best[:2]), left[:, 2:4].minimum(best[2:4])
        common = (high - low).clamp_min(0).prod(1)
        areas = (left[:, 2:4] - left[:, :2]).prod(1)
        left = left[common / (areas + areas[0] - common) <= shared]
    return torch.stack(kept)
