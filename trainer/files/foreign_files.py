"""The kinds of files that stand where a .safetensors file is expected, told by their first bytes."""

from __future__ import annotations

from pathlib import Path

_LOOKED_AT = 512
"""Bytes from the start of a file in which its kind shows."""
_STARTS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself: run `git lfs pull` in its folder, or "
    "download the file",
    b"GGUF": "is a GGUF file, whose weights are quantised: name the model's file in fp16, bf16 or fp32",
    b"PK\3\4": "is a PyTorch file (.ckpt, .pt, .bin) or an archive, which can run code when opened and is not read: "
    "take the model's .safetensors file",
    b"\x80\2": "is a pickle (.ckpt, .pt, .bin), which can run code when opened and is not read: take the model's "
    ".safetensors file",
}
"""{first bytes: the kind, and what to do}."""
_OF_PAGES = (b"<!doctype", b"<html", b"<?xml", b'{"error', b'{"message')
"""How the answer of a server begins that did not send the file."""


def foreign_kind(path: Path) -> str | None:
    """The kind of a file that is no .safetensors file, and what to do, as the rest of a sentence; None if unknown."""
    with path.open("rb") as stream:
        start = stream.read(_LOOKED_AT)
    if kind := next((kind for first, kind in _STARTS.items() if start.startswith(first)), None):
        return kind
    if start.lstrip().lower().startswith(_OF_PAGES):
        return "is a page or a message of a web server: the download needs a login or a token; fetch the file again"
    return "is empty: fetch the file again" if not start else None
