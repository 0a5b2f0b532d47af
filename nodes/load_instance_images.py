"""LoadInstanceImages: 3 to 5 photos of a subject."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..trainer.files.safetensors import listed
from ..trainer.subject.buckets import TrainingSize
from ..trainer.subject.close_ups import MOST, close_ups_of_folder, close_ups_of_tensors
from ..trainer.subject.photo_edits import PhotoEdits, edited, edits_of, unknown_names
from ..trainer.subject.photos import Photo, log_contents, photos_from_tensors, read_photos
from ..trainer.subject.subject import Subject
from ..trainer.subject.subject_folders import SubjectFolder, subject_folders
from . import sockets
from .comfy_failures import recording_failures
from .comfy_host import input_folder
from .input_folders import EXAMPLE, EXAMPLES, FROM_INPUT, files_in, photo_folder, subfolders

log = logging.getLogger(__name__)
FIRST_CHOICE = "example: spotted_dog"


class LoadInstanceImages(io.ComfyNode):
    """Reads, orients, crops and checks the instance images."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        choices = [*subfolders(input_folder()), *(f"{EXAMPLE}{name}" for name in subfolders(EXAMPLES)), FROM_INPUT]
        return io.Schema(
            node_id="LoadInstanceImages",
            display_name="Load Instance Images",
            category=sockets.CATEGORY,
            **sockets.found_by("subject", "photos", "train images", "dataset", "load images from folder"),
            description="3 to 5 photos of one subject. Drop them on this node, or choose a folder of ComfyUI's input.",
            is_input_list=True,
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=choices,
                    default=FIRST_CHOICE,
                    tooltip="A folder of the input folder with 3 to 5 photos, or an example.",
                ),
                io.String.Input("class_noun", default="dog", tooltip="What the subject is: dog, toy, face, style …"),
                io.Int.Input(
                    "resolution",
                    default=512,
                    min=32,
                    max=2048,
                    step=8,
                    tooltip="Side in pixels, a multiple of 8: 512 for SD 1.x, 768 for 2.x, 1024 for SDXL.",
                ),
                io.Image.Input("images", optional=True, tooltip="Photos from the graph, for '(use images)'."),
                io.Mask.Input("masks", optional=True, tooltip="White counts, black does not; one for each photo."),
                io.String.Input(
                    "captions",
                    optional=True,
                    force_input=True,
                    tooltip="What each photo shows, such as from a captioner: a list of texts, one for each photo.",
                ),
                sockets.advanced(
                    io.Boolean.Input(
                        "buckets",
                        default=False,
                        optional=True,
                        tooltip="Train each photo in its own shape, at about resolution x resolution pixels, rather "
                        "than cropped to the square. Class images are drawn in the same sizes.",
                    )
                ),
                sockets.advanced(
                    io.Int.Input(
                        "close_ups",
                        default=0,
                        min=0,
                        max=MOST,
                        optional=True,
                        tooltip="Close-ups of each photo of at least twice the resolution, 0 to 4: half of its crop, "
                        "larger, for detail in hires-fix and tile upscaling. Captioned 'close-up'.",
                    )
                ),
                io.String.Input(
                    "edits",
                    default="",
                    optional=True,
                    socketless=True,
                    tooltip="What was changed on the photos' panel, kept in this workflow: captions, masks, order, "
                    "photos that are not used.",
                ),
            ],
            outputs=[
                sockets.Subject.Output(display_name="SUBJECT"),
                io.Image.Output(
                    display_name="IMAGE",
                    is_output_list=True,
                    tooltip="As they will be trained on; with buckets a batch for each size.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: list[str], **_: Any) -> str:
        """Changes when a file of the folder does."""
        try:
            path = photo_folder(folder[0])
        except ValueError:
            path = None
        if path is None:
            return folder[0]
        return f"{folder[0]}{files_in(path)}"

    @classmethod
    @recording_failures
    def execute(
        cls,
        folder: list[str],
        class_noun: list[str],
        resolution: list[int],
        images: list[Tensor] | None = None,
        masks: list[Tensor] | None = None,
        captions: list[str] | None = None,
        buckets: Sequence[bool] = (False,),
        close_ups: Sequence[int] = (0,),
        edits: Sequence[str] = ("",),
    ) -> io.NodeOutput:
        """The subject, and its photos as they will be trained on."""
        path = _checked_choice(folder[0], images)
        size, count = TrainingSize(resolution[0], resolution[0], buckets[0]), close_ups[0]
        if path is None:
            subject = _of_graph(_unbatched(images) or [], _unbatched(masks), captions, class_noun[0], size, count)
        else:
            folders = _edited_folders(path, class_noun[0], edits_of(edits[0], folder[0]), masks, captions)
            subject = _of_folders(folders, size, _unbatched(masks), count)
        return io.NodeOutput(
            subject, _by_size([photo for one in subject.each for photo in (*one.photos, *one.close_ups)])
        )


def _checked_choice(folder: str, images: list[Tensor] | None) -> Path | None:
    """The folder of the photos; None: they come from the graph. Raises ValueError where both or none are given."""
    path = photo_folder(folder)
    if path is None and not images:
        raise ValueError(
            f"folder is '{FROM_INPUT}' and nothing is connected to images. Connect them or choose a folder."
        )
    if path is not None and images:
        raise ValueError(
            f"images are connected, and folder is {folder[:100]!r}: choose '{FROM_INPUT}' there, or disconnect them."
        )
    return path


def _of_graph(
    images: list[Tensor],
    masks: list[Tensor] | None,
    captions: list[str] | None,
    noun: str,
    size: TrainingSize,
    close_ups: int,
) -> Subject:
    """The subject of images, masks and captions of the graph."""
    photos = photos_from_tensors(images, masks, size.width, size.height, size.buckets, captions)
    close = close_ups_of_tensors(images, masks, size, close_ups, captions)
    return Subject(photos, noun, size.width, size.height, size.buckets, close_ups=close)


def _edited_folders(
    path: Path, noun: str, edits: PhotoEdits, masks: list[Tensor] | None, captions: list[str] | None
) -> tuple[SubjectFolder, ...]:
    """The folder of a subject, or the folders of several in it, with the edits. Raises ValueError where masks or
    captions of the graph are for several.
    """
    folders = subject_folders(path, noun)
    if len(folders) > 1 and (masks or captions):
        raise ValueError(
            f"folder is {path.name!r}, which holds {len(folders)} subjects, and masks or captions are connected: put "
            "them beside the photos instead."
        )
    if gone := unknown_names(folders, path, edits):
        log.warning("%s: edits of photos that are not there (any more): %s", path.name, listed(gone))
    return edited(folders, path, edits, captions)


def _of_folders(
    folders: Sequence[SubjectFolder], size: TrainingSize, masks: list[Tensor] | None, close_ups: int
) -> Subject:
    """The subject of a folder, or the subjects of several."""
    for one in folders:
        log_contents(one.folder.name, one.files)
    photos = [read_photos(one.files, size, masks) for one in folders]
    close = [close_ups_of_folder(one.files, size, close_ups, masks) for one in folders]
    return Subject.of_folders(folders, photos, size, close)


def _unbatched(batches: list[Tensor] | None) -> list[Tensor] | None:
    """The images or masks of a list of batches; None without any."""
    return [one for batch in batches for one in batch] if batches else None


def _by_size(photos: Sequence[Photo]) -> list[Tensor]:
    """The photos as batches [B, H, W, 3] of one size each, in the order in which the sizes first occur."""
    batches: dict[torch.Size, list[Tensor]] = {}
    for photo in photos:
        batches.setdefault(photo.pixels.shape, []).append(photo.pixels)
    return [torch.stack(pixels).movedim(1, -1) for pixels in batches.values()]
