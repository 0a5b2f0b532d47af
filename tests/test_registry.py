"""What the registry's archive holds: what `.comfyignore` leaves of a git clone, and a pack that is whole."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from dreambooth_nodes.demo.environment import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MOST_ICON_PIXELS = 400
BANNER = (21, 9)
MOST_BYTES = 100 << 20


def listed(*arguments: str) -> set[str]:
    answer = subprocess.run(
        ["git", "ls-files", "-c", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        pytest.skip("no git repository here")
    return set(answer.stdout.splitlines())


@pytest.fixture(scope="module")
def shipped() -> set[str]:
    """The files of the archive, by their paths in the repository."""
    return listed() - listed("-i", "--exclude-from=.comfyignore")


def imports(file: Path) -> Iterator[Path]:
    """The modules and packages of the repository that a file imports, as paths without a suffix."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = file.parents[node.level - 1]
            if node.module:
                yield package.joinpath(*node.module.split("."))
            else:
                # What is no module of the clone is a name in the package's __init__.py.
                yield from (path for name in node.names if is_module(path := package / name.name))


def is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def is_there(module: Path, shipped: set[str]) -> bool:
    name = module.relative_to(ROOT).as_posix()
    return bool({f"{name}.py", f"{name}/__init__.py"} & shipped)


def test_every_module_that_is_shipped_finds_what_it_imports(shipped: set[str]) -> None:
    modules = [ROOT / name for name in shipped if name.endswith(".py")]
    missing = {
        (file.name, module.name) for file in modules for module in imports(file) if not is_there(module, shipped)
    }
    assert len(modules) > 100 and not missing, missing


def test_what_a_host_reads_is_shipped(shipped: set[str]) -> None:
    for name in ("__init__.py", "pyproject.toml", "requirements.txt", "LICENSE", "NOTICE", "README.md"):
        assert name in shipped
    for name in ("denoiser", "vae", "judge"):
        assert f"toybase/weights/{name}.safetensors" in shipped
    tops = {name.split("/")[0] for name in shipped if "/" in name}
    assert tops == {
        "command_line", "example_workflows", "locales", "machine_check", "nodes", "subgraphs", "toybase",
        "trainer", "web",
    }  # fmt: skip
    assert sum((ROOT / name).stat().st_size for name in shipped) < MOST_BYTES


def test_nothing_that_is_shipped_installs_or_evaluates_anything(shipped: set[str]) -> None:
    for name in shipped:
        if not name.endswith(".py"):
            continue
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not called & {"eval", "exec", "os.system", "subprocess.run", "subprocess.Popen", "subprocess.call"}, name


def test_the_project_says_what_the_registry_asks() -> None:
    project, comfy = PROJECT["project"], PROJECT["tool"]["comfy"]
    assert "comfyui" not in project["name"].lower()
    assert {"PublisherId", "DisplayName", "Icon", "Banner", "requires-comfyui"} <= set(comfy)
    assert any(text.startswith("Operating System ::") for text in project["classifiers"])
    assert any(text.startswith("Environment :: GPU ::") for text in project["classifiers"])
    assert "Repository" in project["urls"]


def test_icon_and_banner_have_the_sizes_that_are_asked() -> None:
    with Image.open(ROOT / "registry" / "icon.png") as icon:
        assert icon.width == icon.height <= MOST_ICON_PIXELS
    with Image.open(ROOT / "registry" / "banner.jpg") as banner:
        assert abs(banner.width / banner.height - BANNER[0] / BANNER[1]) < 0.01
    comfy = PROJECT["tool"]["comfy"]
    assert [comfy[name].rpartition("/registry/")[2] for name in ("Icon", "Banner")] == ["icon.png", "banner.jpg"]


def test_every_placeholder_is_named_in_the_readme() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "OWNER" not in text or "`OWNER`" in readme
