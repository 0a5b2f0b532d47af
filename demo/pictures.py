"""Runs every template in a real ComfyUI, and makes the pictures of the gallery, the registry and README anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from . import example
from .cards import Drawn, banner, strip, template_card
from .comfyui import ComfyUI, Outputs
from .environment import ROOT
from .progress import Progress
from .run import Demo, photos_of, pictures
from .workflow import Prompt, find, load_prompt

REGISTRY = ROOT / "registry"
QUALITY = 90
STITCHED = 3
"""Squares side by side in the pictures of the templates that compare."""


def make_pictures(output: Path) -> None:
    """Write them over those of the repository; ComfyUI's log is left in `output`."""
    with ComfyUI(log=output / "comfyui.log") as comfyui:
        example.install_base(comfyui)
        _readme_picture(comfyui, output)
        for file in example.toybase_workflow_files():
            prompt = load_prompt(file, comfyui.object_info())
            outputs = comfyui.run(prompt, Progress(prompt, f"{file.stem}: "))
            names = _subjects(prompt)
            photos = [photo for name in names for photo in photos_of(name)]
            drawn = list(_drawn(comfyui, prompt, outputs))
            template_card(_mixed(photos, len(names)), drawn).save(file.with_suffix(".jpg"), quality=QUALITY)
            if file == example.WORKFLOW:
                banner(photos, drawn[0][0]).save(REGISTRY / "banner.jpg", quality=QUALITY)


def _readme_picture(comfyui: ComfyUI, output: Path) -> None:
    """The quick start's subject at places that its photos do not show."""
    demo, prompt = Demo(output, "", ""), example.example_prompt(comfyui)
    rows = demo.sheet_rows(comfyui, prompt, demo.train(comfyui, prompt))
    photos = photos_of(example.chosen_subject(prompt).name)
    strip(photos, rows).save(REGISTRY / "photos_to_pictures.jpg", quality=QUALITY)


def _subjects(prompt: Prompt) -> list[str]:
    """The names of the example subjects that a template trains on."""
    folders = [node["inputs"]["folder"] for node in prompt.values() if node["class_type"] == example.PHOTOS]
    return [folder.removeprefix("example: ") for folder in folders]


def _mixed(photos: list[Image.Image], subjects: int) -> list[Image.Image]:
    """One of each subject in turn."""
    each = len(photos) // subjects
    return [photos[subject * each + number] for number in range(each) for subject in range(subjects)]


def _drawn(comfyui: ComfyUI, prompt: Prompt, outputs: Outputs) -> Iterator[Drawn]:
    """What a template shows of its result."""
    nouns = [node["inputs"]["class_noun"] for node in prompt.values() if node["class_type"] == example.PHOTOS]
    saved = [node["_meta"]["title"] for node in prompt.values() if node["class_type"] == "SaveImage"]
    if "Personalized pictures" in saved:
        text = prompt[find(prompt, example.PROMPT)]["inputs"]["string"]
        (picture,) = pictures(comfyui, prompt, outputs, "Personalized pictures")
        yield picture, text.replace("[subject]", f"[V] {nouns[0]}")
    elif len(nouns) == 1:
        for title, words in (("Save, with", "with class images"), ("Save, without", "without")):
            yield _square(pictures(comfyui, prompt, outputs, title)[0], 1), f"a {nouns[0]}, {words}"
    else:
        (picture,) = pictures(comfyui, prompt, outputs, *saved)
        for number, noun in enumerate(nouns):
            yield _square(picture, number), f"a [V{number + 1}] {noun}"


def _square(picture: Image.Image, number: int) -> Image.Image:
    """One of the squares that lie side by side, with gaps between them."""
    side = picture.height
    gap = (picture.width - STITCHED * side) // (STITCHED - 1)
    left = number * (side + gap)
    return picture.crop((left, 0, left + side, side))
