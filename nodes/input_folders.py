"""Folders that a node offers: those of the host's input folder, and the examples of the pack."""

from __future__ import annotations

import json
from pathlib import Path

from ..trainer.subject.captions import require_inside
from .comfy_host import input_folder

EXAMPLE = "example: "
FROM_INPUT = "(use images)"
EXAMPLES = Path(__file__).parent.parent / "toybase" / "subjects"


def subfolders(root: Path) -> list[str]:
    """The names of the folders in `root`, hidden ones left out; none where there is no `root`."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def photo_folder(choice: str) -> Path | None:
    """The folder behind a choice of the node; None: the photos come from the graph. Raises ValueError for no choice."""
    if choice == FROM_INPUT:
        return None
    root = EXAMPLES if choice.startswith(EXAMPLE) else input_folder()
    name = choice.removeprefix(EXAMPLE)
    # Looked up among those that there are, so that no path can come from outside.
    if name not in subfolders(root):
        raise ValueError(f"folder is {choice[:100]!r}, which is not there; press R to refresh the choices.")
    return root / name


def example_noun(choice: str) -> str | None:
    """The class noun of an example of the pack; None for another choice, and for one of different things."""
    if not choice.startswith(EXAMPLE):
        return None
    described = json.loads((EXAMPLES / "subjects.json").read_text(encoding="utf-8"))
    noun = described.get(choice.removeprefix(EXAMPLE), {}).get("class_noun")
    return None if noun is None else str(noun)


def own_folder(choice: str) -> Path:
    """The folder of the user's own behind a choice. Raises ValueError for an example, for none, and for a link."""
    folder = photo_folder(choice)
    if folder is None or choice.startswith(EXAMPLE):
        raise ValueError(f"folder is {choice[:100]!r}, which is none of your own: its photos cannot be removed.")
    require_inside(folder, folder.parent)
    return folder


def files_in(folder: Path) -> list[tuple[str, int, int]]:
    """Name, modification time and bytes of the files of a folder and of the folders in it."""
    files = (file for file in (*folder.iterdir(), *folder.glob("*/*")) if file.is_file())
    return sorted((file.relative_to(folder).as_posix(), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
