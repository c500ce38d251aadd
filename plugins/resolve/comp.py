"""A Fusion composition as text: the clip, and the rendered frames merged over it."""

from __future__ import annotations

from pathlib import Path

_FORMATS = {
    ".exr": "OpenEXRFormat", ".tif": "TiffFormat", ".png": "PNGFormat", ".dpx": "DPXFormat",
}  # fmt: skip


def comp_text(picture: str, frames: tuple[int, int], cut: tuple[int, int]) -> str:
    """The text of a .comp file.

    Args:
        picture: Pattern of the frames, with ``####``.
        frames: First and last number of the files.
        cut: First and last number between the shot's cuts; the composition begins with 0 at
            the first.
    """
    count = cut[1] - cut[0] + 1
    first_file = picture.replace("####", f"{frames[0]:04d}")
    trim_in = cut[0] - frames[0]
    kind = _FORMATS.get(Path(picture).suffix.lower(), "OpenEXRFormat")
    last = count - 1
    return f"""\
Composition {{
	CurrentTime = 0,
	RenderRange = {{ 0, {last} }},
	GlobalRange = {{ 0, {last} }},
	Tools = ordered() {{
		MediaIn1 = MediaIn {{
			Inputs = {{
				GlobalOut = Input {{ Value = {last}, }},
				AudioTrack = Input {{ Value = FuID {{ "Timeline Audio" }}, }},
			}},
			ViewInfo = OperatorInfo {{ Pos = {{ 0, 0 }} }},
		}},
		Lipsync = Loader {{
			Clips = {{
				Clip {{
					ID = "Clip1",
					Filename = {_quote(first_file)},
					FormatID = "{kind}",
					StartFrame = {frames[0]},
					Length = {frames[1] - frames[0] + 1},
					LengthSetManually = true,
					TrimIn = {trim_in},
					TrimOut = {trim_in + last},
					ExtendFirst = 0,
					ExtendLast = 0,
					Loop = 0,
					AspectMode = 0,
					Depth = 0,
					TimeCode = 0,
					GlobalStart = 0,
					GlobalEnd = {last},
				}},
			}},
			ViewInfo = OperatorInfo {{ Pos = {{ 0, 66 }} }},
		}},
		LipsyncMerge = Merge {{
			Inputs = {{
				Background = Input {{ SourceOp = "MediaIn1", Source = "Output", }},
				Foreground = Input {{ SourceOp = "Lipsync", Source = "Output", }},
				PerformDepthMerge = Input {{ Value = 0, }},
			}},
			ViewInfo = OperatorInfo {{ Pos = {{ 110, 0 }} }},
		}},
		MediaOut1 = MediaOut {{
			Inputs = {{
				Index = Input {{ Value = "0", }},
				Input = Input {{ SourceOp = "LipsyncMerge", Source = "Output", }},
			}},
			ViewInfo = OperatorInfo {{ Pos = {{ 220, 0 }} }},
		}},
	}},
}}
"""


def _quote(text: str) -> str:
    """A text as Lua writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
