"""Fingerprints of files: a cell is measured anew when the code or the weights behind it change."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ...trainer.files.hashes import digest_of

ROOT = Path(__file__).resolve().parents[2]


LIBRARIES = ("torch", "diffusers", "transformers", "peft")
REPORTING = (
    "command.py",
    "findings.py",
    "lines.py",
    "publish.py",
    "report.py",
    "rows.py",
    "trainings.py",
    "verdicts.py",
    "__main__.py",
)
"""What only writes down what was measured; a row is in its cell's fingerprint by its fields."""


@cache
def looking_digest() -> str:
    """Of how every model is drawn and scored, and of the libraries behind it."""
    bench = [file for file in (ROOT / "bench" / "quality").glob("*.py") if file.name not in REPORTING]
    judges = (ROOT / "toybase").glob("judge*.py")
    versions = " ".join(f"{name} {version(name)}" for name in LIBRARIES)
    scores = (ROOT / "trainer" / "scores").glob("*.py")
    return f"{digest_of([*bench, *judges, *scores, ROOT / 'trainer' / 'sampling' / 'sampler.py'])} {versions}"


def trainer_digest() -> str:
    """Of all that decides what our training is."""
    return digest_of((ROOT / "trainer").rglob("*.py"))


def rival_digest(scripts: Iterable[Path] = ()) -> str:
    """Of how rivals are run, and of the scripts that they run."""
    ways = (ROOT / "bench" / "quality" / "rivals").glob("*.py")
    return digest_of([*ways, ROOT / "bench" / "diffusers_scripts.py", *scripts])


@cache
def base_digest(own_base: tuple[Path, Path] | None) -> str:
    """Of the base's weights: toybase's stored ones, or another base's checkpoint."""
    if own_base:
        return digest_of([own_base[0], *own_base[1].glob("unet/*.safetensors")])
    return digest_of((ROOT / "toybase" / "weights").glob("[dv]*.safetensors"))


def photo_digest(folder: Path) -> str:
    """Of a subject's photos."""
    return digest_of(file for file in folder.iterdir() if file.is_file())
