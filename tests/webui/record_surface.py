"""Writes down what a real WebUI offers, for the stand-in to offer no more: a new version is a new list.

Copied as `extensions/record-surface/scripts/record_surface.py` into a WebUI that is then started with
`OFFERED=…/a1111/host/offered.py RECORDED=…/tests/webui/surfaces/NAME.json`; once its server runs, the list is there.
Nothing of ours is imported here, and nothing but the WebUI's own modules is asked.
"""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import json
import os
import platform
import runpy
import sys
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "gradio", "fastapi", "pydantic", "pillow", "numpy", "safetensors", "filelock", "transformers")
HOSTS = {"modules", "modules_forge", "backend", "ldm_patched", "networks"}
OBJECTS = (
    "modules.shared:cmd_opts",
    "modules.shared:state",
    "modules.sd_models:model_data",
    "modules.sd_hijack:model_hijack.embedding_db",
)
"""What is asked for more than its name."""


def record(surface: list[str], file: Path) -> None:
    """Write the list. surface: names as "module:attribute"."""
    modules = sorted({name.partition(":")[0] for name in surface})
    offers = {name: described(sys.modules[name]) for name in modules if name in sys.modules}
    offers |= {name: described(found) for name in OBJECTS if (found := looked_up(name)) is not None}
    said = {
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := installed(name))},
        "offers": offers,
        "torch": sorted(name for name in dir(sys.modules["torch"]) if not name.startswith("_")),
    }
    file.write_text(in_lines(said), encoding="utf-8")


def described(thing: Any) -> dict[str, Any]:
    """{public attribute: the parameters of a function, the type of anything else}."""
    # Not getattr of a module: that of its sd_model loads one.
    names = list(vars(thing)) if inspect.ismodule(thing) else dir(thing)
    values = vars(thing) if inspect.ismodule(thing) else {name: getattr(thing, name, None) for name in names}
    return {
        name: kind_of(values[name])
        for name in sorted(names)
        if not name.startswith("_") and not inspect.ismodule(values[name]) and is_the_hosts(values[name])
    }


def is_the_hosts(value: Any) -> bool:
    """Whether it is not another library's, as far as functions and classes say it."""
    if not is_called(value):
        return type(value).__module__ != "typing"
    return (getattr(value, "__module__", None) or "").partition(".")[0] in HOSTS


def is_called(value: Any) -> bool:
    """Whether it is a function or a class; a model can be called as well, and is one only once it is loaded."""
    return inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, functools.partial)


def kind_of(value: Any) -> Any:
    """Parameters as ["a", "b=", "*c", "**d"]; or a type's name."""
    if not is_called(value):
        return type(value).__name__
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return type(value).__name__
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [f"{stars.get(p.kind, '')}{p.name}{'' if p.default is p.empty else '='}" for p in parameters]


def looked_up(name: str) -> Any:
    """What "module:attribute" names, or None."""
    module, _, attributes = name.partition(":")
    found = sys.modules.get(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute, None)
    return found


def installed(name: str) -> str:
    """The version of a library; "" without it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def in_lines(said: dict[str, Any]) -> str:
    """JSON with a line for each module, so that two versions can be compared."""
    offers = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in said["offers"].items())
    rest = ",\n".join(f" {json.dumps(name)}: {json.dumps(said[name])}" for name in ("python", "libraries", "torch"))
    return f'{{\n{rest},\n "offers": {{\n{offers}\n }}\n}}\n'


if "RECORDED" in os.environ:
    from modules import script_callbacks

    SURFACE = list(runpy.run_path(os.environ["OFFERED"])["SURFACE"])
    script_callbacks.on_app_started(lambda *_: record(SURFACE, Path(os.environ["RECORDED"])))
