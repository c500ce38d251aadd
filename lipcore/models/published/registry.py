"""Which published weights lipcore can import, and what they are for. Free of heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PublishedNetwork:
    """A network of others."""

    kind: str
    """Its name here."""
    file: str
    """Name of the published file."""
    purpose: str
    """What its outputs are for."""
    module: str
    """Of ``lipcore.models.published``, which rebuilds it."""
    network: str
    """The class."""
    settings: tuple[tuple[str, Any], ...] = ()
    """Of the class."""
    sha256: str = ""
    """How the published file's hash begins, where its name says so; else empty."""
    renamed: str = ""
    """Name of the module's table of other names, where the file has such."""
    leaves_out: tuple[str, ...] = ()
    """Beginnings of names that belong to training."""


_UNASKED = "(nothing here asks for it yet)"

PUBLISHED = {
    one.kind: one
    for one in (
        PublishedNetwork(
            "syncnet", "syncnet_v2.model", "LSE-C and LSE-D", "syncnet", "SyncNet"
        ),
        PublishedNetwork(
            "s3fd", "s3fd-619a316812.pth", f"face boxes {_UNASKED}", "s3fd", "S3FD",
            sha256="619a316812",
        ),
        PublishedNetwork(
            "s3fd-syncnet", "sfd_face.pth", "the face boxes under LSE-C and LSE-D", "s3fd", "S3FD",
            (("dilated", True),), renamed="SYNCNET_NAMES",
        ),
        PublishedNetwork(
            "inception", "pt_inception-2015-12-05-6726825d.pth", "FID", "inception", "Inception",
            sha256="6726825d",
        ),
        PublishedNetwork("i3d", "rgb_imagenet.pt", "FVD", "i3d", "I3D"),
        PublishedNetwork(
            "alexnet", "alexnet-owt-7be5be79.pth", "LPIPS, its trunk", "lpips", "AlexNet",
            sha256="7be5be79", leaves_out=("classifier.",),
        ),
        PublishedNetwork(
            "lpips-alex", "alex.pth of lpips/weights/v0.1", "LPIPS, its heads on AlexNet", "lpips",
            "LPIPSHeads", (("channels", (64, 192, 384, 256, 256)),),
        ),
        PublishedNetwork(
            "vgg16", "vgg16-397923af.pth", "LPIPS by VGG, its trunk", "lpips", "VGG16",
            sha256="397923af", leaves_out=("classifier.",),
        ),
        PublishedNetwork(
            "lpips-vgg", "vgg.pth of lpips/weights/v0.1", "LPIPS by VGG, its heads", "lpips",
            "LPIPSHeads", (("channels", (64, 128, 256, 512, 512)),),
        ),
        PublishedNetwork(
            "wav2lip", "wav2lip.pth or wav2lip_gan.pth", "the baseline", "wav2lip", "Wav2Lip"
        ),
        PublishedNetwork(
            "taming", "the faceshq or imagenet_f16_1024 checkpoint", f"a first stage {_UNASKED}",
            "taming", "TamingVQGAN", leaves_out=("loss.",),
        ),
        PublishedNetwork(
            "tecogan", "TecoGAN_BD_iter500000.pth", f"super-resolution {_UNASKED}", "tecogan",
            "TecoGAN",
        ),
        PublishedNetwork(
            "gpen", "GPEN-BFR-512.pth", f"face restoration {_UNASKED}", "gpen", "GPEN",
            (("size", 512),),
        ),
    )
}  # fmt: skip
