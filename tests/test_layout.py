"""Arrows between folders point one way: which module may import which, read off every import statement."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
Name = tuple[str, ...]

MAY_IMPORT = {
    "operating_system": "",
    "files": "operating_system",
    "prompts": "",
    "events": "",
    "wording": "",
    "randomness": "",
    "out_of_memory": "",
    "openmp": "",
    "options": "prompts",
    "presets": "options",
    "subject": "files prompts wording",
    "model": "files options subject.frame subject.rare_tokens",
    "distributed": "events options out_of_memory",
    "scores": "files events",
    "methods": "files model options randomness",
    "sampling": "files model subject events out_of_memory randomness",
    "memory": "files methods model options subject.frame",
    "training": "distributed memory methods model subject options events wording randomness out_of_memory",
    "runs": "files methods model sampling subject options presets prompts events wording operating_system",
    "export": "files methods model runs.personalized subject options operating_system",
    "instantbooth": "files methods model prompts randomness runs subject training",
}
"""Part of trainer/ -> the parts that it may import; `session` may import all."""
HOSTS = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "nodes", "modules", "gradio", "fastapi"}
HEAVY = {"peft", "diffusers", "transformers", "accelerate"}
"""What no host's start waits for, and the WebUI's process never imports: its own versions may be others."""
WEBUI_HEAVY = {*HEAVY, "torch"}
"""The same for the WebUI's process when it loads the tab: its torch may lack what ours has."""
COMMANDS = {"command_line", "a1111", "bench", "demo", "toybase", "tests", "machine_check"}


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path, everywhere: bool = True) -> Iterator[Name]:
    """What a module imports: ("trainer", "files", "atomic", "write_atomically") of ours, ("torch", "nn") of others.

    everywhere: also within functions and under TYPE_CHECKING.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    folder = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else ()
            start = (*above, *(node.module or "").split(".")) if node.module else above
            yield from ((*start, alias.name) for alias in node.names)


def ours(name: Name) -> Path | None:
    """The module of this repository that an import reads, if it is one."""
    for length in range(len(name), 0, -1):
        file, package = ROOT.joinpath(*name[:length]).with_suffix(".py"), ROOT.joinpath(*name[:length], "__init__.py")
        if found := next((path for path in (file, package) if path.is_file()), None):
            return found
    return None


def allowed(part: str, name: Name) -> bool:
    return any(
        name[1 : 1 + len(one)] == one for one in (tuple(p.split(".")) for p in (part, *MAY_IMPORT[part].split()))
    )


def test_every_part_of_the_trainer_has_its_rule() -> None:
    parts = {
        path.stem for path in (ROOT / "trainer").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert parts - {"__init__", "session"} == set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_of_the_trainer_imports_what_stands_below_it(part: str) -> None:
    files = modules(f"trainer/{part}") or [ROOT / "trainer" / f"{part}.py"]
    wrong = [
        f"{file.relative_to(ROOT)}: {'.'.join(name)}"
        for file in files
        for name in imports(file)
        if name[0] == "trainer" and not allowed(part, name)
    ]
    assert not wrong


def test_the_rules_have_no_circle() -> None:
    below = {part: {one.split(".")[0] for one in names.split()} for part, names in MAY_IMPORT.items()}
    while below:
        lowest = {part for part, names in below.items() if not names & below.keys()}
        assert lowest, f"a circle among {sorted(below)}"
        below = {part: names for part, names in below.items() if part not in lowest}


def test_no_module_imports_itself_by_a_detour() -> None:
    product = modules("trainer", "nodes", "a1111", "command_line", "demo", "toybase", "bench")
    below = {file: {found for name in imports(file) if (found := ours(name)) and found != file} for file in product}
    while below:
        lowest = {file for file, names in below.items() if not names & below.keys()}
        assert lowest, f"a circle among {sorted(str(file.relative_to(ROOT)) for file in below)}"
        below = {file: names for file, names in below.items() if file not in lowest}


def test_the_trainer_knows_no_host_and_no_command() -> None:
    names = [(file, name) for file in modules("trainer") for name in imports(file)]
    assert names
    assert not [(str(file), name) for file, name in names if name[0] in HOSTS | COMMANDS]


def test_the_bench_is_reached_by_its_commands_alone() -> None:
    product = modules("trainer", "machine_check", "nodes", "a1111", "command_line", "demo", "toybase")
    users = {file.name for file in product for name in imports(file) if name[0] == "bench"}
    assert users and all(user.startswith("bench_") for user in users)
    assert not [file for file in modules("bench") for name in imports(file) if name[0] == "command_line"]


def test_a_family_is_known_to_its_folder_alone() -> None:
    families = ("trainer", "model", "families")
    others = [file for file in modules("trainer", "nodes", "a1111", "command_line") if "families" not in file.parts]
    assert [file for file in others if any(name[:3] == families for name in imports(file))]
    wrong = [(str(f), n) for f in others for n in imports(f) if n[:3] == families and ours(n) != ours(families)]
    assert not wrong


def light(start: list[Path], everywhere: Callable[[Path], bool], heavy: set[str] = HEAVY) -> set[Path]:
    """The modules that these import, those that they import, and so on; fails where one imports a heavy library."""
    waiting, seen = list(start), set[Path]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in imports(file, everywhere(file)):
            assert name[0] not in heavy, f"{file.relative_to(ROOT)} imports {name[0]}"
            if target := ours(name):
                waiting.append(target)
    return seen


def test_the_webui_keeps_its_own_libraries() -> None:
    """From the extension on: whatever its own modules import, now or later, and what that imports in turn."""
    seen = in_the_webui()
    assert ROOT / "trainer" / "options" / "setting.py" in seen and ROOT / "a1111" / "host" / "models.py" in seen


def test_what_runs_in_the_webui_takes_no_more_of_torch_than_the_oldest_has() -> None:
    recorded = json.loads((ROOT / "tests" / "webui" / "surfaces" / "a1111.json").read_text(encoding="utf-8"))
    assert recorded["libraries"]["torch"].startswith("2.1.2")
    taken = {(file.name, name) for file in in_the_webui() for name in taken_of_torch(file)}
    assert ("photos.py", "from_numpy") in taken
    assert {(file, name) for file, name in taken if name not in recorded["torch"]} == set()


def in_the_webui() -> set[Path]:
    return light([ROOT / "a1111" / "extension.py"], lambda file: "a1111" in file.parts, WEBUI_HEAVY)


def taken_of_torch(file: Path) -> Iterator[str]:
    """ "uint64" of `torch.uint64`; "Tensor" of `from torch import Tensor`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "torch":
            yield node.attr
    yield from (name[1] for name in imports(file) if name[0] == "torch" and len(name) > 1)


