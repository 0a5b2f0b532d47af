"""What Gradio 3.41 (Automatic1111) and 4.40 (Forge) call differently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from .page_code import upload_apart

NEW = int(gr.__version__.split(".")[0]) >= 4
REMOVE_A_FILE = (
    "Its × in the list takes a file out."
    if NEW
    else "To leave a file out, empty the list with its × and drop the others again."
)


def with_js(code: str) -> dict[str, Any]:
    """A handler that runs in the browser, as keywords of an event."""
    return {"fn": None, **js_before(code)}


def js_before(code: str) -> dict[str, Any]:
    """Keywords of an event: what runs in the browser before the handler, and gives it its inputs."""
    return {"js" if NEW else "_js": code}


def quietly() -> dict[str, Any]:
    """Keywords of an event whose handler may run for several browsers at once (3.41 lets all), and over whose outputs
    Gradio draws no progress of its own."""
    return {"show_progress": "hidden", **({"concurrency_limit": None} if NEW else {})}


def upload_folder(photos: Any) -> Path:
    """Where Gradio keeps what was uploaded."""
    return Path(photos.GRADIO_CACHE if NEW else photos.DEFAULT_TEMP_DIR)


def file_path(file: Any) -> Path:
    """Where an uploaded file lies: a path in 4.40, an open file with a name in 3.41."""
    return Path(getattr(file, "name", file))


def keep_uploads(blocks: Any, photos: Any) -> None:
    """Let what is dropped on `photos` arrive whatever else happens on the page meanwhile.

    In 3.41 any change of the page (a view of a training, a choice that sets others) makes several files on their way
    to a File component "Uploading..." for ever; an UploadButton gets its files. Call within `blocks`.
    """
    if NEW:
        return
    button = f"{photos.elem_id}_arrived"
    arrived = gr.UploadButton(file_count="multiple", visible=False, elem_id=button)
    uploads = upload_folder(arrived)
    arrived.upload(lambda files: _uploaded(files, uploads), [arrived], [photos], show_progress="hidden")
    blocks.load(inputs=None, outputs=None, **with_js(upload_apart(photos.elem_id, button)))


def _uploaded(files: Sequence[Any], folder: Path) -> list[str]:
    """Where the files lie. Raises gr.Error for one that was not uploaded: 3.41 copies whatever path a request names,
    and what is handed on can be fetched."""
    for file in files:
        if not Path(file.orig_name).resolve().is_relative_to(folder.resolve()):
            raise gr.Error(f"{Path(file.orig_name).name} was not uploaded: drop it again.")
    return [file.name for file in files]
