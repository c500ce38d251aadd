"""Which published weights lipcore can import, and what they are for. Free of heavy imports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


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
    format: Literal["torch", "keras", "matconvnet"] = "torch"
    """What wrote the published file; other than ``torch``, the module has a ``from_FORMAT``."""


_OWN_SCRIPTS = "no figure or row asks for it: for scripts, through load_published"

PUBLISHED = {
    one.kind: one
    for one in (
        PublishedNetwork(
            "syncnet", "syncnet_v2.model", "LSE-C and LSE-D", "syncnet", "SyncNet"
        ),
        PublishedNetwork(
            "s3fd", "s3fd-619a316812.pth", f"face boxes ({_OWN_SCRIPTS})", "s3fd",
            "S3FD", sha256="619a316812",
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
            "wav2lip", "wav2lip.pth or wav2lip_gan.pth", "the rows Wav2Lip of the tables",
            "wav2lip", "Wav2Lip",
        ),
        PublishedNetwork(
            "lip-expert", "lipsync_expert.pth", "teaches Wav2Lip in `lipcore train wav2lip_...`",
            "wav2lip", "LipExpert",
        ),
        PublishedNetwork(
            "lipgan", "lipgan_residual_mel.h5", "the row LipGAN of the tables", "lipgan", "LipGAN",
            format="keras",
        ),
        PublishedNetwork(
            "yousaidthat", "v201.mat", "the row You said that? of the tables", "yousaidthat",
            "YouSaidThat", format="matconvnet",
        ),
        PublishedNetwork(
            "yousaidthat-deblur", "v114.mat", "sharpens the row You said that?", "yousaidthat",
            "YouSaidThatDeblur", format="matconvnet",
        ),
        PublishedNetwork(
            "taming", "the faceshq or imagenet_f16_1024 checkpoint",
            f"a first stage ({_OWN_SCRIPTS})", "taming", "TamingVQGAN",
            leaves_out=("loss.",),
        ),
        PublishedNetwork(
            "tecogan", "TecoGAN_BD_iter500000.pth", "the row Wav2Lip + TecoGAN of the tables",
            "tecogan", "TecoGAN",
        ),
        PublishedNetwork(
            "gpen", "GPEN-BFR-512.pth", "the row Wav2Lip + GPEN of the tables", "gpen", "GPEN",
            (("size", 512),),
        ),
    )
}  # fmt: skip
