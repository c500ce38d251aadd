"""Which files, under which names, whose, and on which side."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from lipcore.train.prepare.settings import PrepareConfig, QualityBounds
from lipcore.train.prepare.sources import Source, gather

from lipcore.errors import ConfigError, MediaNotFoundError, TrainingError


def found(*given: Path, config: PrepareConfig | None = None, **more) -> list[Source]:
    return gather(given, config or PrepareConfig(), fetched=Path("unused"),
                  tell=lambda line: None, **more)[0]  # fmt: skip


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def test_any_file_name_gives_a_key_of_its_own(tmp_path: Path) -> None:
    names = ["a.mp4", "a.mov", "A.mkv", "plain-1.mp4", "été à la mer.mp4", "x.y.mp4", "b.mp4",
             "b_2.mp4", "b_p2.mp4", "b-1.mp4", "日本.mp4", "ann/a.mp4", ".hidden.mp4", "note.doc"]
    sources = found(fill(tmp_path / "clips", *names))
    keys = {s.name: s.key for s in sources}
    assert len(set(keys.values())) == len(keys) == 12
    assert keys["plain-1.mp4"] == "plain-1" and keys["ann/a.mp4"] == "ann_a"
    assert keys["été à la mer.mp4"].startswith("ete_a_la_mer-")
    assert all(re.fullmatch(r"[0-9A-Za-z_-]+", key) for key in keys.values())
    # The second segment of b is b_2, its second part b_p2, its second tar b-1.
    assert {"b_2", "b_p2", "b-1"}.isdisjoint(keys.values()) and keys["b.mp4"] == "b"
    assert keys == {s.name: s.key for s in found(tmp_path / "clips")}


def test_a_person_is_told_by_list_manifest_folder_or_name(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "ann/one.mp4", "ann/b/two.mp4", "three.mp4", "take_4.mp4")
    (folder / "ann" / "manifest.json").write_text('{"one.mp4": {"identity": "Anna"}}')
    people = {s.name: s.identity for s in found(folder)}
    assert people == {"ann/one.mp4": "Anna", "ann/b/two.mp4": "ann", "three.mp4": "three",
                      "take_4.mp4": "take_4"}  # fmt: skip
    named = tmp_path / "who.csv"
    named.write_text('# pattern, person\ntake_*.mp4, "Zoë, of course"\nann/b/*,Bea\n')
    people = {s.name: s.identity for s in found(folder, identities=named)}
    assert people["take_4.mp4"] == "Zoë, of course" and people["ann/b/two.mp4"] == "Bea"
    named.write_text("take_4.mp4\n")
    with pytest.raises(ConfigError, match="no pair"):
        found(folder, identities=named)


def test_one_person_never_stands_on_both_sides(tmp_path: Path) -> None:
    names = [f"p{i % 60}/{i}.mp4" for i in range(180)]
    config = PrepareConfig(val_share=0.5, hold_out=("p0",))
    sources = found(fill(tmp_path / "all", *names), config=config)
    sides = {(s.identity, s.split) for s in sources}
    assert len(sides) == 60 and ("p0", "val") in sides
    assert 15 < sum(side == "val" for _, side in sides) < 45
    some = fill(tmp_path / "some", *names[30:60])
    alone = PrepareConfig(val_share=0.5)
    assert {(s.identity, s.split) for s in found(some, config=alone)} <= sides


def test_what_a_manifest_says_of_one_clip_holds_for_the_person(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    facts = {"a.mp4": {"identity": "Ann", "use": "val"}, "b.mp4": {"identity": "Ann"},
             "c.mp4": {"use": "test"}}  # fmt: skip
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(facts))
    sources, rejected = gather([folder], PrepareConfig(val_share=0), fetched=folder,
                               tell=lambda line: None)  # fmt: skip
    assert [s.split for s in sources] == ["val", "val"]
    assert rejected == [{"source": "c.mp4", "reason": "kept for tests"}]
    facts["b.mp4"]["use"] = "train"
    manifest.write_text(json.dumps(facts))
    with pytest.raises(ConfigError, match="Ann is to train on in one file"):
        found(folder)


def test_several_sources_and_the_same_file_twice(tmp_path: Path) -> None:
    one, two = fill(tmp_path / "1", "a.mp4", "b.mp4"), fill(tmp_path / "2", "a.mp4")
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\n1/b.mp4\tBob\n{(two / 'a.mp4').as_uri()}\nabsent.mp4\n")
    sources = found(one, two, listed)
    assert len(sources) == 3 == len({s.key for s in sources})
    alone, rejected = gather([listed], PrepareConfig(), fetched=tmp_path, tell=lambda line: None)
    assert [s.identity for s in alone] == ["Bob", (two / "a.mp4").as_uri()]
    assert rejected[0]["source"] == "absent.mp4" and "no file is at" in rejected[0]["reason"]


def test_sources_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no video files"):
        found(fill(tmp_path / "empty", "note.doc"))
    with pytest.raises(MediaNotFoundError, match="absent"):
        found(tmp_path / "absent")
    with pytest.raises(ConfigError, match="neither a video nor a list"):
        found(tmp_path / "empty" / "note.doc")
    folder = fill(tmp_path / "f", "a.mp4")
    for text, told in (("{", "not JSON"), ("[]", "does not say"), ('{"a.mp4": 1}', "does not say"),
                       ('{"a.mp4": {"use": "no"}}', "use")):  # fmt: skip
        (folder / "manifest.json").write_text(text)
        with pytest.raises(ConfigError, match=told):
            found(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="nobody is called b") as caught:
        found(folder, config=PrepareConfig(hold_out=("b",)))
    assert "manifest.json" in caught.value.hint


@pytest.mark.parametrize("wrong", [
    {"crop_px": 8}, {"val_share": 1.0}, {"shortest_s": 11.0}, {"longest_s": 90.0}, {"rate": 0},
    {"watermark": "x" * 200, "crop_px": 128, "margin_px": 8},
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        PrepareConfig(**wrong)
    with pytest.raises(ConfigError):
        QualityBounds(largest_yaw_deg=0)
