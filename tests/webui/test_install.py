"""install.py as the WebUI runs it: its environment stays as it is, what it lacks goes into a folder of ours."""

from __future__ import annotations

import importlib.util
import json
import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dreambooth_nodes.a1111.put_beside import NothingFits, choices, put_beside
from dreambooth_nodes.tests.webui.environment import ROOT
from dreambooth_nodes.tests.webui.pip_host import REQUIREMENTS, Host

QUICK = 4.0
"""Times what Python itself takes to start and to look at what is installed; pip takes many times that."""
BARE = "import importlib.metadata, json, re, runpy; [*importlib.metadata.distributions()]"

AS_THE_WEBUI = """
import shlex, subprocess, sys
command = shlex.join([sys.executable, sys.argv[1]])
done = subprocess.run(command, shell=True, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
print("kept:", done.stdout + done.stderr)
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return Host(tmp_path_factory.mktemp("host"))


@pytest.fixture
def host(prepared: Host) -> Host:
    shutil.rmtree(prepared.extension / "libraries", ignore_errors=True)
    prepared.remove()
    return prepared


def test_a_host_with_new_libraries_is_left_alone(host: Host) -> None:
    host.put(("alpha_lib", "3.0"), ("beta_lib", "2.0"))
    assert host.install().returncode == 0
    assert not (host.extension / "libraries").exists()
    assert host.child_sees() == "3.0 2.0"


def test_an_old_library_is_put_beside_and_not_replaced(host: Host) -> None:
    host.put(("alpha_lib", "1.0"), ("beta_lib", "1.5"))
    before = host.packages
    assert host.install().returncode == 0
    assert host.packages == before
    # The version that is tested, and gamma, which it needs; beta is new enough.
    assert host.libraries == ["alpha_lib.py", "gamma_lib.py"]
    assert host.child_sees() == "2.1 1.5"


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [
        # The version that is tested, where the rest is; beside a newer one, the newest.
        ("2.1", "1.5"),
        ("3.0", "2.0"),
        # The newest beta does not load beside this newer alpha, and the one that is tested does.
        ("2.2", "1.5"),
    ],
)
def test_a_missing_library_fits_what_is_there(host: Host, alpha: str, beta: str) -> None:
    host.put(("alpha_lib", alpha), ("gamma_lib", "0.3"))
    before = host.packages
    assert host.install().returncode == 0
    assert host.packages == before
    assert host.libraries == ["beta_lib.py"]
    assert host.child_sees() == f"{alpha} {beta}"


def test_where_nothing_fits_the_hosts_all_comes_as_it_is_tested(host: Host) -> None:
    host.put(("alpha_lib", "2.9"))
    assert host.install().returncode == 0
    assert host.libraries == ["alpha_lib.py", "beta_lib.py", "gamma_lib.py"]
    assert host.child_sees() == "2.1 1.5"


def test_an_old_torch_is_never_followed_by_the_newest() -> None:
    required, tested = (ROOT / name for name in ("requirements.txt", "requirements-floor.txt"))
    for choice in choices(required.read_text(), tested.read_text(), {"transformers": "5.1.0", "numpy": "2.1.0"}):
        assert "torch==2.3.1" in choice


def test_a_host_that_was_updated_since_gets_what_fits_now(host: Host) -> None:
    host.put(("alpha_lib", "2.1"), ("gamma_lib", "0.3"))
    assert host.install().returncode == 0
    host.put(("alpha_lib", "3.0"))
    assert host.install().returncode == 0
    assert host.child_sees() == "3.0 2.0"


def cpu_seconds(work: Callable[[], object]) -> float:
    """The least that the processes it starts take, of three times."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        work()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds)


def test_once_installed_no_network_is_needed_and_no_time(host: Host) -> None:
    host.put(("alpha_lib", "1.0"))
    assert host.install().returncode == 0
    again = cpu_seconds(lambda: host.install(PIP_FIND_LINKS=str(host.folder / "nowhere")).check_returncode())
    assert again < QUICK * cpu_seconds(lambda: subprocess.run([host.python, "-c", BARE], check=True))
    assert host.libraries == ["alpha_lib.py", "beta_lib.py", "gamma_lib.py"]


def test_without_a_network_it_says_what_is_missing_and_leaves_nothing(host: Host) -> None:
    done = host.install(PIP_FIND_LINKS=str(host.folder / "nowhere"))
    assert done.returncode == 1
    assert "alpha-lib is missing" in done.stderr
    assert not (host.extension / "libraries").exists()
    with pytest.raises(subprocess.CalledProcessError) as error:
        host.child_sees()
    assert "alpha-lib is missing" in error.value.stderr


def test_the_first_start_shows_its_progress_although_the_webui_keeps_what_installers_print(host: Host) -> None:
    host.put(("alpha_lib", "1.0"), ("beta_lib", "1.5"))
    done = subprocess.run(
        [host.python, "-c", AS_THE_WEBUI, host.extension / "install.py"],
        env=host.environment,
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout == "kept: \n"
    assert re.search(r"(?s)installing into .*Successfully installed .*the libraries .* are installed", done.stderr)


def test_a_python_without_pip_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NothingFits, match="ensurepip"):
        put_beside(tmp_path / "libraries", {}, "alpha", "alpha==1", {})
    assert not list(tmp_path.iterdir())


def test_another_version_of_the_pack_installs_anew(host: Host) -> None:
    host.put(("alpha_lib", "1.0"), ("beta_lib", "1.5"))
    assert host.install().returncode == 0
    (host.extension / "requirements.txt").write_text(REQUIREMENTS + "gamma-lib>=0.3\n")
    assert host.install().returncode == 0
    assert json.loads((host.extension / "libraries" / "complete.json").read_text())["asked"].endswith("gamma-lib>=0.3")
    (host.extension / "requirements.txt").write_text(REQUIREMENTS)
