"""The WebUI's way of loading: a flat script, with the extension's root on sys.path only for that long."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dreambooth_nodes.tests.webui.environment import ROOT
from dreambooth_nodes.tests.webui.stand_in import KINDS

LOADED = """
import sys
sys.path[:] = [entry for entry in sys.path if entry not in ("", {root!r})]
sys.path.insert(0, {here!r})
import stand_in, stand_in_server
from pathlib import Path
before = list(sys.path)
webui = stand_in.WebUI(Path({data!r}), {kind!r}, None)
stand_in_server.load_scripts(Path({root!r}))
stand_in_server.load_scripts(Path({root!r}))
assert sys.path == before, sys.path
assert len(webui.tabs) == len(webui.started) == 2
stolen = {{"nodes", "trainer", "a1111", "install", "tests", "web", "demo", "scripts"}} & set(sys.modules)
assert not stolen, stolen
assert "gradio" not in sys.modules and "diffusers" not in sys.modules
"""


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_registers_and_leaves_the_hosts_names_alone(kind: str, tmp_path: Path) -> None:
    code = LOADED.format(root=str(ROOT), here=str(Path(__file__).parent), data=str(tmp_path), kind=kind)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_the_training_process_sees_our_libraries_before_any_other(tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("raise SystemExit('ours is first')")
    words = [sys.executable, ROOT / "a1111" / "launch_child.py", tmp_path, "train", "--help"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "ours is first"
    words[2] = ""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--events" in done.stdout