POSIX_ONLY = {
    "fcntl",
    "resource",
    "signal",
    "pwd",
    "grp",
    "termios",
    "tty",
    "pty",
    "winreg",
    "msvcrt",
    "multiprocessing",
}
"""Modules of one system, and what starts processes in ways that differ: for `trainer/operating_system.py` alone."""
CALLS = {
    "fork", "forkpty", "killpg", "setsid", "setpgid", "wait3", "wait4", "getuid", "geteuid", "getpgid", "mkfifo",
    "symlink", "symlink_to", "start_new_session", "preexec_fn", "process_group",
}  # fmt: skip
"""The same among attributes and arguments; symbolic links need rights on Windows that users lack."""
PRODUCT = ("trainer", "machine_check", "nodes", "a1111", "command_line", "toybase", "demo", "bench", "scripts")


def system_specific(file: Path) -> Iterator[str]:
    """What of one system a module names: its modules, calls and arguments, and a rename that may be refused."""
    yield from (name[0] for name in imports(file) if name[0] in POSIX_ONLY)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in CALLS:
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg in CALLS:
            yield node.arg
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "os.replace":
            yield "os.replace"


def test_what_one_system_lacks_is_in_one_module() -> None:
    """install.py and its helper run before the package can be imported, and rename a folder of their own."""
    own = ROOT / "trainer" / "operating_system.py"
    alone = {ROOT / "a1111" / "put_beside.py"}
    assert {"signal", "killpg", "os.replace"} <= set(system_specific(own))
    others = [file for file in [*modules(*PRODUCT), ROOT / "__main__.py", ROOT / "__init__.py"] if file != own]
    assert {file.name: found for file in others if file not in alone and (found := {*system_specific(file)})} == {}
    assert {*system_specific(ROOT / "a1111" / "put_beside.py")} == {"os.replace"}


def test_every_process_that_is_read_as_text_has_an_encoding() -> None:
    """Where a text is opened ruff's PLW1514 sees to it; of subprocess it knows nothing."""
    calls = [
        (file.name, {word.arg for word in node.keywords})
        for file in modules(*PRODUCT)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    texts = [(name, words) for name, words in calls if "text" in words and words & {"stdout", "capture_output"}]
    assert texts and not [name for name, words in texts if "encoding" not in words]


def test_comfyui_starts_without_heavy_libraries() -> None:
    """Whatever the nodes import when ComfyUI loads them: the rest is imported when a node runs."""
    assert ROOT / "trainer" / "runs" / "run.py" in light(modules("nodes"), lambda file: False)
