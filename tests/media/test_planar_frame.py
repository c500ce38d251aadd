"""Parts of planar frames are the same pixels as the whole frame's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipcore.media.planar_frame import ColorTags, PlanarFrame, VideoNative
from lipcore.media.yuv import YuvLayout
from lipcore.types import Window

LAYOUTS = st.builds(
    YuvLayout,
    st.sampled_from(["bt601", "bt709", "bt2020", "rgb", "gray"]),
    st.sampled_from([8, 10, 12]),
    st.booleans(),
    st.integers(0, 2),
    st.integers(0, 2),
)


def planar_frame(layout: YuvLayout, width: int, height: int, seed: int) -> PlanarFrame:
    """A frame of noise."""
    rng = np.random.default_rng(seed)
    plain = layout.matrix in ("rgb", "gray")
    x, y = (0, 0) if plain else (layout.x_shift, layout.y_shift)
    sizes = [(height, width), *[(-(-height >> y), -(-width >> x))] * 2]
    planes = tuple(
        rng.integers(0, 1 << layout.bits, size).astype(layout.dtype)
        for size in sizes[: 1 if layout.matrix == "gray" else 3]
    )
    if plain:
        layout = YuvLayout(layout.matrix, layout.bits, layout.full_range)
    return PlanarFrame(7, VideoNative(planes, layout, ColorTags()), Window(0, 0, width, height))


@settings(max_examples=150, deadline=None)
@given(
    layout=LAYOUTS, width=st.integers(2, 41), height=st.integers(2, 41), seed=st.integers(0, 99),
    cut=st.tuples(*[st.floats(0, 1)] * 4), steps=st.tuples(*[st.integers(1, 9)] * 2),
)  # fmt: skip
def test_parts_and_thinned_pictures_are_bits_of_the_whole(
    layout, width, height, seed, cut, steps
) -> None:
    frame = planar_frame(layout, width, height, seed)
    whole = frame.rgb
    x, y = int(cut[0] * (width - 1)), int(cut[1] * (height - 1))
    area = Window(x, y, 1 + int(cut[2] * (width - 1 - x)), 1 + int(cut[3] * (height - 1 - y)))
    part = frame.part(area)
    assert part.shape == (*area.shape, 3)
    assert part.tobytes() == whole[area.slices_in(frame.window)].tobytes()
    thin = frame.thinned(*steps)
    assert thin.tobytes() == whole[:: steps[1], :: steps[0]].tobytes()


def test_another_number_is_the_same_picture() -> None:
    frame = planar_frame(YuvLayout("bt709", 8, False, 1, 1), 20, 12, 3)
    other = frame.numbered(9)
    assert (frame.number, other.number) == (7, 9)
    assert other.native is frame.native
    assert np.array_equal(other.rgb, frame.rgb)
    assert other.policy is None
    with pytest.raises(AttributeError):
        other.number = 3  # type: ignore[misc]
