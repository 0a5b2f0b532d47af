"""`python . bench-upscaling`: every subject's rows, kept as they are measured, and the table of what is there."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from ...demo.example import example_subjects
from ...toybase.diffusers_folder import write_upscaler_folder
from ...toybase.icons import load_icons
from ...toybase.judge import Judge, load_judge
from ...toybase.quantize import WEIGHTS
from ...toybase.sheet import contact_sheet
from ...trainer.files.atomic import write_json
from ...trainer.model.base import Base
from ...trainer.model.families import fingerprint_of, load_base, open_source
from ...trainer.model.precision import fastest_autocast
from ...trainer.options import TrainOptions
from ...trainer.sampling.upscaling import UpscaleSettings, upscale
from .measures import bicubic, detail, shrunken
from .scenes import SIZE, Pictures, SubjectScenes, subject_scenes
from .table import cells_of, report
from .tuning import IDENTIFIER, tuned

Enlarge = Callable[[Tensor, str], Tensor]
"""From small pictures in 0..1 and a prompt to large ones."""
TASKS = {"4x": 4, "8x": 8}


def run(arguments: argparse.Namespace) -> int:
    """Measure what is missing, print the table and write it; the exit status."""
    work: Path = arguments.output
    folder = work / "upscaler"
    if not folder.is_dir():
        write_upscaler_folder(folder, arguments.weights or WEIGHTS)
    icons, subjects = load_icons(arguments.icons, arguments.cache), example_subjects()
    judges = [load_judge(), load_judge(second=True)]
    fingerprint = fingerprint_of(open_source(folder))
    for level in arguments.levels:
        for name in arguments.subjects or subjects:
            cell = work / "cells" / f"{name} {level} {arguments.steps}.json"
            if cell.is_file():
                continue
            scenes = subject_scenes(icons, name, list(subjects[name].places))
            write_json(_measured(folder, fingerprint, scenes, level, arguments, judges), cell)
            print(f"{name}, level {level}", flush=True)
    text = report(cells_of(work / "cells"))
    (work / "upscaling.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def options_of(arguments: argparse.Namespace, level: int) -> TrainOptions:
    """Of a tuning whose small pictures have noise of this level."""
    return TrainOptions(
        method="lora",
        rank=16,
        targets="transformer_and_resnet",
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        batch_size=arguments.batch_size,
        noise_level=level,
        sample_count=0,
    )


def _measured(
    folder: Path,
    fingerprint: str,
    scenes: SubjectScenes,
    level: int,
    arguments: argparse.Namespace,
    judges: list[Judge],
) -> dict[str, object]:
    """A subject's figures, ready for JSON; its sheet is written beside them."""
    rows: dict[str, Enlarge] = {"bicubic": lambda small, prompt: bicubic(small, SIZE)}
    rows["untuned"] = enlarger(load_base(folder, known_fingerprint=fingerprint), level)
    base = tuned(folder, fingerprint, scenes, options_of(arguments, level), arguments.output / "run")
    rows["tuned"] = enlarger(base, level)
    trigger, noun = f"a {IDENTIFIER} {scenes.class_noun}", f"a {scenes.class_noun}"
    shown = {"subject": (scenes.unseen, trigger), "others": (scenes.others, noun)}
    figures: dict[str, object] = {}
    sheet: list[tuple[str, Tensor]] = []
    for what, (true, prompt) in shown.items():
        sheet.append((f"{scenes.name}: {what}, true", true.pixels * 2 - 1))
        for task, factor in TASKS.items():
            for row, enlarge in rows.items():
                enlarged = enlarge(shrunken(true.pixels, factor), prompt)
                figures[f"{row}, {what}, {task}"] = asdict(detail(enlarged, true, judges))
                sheet.append((f"{row}, {task}, noise level {level}", enlarged * 2 - 1))
    figures["VAE alone, subject, 4x"] = asdict(detail(_through_vae(base, scenes.unseen), scenes.unseen, judges))
    sheets = arguments.output / "sheets"
    sheets.mkdir(parents=True, exist_ok=True)
    contact_sheet(sheet, SIZE).save(sheets / f"{scenes.name} {level}.png")
    return {"subject": scenes.name, "level": level, "steps": arguments.steps, "figures": figures}


def enlarger(base: Base, level: int, steps: int = 8) -> Enlarge:
    """The upscaler as it is, with noise of this level on what it is shown."""
    settings = UpscaleSettings(noise_level=level, steps=steps)

    def enlarge(small: Tensor, prompt: str) -> Tensor:
        count = len(small)
        with fastest_autocast(base.device):
            return upscale(base, small, [prompt] * count, range(count), settings)

    return enlarge


@torch.no_grad()
def _through_vae(base: Base, true: Pictures) -> Tensor:
    """What no upscaler of this VAE exceeds."""
    return base.decode_latents(base.encode_images(true.pixels).mean)
