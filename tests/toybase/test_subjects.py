"""The held-out subjects are there, small, and say what they are."""

from __future__ import annotations

import json

from PIL import Image

from dreambooth_nodes.toybase.palette import PLACES, SUBJECTS
from dreambooth_nodes.toybase.subjects import FOLDER


def test_every_subject_has_five_small_photos() -> None:
    assert len(SUBJECTS) >= 8
    for name in SUBJECTS:
        photos = sorted((FOLDER / name).glob("*.png"))
        assert [photo.name for photo in photos] == [f"{number:02d}.png" for number in range(5)]
        for photo in photos:
            assert photo.stat().st_size < 30_000
            with Image.open(photo) as picture:
                assert picture.size == (128, 128) and picture.mode == "RGB"
        assert len({photo.read_bytes() for photo in photos}) == 5


def test_the_listing_names_noun_vendor_licence_and_places() -> None:
    listing = json.loads((FOLDER / "subjects.json").read_text(encoding="utf-8"))
    assert set(listing) == set(SUBJECTS)
    for name, entry in listing.items():
        noun, vendor, icon = SUBJECTS[name]
        assert (entry["class_noun"], entry["vendor"], entry["icon"]) == (noun, vendor, icon)
        assert entry["licence"] in {"MIT", "Apache-2.0", "CC-BY-4.0"}
        assert len(set(entry["places"])) == 5 and set(entry["places"]) <= set(PLACES)
