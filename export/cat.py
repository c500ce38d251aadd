"""``lipcore export --to cat``: one shot for Nuke's own Inference node.

Inference has no way in for sound. So the dialogue is heard here, and what it asks of the mouth
in each frame is written into a TorchScript that CatFileCreator turns into a ``.cat``. The new
mouth is the latent path's, with the plate's own detail at its own place: ``new + skin * (plate
- old)``, without the carrying along that ``lipcore render`` does.

No Nuke was at hand: what is checked is the TorchScript, outside it.
"""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from lipcore.analysis import analyse
from lipcore.cache import Cache
from lipcore.errors import ExportError, NoFaceError, ParityError
from lipcore.media.audio import fit_dialogue, load_dialogue
from lipcore.media.color import ColorTransform
from lipcore.media.output_files import appearing
from lipcore.media.plate import Plate, open_plate
from lipcore.models.latent_path import LatentPath
from lipcore.models.pose_mask import MARGIN
from lipcore.pipeline import RenderListener, SilentListener, choose_frames
from lipcore.runtime.graphs import Draw, load_latents
from lipcore.shapes.asked import ask_shapes, curves_for
from lipcore.shapes.basis import ShapeBasis
from lipcore.shot import RenderConfig, Shot
from lipcore.synthesis.latent_shot import boxes_of, crop_of, from_tensor, reference_frame, to_tensor
from lipcore.synthesis.matte import inner_mouth_region, mouth_matte, mouth_window
from lipcore.synthesis.targets import MouthTargets, build_targets
from lipcore.synthesis.warp import look_up
from lipcore.tracking.align import crop, uncrop_map
from lipcore.types import FaceTrack, FloatArray, Frame, Window
from lipcore.weights import find_weights

from .cat_module import ShotModule
from .formats import open_script, trace

MASK_SIDE = 128
"""Pixels of the baked mattes, which are smooth."""
MOST_ARCHIVE_VERSION = 10
"""Of TorchScript files that PyTorch 1.12, and so Nuke 14, opens."""
_SCRIPT_BOUND = 0.5
_PATH_BOUND = 6.0
"""8-bit steps: from torch eager, and from the path of a render, which resamples otherwise."""


@dataclass(frozen=True, slots=True)
class CatExport:
    """What was written."""

    files: tuple[Path, ...]
    """The TorchScript, the ``.nk`` text, and the gizmo."""
    max_steps: float
    """Of the file, run by TorchScript, from the same module in torch: 8-bit steps."""
    path_steps: float
    """From the latent path run apart, as a render runs it: 8-bit steps at the worst pixel."""


