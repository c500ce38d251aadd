"""Strength curves: keys, lines between them, and what is wrong with a file."""

from __future__ import annotations

import numpy as np
import pytest

from lipcore.errors import ConfigError
from lipcore.shot import RenderConfig
from lipcore.strength import read_strength
from lipcore.types import FrameRange

FRAMES = FrameRange(1001, 1009)


def curve(tmp_path, text, strength=1.0, encoding="utf-8"):
    path = tmp_path / "strength.txt"
    path.write_text(text, encoding=encoding)
    return read_strength(RenderConfig(strength=strength, strength_curve=path), FRAMES)


def test_one_number_holds_for_every_frame():
    values = read_strength(RenderConfig(strength=0.25), FRAMES)
    assert values.dtype == np.float32
    assert values.tolist() == [0.25] * 9


def test_keys_are_joined_by_lines_and_held_outside(tmp_path):
    values = curve(tmp_path, "1003 0\n1007 1\n")
    assert values.tolist() == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1]


def test_order_comments_commas_and_blank_lines_do_not_matter(tmp_path):
    text = "# made by hand\n\n1007, 1.0  # speaks here\n  1003\t0\n"
    assert np.array_equal(curve(tmp_path, text), curve(tmp_path, "1003 0\n1007 1\n"))


def test_files_of_windows_are_read(tmp_path):
    expected = curve(tmp_path, "1003 0\n1007 1\n")
    found = curve(tmp_path, "1003 0\r\n1007 1\r\n", encoding="utf-8-sig")
    assert np.array_equal(found, expected)


def test_strength_multiplies_the_curve(tmp_path):
    assert curve(tmp_path, "1001 0.8", strength=0.5).tolist() == pytest.approx([0.4] * 9)


def test_a_negative_frame_number_is_a_key(tmp_path):
    assert curve(tmp_path, "-5 1\n1005 1").tolist() == [1] * 9


@pytest.mark.parametrize(
    ("text", "line"),
    [("1001 0.5\n1002 1.5", 2), ("1001", 1), ("a b", 1), ("\n\n1001 nan", 3), ("1001 -0.1", 1),
     ("1001.5 0.5", 1), ("1001 0.5 0.5", 1)],
)  # fmt: skip
def test_a_line_that_is_no_key_is_named(tmp_path, text, line):
    with pytest.raises(ConfigError, match=f"line {line} of") as caught:
        curve(tmp_path, text)
    assert caught.value.facts["line"] == line
    assert "frame value" in caught.value.hint


def test_a_file_without_keys_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no keys"):
        curve(tmp_path, "# nothing\n")


@pytest.mark.parametrize("name", ["absent.txt", "."])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, name):
    config = RenderConfig(strength_curve=tmp_path / name)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_strength(config, FRAMES)


def test_a_binary_file_is_an_error(tmp_path):
    path = tmp_path / "strength.txt"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_strength(RenderConfig(strength_curve=path), FRAMES)
