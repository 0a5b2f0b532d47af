"""The command line: `python FOLDER COMMAND ...`, whatever the folder is called.

A portable Python keeps the working directory off sys.path, and the root must stay off it anyway (its `nodes`
and `tests` would shadow a host's), so the folder is loaded as a package by its path.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent
PACKAGE = "dreambooth_nodes"


def load_package(root: Path = ROOT, name: str = PACKAGE) -> ModuleType:
    """Import the folder `root` as the package `name`, once, and return it."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, root / "__init__.py", submodule_search_locations=[str(root)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{root} holds no __init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def write_toybase(arguments: argparse.Namespace) -> int:
    writer = importlib.import_module(f"{PACKAGE}.toybase.writer")
    print(writer.write_checkpoint(arguments.file))
    return 0


def run_demo(arguments: argparse.Namespace) -> int:
    demo = importlib.import_module(f"{PACKAGE}.demo.run")
    return int(demo.run(arguments))


def run_bench(arguments: argparse.Namespace) -> int:
    speed = importlib.import_module(f"{PACKAGE}.bench.speed")
    return int(speed.run(arguments))


def run_quality(arguments: argparse.Namespace) -> int:
    quality = importlib.import_module(f"{PACKAGE}.bench.quality.command")
    return int(quality.run(arguments))


def command_line() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `command` to the function that runs it."""
    parser = argparse.ArgumentParser(prog=f"python {ROOT.name}", description="DreamBooth.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    toybase = commands.add_parser("toybase", help="write the embedded base model as a checkpoint")
    toybase.add_argument("file", type=Path, metavar="FILE.safetensors")
    toybase.set_defaults(command=write_toybase)
    demo = commands.add_parser("demo", help="run the example graph in a real ComfyUI")
    demo.add_argument("--subject", default="", help="an example subject (default: the graph's own)")
    demo.add_argument("--method", default="", help="lora or full (default: the graph's own)")
    demo.add_argument("--output", type=Path, default=ROOT / "demo_output", metavar="FOLDER")
    demo.set_defaults(command=run_demo)
    add_bench(commands.add_parser("bench-speed", help="steps per second and memory beside diffusers' scripts"))
    add_quality(commands.add_parser("bench-quality", help="likeness and prompt fidelity, rows by subjects"))
    return parser


def add_bench(bench: argparse.ArgumentParser) -> None:
    """The options of bench-speed."""
    bench.add_argument("--diffusers", type=Path, required=True, metavar="FOLDER", help="their examples/dreambooth")
    bench.add_argument("--methods", nargs="+", choices=("lora", "full"), default=("lora", "full"))
    bench.add_argument("--rounds", type=int, default=3, help="measurements of each side (default: 3)")
    bench.add_argument("--steps", type=int, default=50, help="of each training, the first 10 not counted (default: 50)")
    bench.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    bench.add_argument("--resolution", type=int, default=64, help="pixels (default: 64, toybase's own)")
    bench.add_argument("--cached-prompts", action="store_true", help="their --pre_compute_text_embeddings as well")
    other = "another base in both layouts (default: toybase)"
    bench.add_argument("--base", type=Path, nargs=2, metavar=("CHECKPOINT", "FOLDER"), default=(), help=other)
    output = "for speed.md, speed.json and logs (default: .cache/bench)"
    bench.add_argument("--output", type=Path, default=ROOT / ".cache" / "bench", metavar="FOLDER", help=output)
    bench.set_defaults(command=run_bench)


def add_quality(bench: argparse.ArgumentParser) -> None:
    """The options of bench-quality."""
    bench.add_argument("--full", action="store_true", help="every row and every subject: some hours on two cores")
    bench.add_argument("--ablations", action="store_true", help="and rows for class noun, identifier, number of photos")
    bench.add_argument("--settings", action="store_true", help="and rows for steps, rates, rank, λ and class images")
    bench.add_argument("--subjects", nargs="+", default=(), metavar="NAME", help="of toybase/subjects")
    bench.add_argument("--diffusers", type=Path, metavar="FOLDER", help="their examples/dreambooth, as rivals")
    bench.add_argument("--comfyui", action="store_true", help="core's TrainLoraNode in a real ComfyUI, as a rival")
    other = "another base in both layouts (default: toybase)"
    bench.add_argument("--base", type=Path, nargs=2, metavar=("CHECKPOINT", "FOLDER"), default=(), help=other)
    bench.add_argument("--photos", type=Path, metavar="FOLDER", help="photos of a subject of your own")
    bench.add_argument("--noun", default="", help="what they show, such as dog")
    bench.add_argument("--prompts", type=Path, metavar="FILE", help="one a line: a [V] {class} in the jungle")
    bench.add_argument("--dino", type=Path, metavar="FOLDER", help="a DINO model of transformers, to judge likeness")
    bench.add_argument("--clip", type=Path, metavar="FOLDER", help="a CLIP model, to judge prompt fidelity")
    bench.add_argument("--size", type=int, default=64, help="pixels (default: 64, toybase's own)")
    output = "for quality.md, quality.json, pictures, and the kept cells (default: .cache/quality)"
    bench.add_argument("--output", type=Path, default=ROOT / ".cache" / "quality", metavar="FOLDER", help=output)
    bench.set_defaults(command=run_quality)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit status."""
    # Python puts a folder that it runs first on sys.path.
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != ROOT]
    load_package()
    arguments = command_line().parse_args(words)
    return int(arguments.command(arguments))


if __name__ == "__main__":
    sys.exit(main())