def export_cat(
    shot: Shot, config: RenderConfig, out: Path, *, listener: RenderListener | None = None
) -> CatExport:
    """Write a shot's TorchScript and the nodes that make and use its ``.cat``.

    Args:
        shot: Plate and dialogue; which frames.
        config: Weights, feather, strength and cache are looked at.
        out: Folder; made where absent.
        listener: Told of progress.

    Raises:
        LipcoreError: As ``render_shot``.
        ColorError: The plate's encoding is more than a matrix and a curve.
        ParityError: The file does not compute what torch computes.
    """
    listener = listener or SilentListener()
    weights = find_weights(config.weights)
    basis = ShapeBasis.load(weights)
    path = load_latents(weights)
    with open_plate(shot.plate, rate=shot.rate, colorspace=shot.colorspace) as plate:
        frames = choose_frames(shot, plate)
        color = ColorTransform.of_plate(plate)
        color.linear_matrix()  # says now what cannot work
        dialogue = curves = None
        if shot.shapes is not None:
            curves = curves_for(shot.shapes, basis, plate.info.rate, frames, listener.log)
        if shot.dialogue is not None:
            length = Fraction(len(frames)) / plate.info.rate
            dialogue = fit_dialogue(load_dialogue(shot.dialogue), length)
        analysis = analyse(
            plate, frames, speaker=shot.speaker, color=color, basis=basis,
            cache=Cache(config.cache), progress=listener.progress,
        )
        asked = ask_shapes(
            dialogue, curves, basis=basis, weights=weights, rate=plate.info.rate,
            frames=frames, shown_values=analysis.values, neutral=analysis.neutral,
            log=listener.log,
        )
        strength = np.full(len(frames), config.strength, np.float32)
        targets = build_targets(
            analysis.track, basis, analysis.neutral, analysis.values, asked, strength
        )
        seen = np.isfinite(analysis.track.landmarks).all(axis=(1, 2))
        still = plate.read(frames.first + reference_frame(analysis, seen))
        shown = crop_of(still, analysis.track, color, path.crop_px)
        reference = path.encode(to_tensor(shown[None]))
        module = bake(plate, targets, analysis.track, color, path, reference, config.feather)
        listener.log(f"baked {sum(module.drawn)} of {len(frames)} frames")
        out.mkdir(parents=True, exist_ok=True)
        stem = re.split(r"[.#%]", shot.plate.name)[0].strip("_- ") or "shot"
        script = out / f"{stem}_lipsync.pt"
        with appearing(script) as temporary:
            compiled = torch.jit.script(module)
            compiled.save(str(temporary))  # type: ignore[no-untyped-call]
            _check_archive(temporary)
            steps = _check(
                temporary, module, plate, targets, analysis.track, color, path, reference
            )
    nodes = out / f"{stem}_lipsync_cat.nk"
    with appearing(nodes) as temporary:
        temporary.write_text(nuke_nodes(script, frames.first, frames.last), encoding="utf-8")
    gizmo = out / f"{stem}_lipsync.gizmo"
    with appearing(gizmo) as temporary:
        temporary.write_text(nuke_gizmo(script, frames.first, frames.last), encoding="utf-8")
    return CatExport((script, nodes, gizmo), *steps)


def bake(
    plate: Plate, targets: MouthTargets, track: FaceTrack, color: ColorTransform,
    path: LatentPath, reference: torch.Tensor, feather: float,
) -> ShotModule:
    """The shot as a module, before it is compiled.

    Raises:
        NoFaceError: No frame shows the face.
    """
    count = len(targets.frames)
    size, display = path.crop_px, plate.info.display
    aspect = track.pixel_aspect
    mattes = np.zeros((count, MASK_SIDE, MASK_SIDE), np.uint8)
    skins = np.zeros_like(mattes)
    windows, drawn = [[0, 0, 0, 0] for _ in range(count)], [0] * count
    grown = 1.0
    for i in range(count):
        if not targets.present[i] or targets.strength[i] <= 0:
            continue
        old, new = targets.shown[i], targets.wanted[i]
        window = mouth_window(old, new, display, feather=feather, pixel_aspect=aspect)
        if min(window.shape) < 4:
            continue
        alpha, _ = mouth_matte(old, new, window, feather=feather, pixel_aspect=aspect)
        alpha = alpha * np.float32(min(1.0, float(targets.strength[i]) * 10))
        inside = np.maximum(
            inner_mouth_region(old, window, aspect), inner_mouth_region(new, window, aspect)
        )
        mattes[i] = _in_crop(alpha, window, track.transforms[i], 0.0)
        skins[i] = 255 - _in_crop(inside.astype(np.float32), window, track.transforms[i], 0.0)
        windows[i] = [window.x, window.y, window.width, window.height]
        drawn[i] = 1
        # Plate pixels a crop pixel: that many samples are averaged.
        grown = max(grown, 1 / (size * float(np.sqrt(abs(np.linalg.det(
            track.transforms[i][:, :2].astype(np.float64)))))))
    if not any(drawn):
        raise NoFaceError(
            "no frame of the shot shows a face to draw on", hint="Choose other --frames."
        )
    matrix = color.linear_matrix()
    boxes = np.nan_to_num(boxes_of(track, list(range(count))))
    examples = torch.zeros(1, 3, size, size)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pose = path.pose.encoder(examples)
        shape = torch.zeros(1, targets.values.shape[1])
        traced_pose = trace(path.pose.encoder, (examples,))
        traced_draw = trace(Draw(path).eval(), (pose, reference, shape))
    return ShotModule(
        traced_pose, traced_draw, first=targets.frames.first, width=display.width, size=size,
        oversample=min(8, max(1, math.ceil(grown))), margin=MARGIN,
        matrix=[] if matrix is None else matrix.ravel().tolist(),
        inverse=[] if matrix is None else np.linalg.inv(matrix).ravel().tolist(),
        transforms=np.nan_to_num(track.transforms).astype(np.float64).ravel().tolist(),
        boxes=boxes.astype(np.float64).ravel().tolist(),
        windows=[side for window in windows for side in window], drawn=drawn,
        reference=reference.contiguous(),
        wanted=torch.from_numpy(np.nan_to_num(targets.values).astype(np.float32)),
        shown=torch.from_numpy(np.nan_to_num(targets.shown_values).astype(np.float32)),
        mattes=torch.from_numpy(mattes), skins=torch.from_numpy(skins),
    ).eval()


