"""What the recipes minimise. All take crops or latents as (B, C, H, W).

Weights are shares of those of the whole batch, over all processes that share it, so that the
mean over processes is what one process would have got.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lipcore.models.processes import mean_over_processes


def weighted_l1(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference under a weight map (B, 1, H, W)."""
    weight = weight.expand_as(output)
    return (weight * (output - target).abs()).sum() / mean_over_processes(weight.sum())


def gradient_loss(output: Tensor, target: Tensor, weight: Tensor, scales: int = 3) -> Tensor:
    """Absolute difference of the horizontal and vertical steps, over scales each half as fine.

    Edges of lips and teeth count here as much as flat skin does in ``weighted_l1``.
    """
    total = output.new_zeros(())
    for scale in range(scales):
        if scale:
            output, target, weight = (F.avg_pool2d(x, 2) for x in (output, target, weight))
        difference = output - target
        for step in (difference.diff(dim=-1), difference.diff(dim=-2)):
            part = weight[..., : step.shape[-2], : step.shape[-1]].expand_as(step)
            total = total + (part * step.abs()).sum() / mean_over_processes(part.sum())
    return total / scales


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of a discriminator: real places over 1, made ones under -1."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def generator_hinge(fake: Tensor) -> Tensor:
    """What a network pays for places that the discriminator takes as made."""
    return -fake.mean()


def feature_loss(made: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """How far the levels of a discriminator see made and real pictures apart, as the mean over
    levels of the absolute difference.

    Source: Wang et al., *High-Resolution Image Synthesis and Semantic Manipulation with
    Conditional GANs*, 2018, equation 4.
    """
    parts = [F.l1_loss(a.float(), b.detach().float()) for a, b in zip(made, real, strict=True)]
    return torch.stack(parts).mean()


def balance(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """Weight at which both losses pull equally on the last layer, at most 10.

    Source: Esser et al., *Taming Transformers*, 2021, equation 7.
    """
    (a,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (b,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    a, b = mean_over_processes(a), mean_over_processes(b)
    ratio: Tensor = a.norm() / (b.norm() + 1e-4)
    return ratio.clamp(0, 10).detach()


def sync_loss(similarity: Tensor, match: Tensor) -> Tensor:
    """Binary cross-entropy on the cosine of mouth and sound.

    Args:
        similarity: (B,) cosines in [-1, 1]; mapped to (0, 1) first, as an embedding without a
            final ReLU may point anywhere.
        match: (B,) 1 where mouth and sound belong together, else 0.
    """
    return F.binary_cross_entropy_with_logits(10.0 * similarity, match.float())


def contrast_loss(similarity: Tensor) -> Tensor:
    """Each mouth shall pick its own sound among those of the clip, and each sound its mouth.

    Source: InfoNCE, van den Oord et al., *Contrastive Predictive Coding*, 2018. Unlike a
    yes or no about single pairs, it has a slope from the first step on.

    Args:
        similarity: (B, R, R) cosines of R runs and their R sounds, in the same order.
    """
    logits = 15.0 * similarity
    own = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.transpose(1, 2), own))


def mouth_psnr(output: Tensor, target: Tensor, region: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each item, inside a region.

    Args:
        output: (B, 3, H, W) in [-1, 1].
        target: (B, 3, H, W) in [-1, 1].
        region: (B, 1, H, W), 1 inside.

    Returns:
        (B,) dB; a difference of the whole range is 0 dB.
    """
    error = ((output.clamp(-1, 1) - target) / 2).square().mean(1, keepdim=True)
    mean = (error * region).sum((1, 2, 3)) / region.sum((1, 2, 3)).clamp_min(1)
    return -10 * mean.clamp_min(1e-10).log10()


def sharpness(output: Tensor, target: Tensor, region: Tensor) -> Tensor:
    """Gradient energy of each item inside a region, as a share of the target's.

    Args:
        output: (B, 3, H, W) in [-1, 1].
        target: (B, 3, H, W) in [-1, 1].
        region: (B, 1, H, W), 1 inside.

    Returns:
        (B,); 1 is as sharp as the target.
    """
    def energy(x: Tensor) -> Tensor:
        across, down = x.diff(dim=-1)[..., 1:, :], x.diff(dim=-2)[..., 1:]
        return ((across.square() + down.square()) * region[..., 1:, 1:]).sum((1, 2, 3))

    return energy(output.clamp(-1, 1)) / energy(target).clamp_min(1e-10)
