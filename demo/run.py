"""The demo: the example graph in a real ComfyUI, then the same subject in places that its photos do not show."""

from __future__ import annotations

import io
import json
import shutil
import time
from pathlib import Path
from typing import Any

from PIL import Image

from ..toybase.palette import PLACES
from . import example
from .comfyui import ComfyUI, Outputs
from .host_process import ComfyUIError
from .progress import Progress
from .sheet import Row, contact_sheet
from .workflow import Prompt, change, find

SHEET_PLACES = 5
SEEDS = 3
RESULTS = ("Base pictures", "Personalized pictures")


class Demo:
    """One run of the demo into the folder `output`."""

    def __init__(self, output: Path, subject: str, method: str) -> None:
        self.output, self.subject_name, self.method = output, subject, method
        self.seconds: dict[str, float] = {}
        self.node_seconds: dict[str, float] = {}

    def run(self) -> None:
        """Boot, train, draw, and leave the results in `output`."""
        began = time.perf_counter()
        (self.output / "comfyui.log").unlink(missing_ok=True)
        print("[1/4] writing the embedded base, starting ComfyUI ...", flush=True)
        example.cached_toybase()
        self.seconds["base"] = time.perf_counter() - began
        with ComfyUI(log=self.output / "comfyui.log") as comfyui:
            self.seconds["boot"] = time.perf_counter() - began - self.seconds["base"]
            example.install_base(comfyui)
            prompt = self._settings(example.example_prompt(comfyui))
            trained = self.train(comfyui, prompt)
            rows = self.sheet_rows(comfyui, prompt, trained)
            files = self._keep_files(comfyui, trained)
            photos = photos_of(example.chosen_subject(prompt))
        self._write_sheet(prompt, trained, photos, rows)
        self.seconds["total"] = time.perf_counter() - began
        self._write_summary(prompt, trained, rows, files)

    def _settings(self, prompt: Prompt) -> Prompt:
        if self.subject_name:
            prompt = example.with_subject(prompt, self.subject_name)
        if self.method:
            prompt = change(prompt, example.TRAIN, method=self.method)
        return prompt

    def train(self, comfyui: ComfyUI, prompt: Prompt) -> dict[str, Any]:
        """Queue the graph, and return the record of its run."""
        began = time.perf_counter()
        progress = Progress(prompt, "[2/4] ")
        comfyui.run(prompt, progress)
        trained = example.newest_run(comfyui)
        self.seconds["first queue"] = time.perf_counter() - began
        self.seconds["priors"] = progress.seconds[prompt[find(prompt, example.PRIORS)]["_meta"]["title"]]
        self.seconds |= trained["seconds"]
        self.node_seconds = progress.seconds
        return trained

    def sheet_rows(self, comfyui: ComfyUI, prompt: Prompt, trained: dict[str, Any]) -> list[Row]:
        """The base and the subject at places that no photo shows."""
        began = time.perf_counter()
        subject = example.chosen_subject(prompt)
        phrases = [phrase for place, phrase in PLACES.items() if place not in subject.places][:SHEET_PLACES]
        prompt = change(prompt, "EmptyLatentImage", batch_size=SEEDS)
        rows = []
        print(f"[3/4] {len(RESULTS) * SEEDS} pictures at each of {len(phrases)} places ...", flush=True)
        for number, phrase in enumerate(phrases, 1):
            asked = example.with_texts(prompt, subject.class_noun, phrase)
            progress = Progress(asked, f"[3/4] {number} of {len(phrases)}, {phrase}: ")
            outputs = comfyui.run(asked, progress)
            if progress.trained_steps:
                raise ComfyUIError(f"another prompt trained anew, {progress.trained_steps} steps")
            base = asked[find(asked, example.BASE_PROMPT)]["inputs"]["string"].replace("[subject]", subject.class_noun)
            texts = base, f"a {trained['trigger']} {phrase}"
            rows.append(Row(*texts, *(pictures(comfyui, asked, outputs, node) for node in RESULTS)))
        self.seconds["sheet"] = time.perf_counter() - began
        return rows

    def _keep_files(self, comfyui: ComfyUI, trained: dict[str, Any]) -> list[str]:
        names = []
        for kept in trained["files"]:
            source = comfyui.output_directory / kept["file"]
            shutil.copyfile(source, self.output / source.name)
            names.append(source.name)
        return names

    def _write_sheet(self, prompt: Prompt, trained: dict[str, Any], photos: list[Image.Image], rows: list[Row]) -> None:
        print("[4/4] contact sheet and summary", flush=True)
        name = example.chosen_subject(prompt).name.replace("_", " ")
        title = f"{name}: “{trained['trigger']}”"
        steps, speed = trained["settings"]["steps"], trained["steps_per_second"]
        subtitle = (
            f"DreamBooth, {trained['method']}, {steps} steps at {speed:.1f} a second. "
            "Left the base, right the personalized model, same seeds."
        )
        contact_sheet(title, subtitle, photos, rows).save(self.output / "contact_sheet.png")

    def _write_summary(self, prompt: Prompt, trained: dict[str, Any], rows: list[Row], files: list[str]) -> None:
        summary = {
            "subject": example.chosen_subject(prompt).name,
            **{key: trained[key] for key in ("trigger", "class_noun", "identifier", "method", "settings")},
            "files": files,
            "seconds": rounded(self.seconds),
            "seconds_of_nodes": rounded(self.node_seconds),
            "steps_per_second": trained["steps_per_second"],
            "prompts": [row.prompt for row in rows],
            "losses": [{key: point[key] for key in ("step", "instance", "prior")} for point in trained["losses"]],
        }
        text = json.dumps(summary, indent=1, ensure_ascii=False)
        (self.output / "summary.json").write_text(text + "\n", encoding="utf-8")
        print(f'\nSay "{trained["trigger"]}" in a prompt. {self.seconds["total"]:.0f} s in all; see {self.output}:')
        print("", *sorted(file.name for file in self.output.iterdir()), sep="\n  ")


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in seconds.items()}


def photos_of(subject: example.ExampleSubject) -> list[Image.Image]:
    """An example subject's photos."""
    return [Image.open(file) for file in sorted((example.SUBJECTS / subject.name).glob("*.png"))]


def pictures(comfyui: ComfyUI, prompt: Prompt, outputs: Outputs, title: str) -> list[Image.Image]:
    """The pictures that the node of this title put out."""
    return [Image.open(io.BytesIO(data)) for data in comfyui.images(outputs, find(prompt, title))]
