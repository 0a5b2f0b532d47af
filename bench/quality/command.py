"""`python . bench-quality`: what was asked for on the command line, measured and reported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from accelerate import PartialState

from ...demo.example import SUBJECTS, example_subjects
from ...toybase.judge_scorer import JudgeScorer
from ...toybase.palette import NOUNS
from ...trainer.sampling.sampler import SamplerSettings
from ...trainer.scores.dino_clip import DinoClipScorer
from ...trainer.scores.scorer import ClassScorer
from ..diffusers_scripts import SCRIPTS
from .bench import Bench
from .cell import Scoring
from .contender import Contender
from .materials import BenchSubject, Materials
from .ours import train_ours
from .prompts import Prompt, missable_prompts, read_prompts, toybase_prompts
from .publish import publish
from .rivals.diffusers_scripts import diffusers_scripts
from .rivals.train_lora_node import train_lora_node
from .rows import GUIDANCE, Row, TrainerName, ablations, image_free_priors, main_rows, rivals, settings
from .sources import base_digest, rival_digest, trainer_digest
from .trainings import BASE_DIGITS, FILE, read_trainings
from .verdicts import compared, halves, table

DEFAULT_SUBJECTS = ("racing_car", "teapot")
SAMPLER = {"sampler": "euler", "steps": 10, "guidance": GUIDANCE}


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the report, write it; the exit status."""
    try:
        bench = prepared(arguments)
    except (ValueError, FileNotFoundError) as error:
        print(f"bench-quality: {error}", file=sys.stderr)
        return 1
    if arguments.trainings:
        return _fill(bench, arguments.seeds)
    cells = bench.run()
    if cells:
        publish(cells, bench, arguments.output)
    for failure in bench.failures:
        print(f"bench-quality: {failure}", file=sys.stderr)
    return 1 if bench.failures else 0


def _fill(bench: Bench, seeds: int) -> int:
    """Measure the trainings that the table lacks, and print what the rows are to each other; the exit status."""
    bench.fill(seeds, FILE)
    trainings = [one for one in read_trainings() if one.base == base_digest(bench.materials.own_base)[:BASE_DIGITS]]
    names = list(dict.fromkeys(one.row for one in trainings))
    groups = dict(zip(("chosen on", "confirmed on"), halves({one.subject for one in trainings}), strict=True))
    for title, subjects in {"all subjects": {one.subject for one in trainings}, **groups}.items():
        own = [one for one in trainings if one.subject in subjects]
        found = [one for name in names for one in compared(own, name, "LoRA") if name not in ("LoRA", "base")]
        print(f"\n## {title}: {', '.join(sorted(subjects))}\n\n{table(found)}")
    for failure in bench.failures:
        print(f"bench-quality: {failure}", file=sys.stderr)
    return 1 if bench.failures else 0


def prepared(arguments: argparse.Namespace) -> Bench:
    """The bench that was asked for. Raises ValueError or FileNotFoundError for what cannot be had."""
    own_base = tuple(path.resolve() for path in arguments.base) or None
    for path in own_base or ():
        if not path.exists():
            raise FileNotFoundError(f"--base: there is no {path}")
    subjects = _subjects(arguments)
    prompts = _prompts(arguments)
    scorers = _scorers(arguments)
    work = arguments.output / f"base {base_digest(own_base)[:12]} {arguments.size}"
    sampler = SamplerSettings(width=arguments.size, height=arguments.size, **SAMPLER)  # type: ignore[arg-type]
    materials = Materials(work.resolve(), arguments.size, sampler, PartialState().device, own_base)
    contenders: dict[TrainerName, tuple[Contender, str]] = {"ours": (partial(train_ours, materials), trainer_digest())}
    if arguments.diffusers:
        scripts = [arguments.diffusers.expanduser() / name for name in SCRIPTS.values()]
        contenders["diffusers"] = diffusers_scripts(arguments.diffusers), rival_digest(scripts)
    if arguments.comfyui:
        contenders["TrainLoraNode"] = train_lora_node(), rival_digest()
    if arguments.photos and arguments.ablations:
        raise ValueError("--ablations has wrong nouns for toybase's subjects alone: leave --photos away")
    rows = _named([*_own_rows(arguments), *rivals(tuple(contenders))], arguments.rows)
    return Bench(materials, Scoring(materials, scorers, prompts), subjects, rows, contenders, work / "cells")


def _prompts(arguments: argparse.Namespace) -> list[Prompt]:
    """What models are asked. Raises ValueError for two choices at once."""
    if arguments.missable and arguments.prompts:
        raise ValueError("--missable and --prompts are two choices of prompts: leave one away")
    if arguments.missable:
        return missable_prompts()
    return read_prompts(arguments.prompts) if arguments.prompts else toybase_prompts()


def _own_rows(arguments: argparse.Namespace) -> list[Row]:
    varied = [
        *(ablations() if arguments.full or arguments.ablations else []),
        *(settings() if arguments.full or arguments.settings else []),
    ]
    return [*main_rows(), *varied, *(image_free_priors() if arguments.full or arguments.priors else [])]


def _named(rows: list[Row], names: Sequence[str]) -> list[Row]:
    """The rows of these names; all without any. Raises ValueError for a name that no row has."""
    known = [row.name for row in rows]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no row {unknown[0]!r}; there are {', '.join(known)}")
    return [row for row in rows if not names or row.name in names]


def _scorers(arguments: argparse.Namespace) -> list[ClassScorer]:
    if arguments.dino and arguments.clip:
        return [DinoClipScorer(arguments.dino, arguments.clip, NOUNS, by_clip) for by_clip in (False, True)]
    if arguments.dino or arguments.clip:
        raise ValueError("--dino and --clip go together: likeness is DINO's, prompt following CLIP's")
    if arguments.base or arguments.prompts or arguments.photos:
        raise ValueError(
            "--base, --prompts and --photos need --dino and --clip: toybase's judge knows its own world alone"
        )
    return [JudgeScorer(), JudgeScorer(second=True)]


def _subjects(arguments: argparse.Namespace) -> list[BenchSubject]:
    if arguments.photos:
        if not arguments.noun:
            raise ValueError("--photos needs --noun: what the photos show, such as dog")
        return [BenchSubject(arguments.photos.resolve().name, arguments.noun, arguments.photos)]
    listing = example_subjects()
    names = list(listing) if arguments.full and not arguments.subjects else arguments.subjects or DEFAULT_SUBJECTS
    if unknown := [name for name in names if name not in listing]:
        raise ValueError(f"no subject {unknown[0]!r}; there are {', '.join(listing)}")
    return [
        BenchSubject(name, listing[name].class_noun, SUBJECTS / name, tuple(sorted(listing[name].places)))
        for name in names
    ]