def _in_crop(
    picture: FloatArray, window: Window, transform: FloatArray, outside: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A map of plate pixels, 0-1, in the crop, 8 bits."""
    framed = np.pad(picture, 1, constant_values=outside)[..., None].repeat(3, axis=2)
    outer = Window(window.x - 1, window.y - 1, window.width + 2, window.height + 2)
    made = crop(framed, outer, transform, MASK_SIDE)[..., 0]
    rounded: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = np.round(
        np.clip(made, 0, 1) * 255
    ).astype(np.uint8)
    return rounded


def _check_archive(path: Path) -> None:
    """May the PyTorch inside Nuke 14 and later open it?"""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.rpartition("/")[2] == "version"]
        version = max(int(archive.read(name)) for name in names)
    if version > MOST_ARCHIVE_VERSION:
        raise ExportError(
            f"this PyTorch writes TorchScript of version {version}, Nuke's reads up to "
            f"{MOST_ARCHIVE_VERSION}",
            hint="Export with an older torch.", version=version,
        )


def _check(
    file: Path, module: ShotModule, plate: Plate, targets: MouthTargets, track: FaceTrack,
    color: ColorTransform, path: LatentPath, reference: torch.Tensor,
) -> tuple[float, float]:
    """Run the file on frames of the plate; compare with torch, and with the latent path."""
    loaded = open_script(file)
    there = [i for i, drawn in enumerate(module.drawn) if drawn]
    script = apart = 0.0
    for i in {there[0], there[len(there) // 2]}:
        number = targets.frames.first + i
        frame = plate.read(number)
        display = plate.info.display
        whole = np.zeros((*display.shape, 3), np.float32)
        shared = frame.window.intersect(display)
        whole[shared.slices_in(display)] = frame.rgb[shared.slices_in(frame.window)]
        pixels = torch.from_numpy(whole.transpose(2, 0, 1).copy())[None]
        loaded.frame = module.frame = number
        with torch.no_grad():
            got, expected = loaded(pixels), module(pixels)
        a, b = (color.to_display(x[0, :3].permute(1, 2, 0).numpy()) for x in (got, expected))
        script = max(script, float(np.abs(a - b).max()) * 255)
        alpha = got[0, 3].numpy()
        if not np.array_equal(a[alpha == 0], color.to_display(whole)[alpha == 0]):
            raise ParityError(
                f"frame {number} changes outside its matte", hint="Report this with the shot."
            )
        apart = max(apart, _apart(frame, i, a, alpha, targets, track, color, path, reference))
    if script > _SCRIPT_BOUND or apart > _PATH_BOUND:
        raise ParityError(
            f"the TorchScript is not what torch computes: {script:.3g} of 255 from the module, "
            f"{apart:.3g} from the latent path",
            hint=f"The bounds are {_SCRIPT_BOUND:g} and {_PATH_BOUND:g}; report it with the shot.",
            max_steps=script, path_steps=apart,
        )
    return script, apart


def _apart(
    frame: Frame, index: int, made: FloatArray, alpha: FloatArray, targets: MouthTargets,
    track: FaceTrack, color: ColorTransform, path: LatentPath, reference: torch.Tensor,
) -> float:
    """8-bit steps between a made picture and the same sum over the path of a render."""
    size = path.crop_px
    picture = to_tensor(crop_of(frame, track, color, size)[None])
    pose = path.encode_pose(picture, torch.from_numpy(boxes_of(track, [index])))
    new, old = (
        from_tensor(path.decode(path.generate(
            pose, reference, torch.from_numpy(values[index].astype(np.float32))[None]
        )))[0]
        for values in (targets.values, targets.shown_values)
    )  # fmt: skip
    window = mouth_window(
        targets.shown[index], targets.wanted[index], frame.window,
        pixel_aspect=track.pixel_aspect,
    )
    place = uncrop_map(track.transforms[index], window) * size
    square = Window(0, 0, size, size)
    inside = np.maximum(
        inner_mouth_region(targets.shown[index], window, track.pixel_aspect),
        inner_mouth_region(targets.wanted[index], window, track.pixel_aspect),
    )[..., None]
    plate = color.to_display(np.ascontiguousarray(frame.part(window)))
    drawn = look_up(new, square, place)
    wanted = drawn + (1 - inside) * (plate - look_up(old, square, place))
    rows = slice(window.y, window.y1), slice(window.x, window.x1)
    share = alpha[rows]
    whole = plate + share[..., None] * (wanted - plate)
    # Edges of the inside are as soft as its baked mask; away from them the sums must agree.
    soft = (inside[..., 0] > 0.01) & (inside[..., 0] < 0.99)
    near = _grown(soft, max(2, round(2 * size / MASK_SIDE)))
    difference = np.abs(made[rows] - whole).max(axis=2)[~near]
    return float(difference.max()) * 255 if difference.size else 0.0


def _grown(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], pixels: int
           ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    import cv2

    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def nuke_nodes(script: Path, first: int, last: int) -> str:
    """Nodes to paste into Nuke: one that makes the ``.cat``, and a Group that runs it.

    Args:
        script: The TorchScript.
        first: First frame that is baked.
        last: Last one.
    """
    torchscript, cat = _tcl(script), _tcl(script.with_suffix(".cat"))
    return f"""CatFileCreator {{
 inputs 0
 torchScriptFile "{torchscript}"
 catFile "{cat}"
 channelsIn "rgba.red, rgba.green, rgba.blue"
 channelsOut "rgba.red, rgba.green, rgba.blue, rgba.alpha"
 modelId lipcore
 name LipsyncMakeCat
 label "press Create once"
 addUserKnob {{20 User}}
 addUserKnob {{3 frame}}
 frame {first}
}}
Group {{
 name LipsyncCat
{_inference(cat, first, last)}"""


def nuke_gizmo(script: Path, first: int, last: int) -> str:
    """The Group of ``nuke_nodes`` as a gizmo, which a folder on ``NUKE_PATH`` offers by name.

    Args:
        script: The TorchScript, beside which the ``.cat`` lies.
        first: First frame that is baked.
        last: Last one.
    """
    cat = _tcl(script.with_suffix(".cat"))
    return f"version 14.0 v1\nGizmo {{\n{_inference(cat, first, last)}"


def _inference(cat: str, first: int, last: int) -> str:
    """What is in the Group, and in the Gizmo: knobs, and the Inference node."""
    return f""" label "frames {first}-{last}"
 addUserKnob {{20 lipsync}}
 addUserKnob {{26 about l "" T "Feed it the plate as the file has it (Read with raw on)."}}
 addUserKnob {{3 frame l "plate frame"}}
 frame {{{{frame}}}}
 addUserKnob {{41 modelFile l "cat file" T LipsyncInference.modelFile}}
}}
 Input {{
  inputs 0
  name plate
 }}
 Inference {{
  modelFile "{cat}"
  name LipsyncInference
  addUserKnob {{20 User}}
  addUserKnob {{3 frame}}
  frame {{{{parent.frame}}}}
 }}
 Output {{
  name Output1
 }}
end_group
"""


def _tcl(path: Path) -> str:
    """A path inside quotes of a script: forward slashes, and nothing that Tcl would run."""
    text = path.absolute().as_posix()
    for sign in ('"', "[", "]", "$"):
        text = text.replace(sign, "\\" + sign)
    return text
