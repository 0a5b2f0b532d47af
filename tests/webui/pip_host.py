"""A WebUI's Python with real packages of its own, an extension, and a package index in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from dreambooth_nodes.tests.webui.environment import ROOT

REQUIREMENTS = "# floors\nalpha-lib>=2.0\nbeta_lib>=1.5\n"
TESTED = "# These go together\nalpha-lib==2.1\nbeta_lib==1.5\n"
CHECK = "import sys; sys.path.insert(0, sys.argv[1]); import alpha_lib, beta_lib\n"
# (name, version, what it requires, its code): a beta imports what only some alphas have, as real packages do.
WHEELS = (
    ("alpha_lib", "1.0", "", ""),
    ("alpha_lib", "2.1", "gamma-lib", "today = 1\n"),
    ("alpha_lib", "2.2", "", "today = 1\n"),
    ("alpha_lib", "2.9", "", ""),
    ("alpha_lib", "3.0", "", "tomorrow = 1\n"),
    ("beta_lib", "1.5", "alpha-lib", "from alpha_lib import today\n"),
    ("beta_lib", "2.0", "alpha-lib", "from alpha_lib import tomorrow\n"),
    ("gamma_lib", "0.3", "", ""),
)


class Host:
    """A WebUI's Python with some packages, an extension, and an index in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.index = folder, folder / "index"
        self.extension = folder / "extensions" / "our-pack"
        self.extension.mkdir(parents=True)
        (self.extension / "a1111").mkdir()
        for ours in ("install.py", "a1111/put_beside.py"):
            shutil.copy(ROOT / ours, self.extension / ours)
        (self.extension / "a1111" / "check_libraries.py").write_text(CHECK)
        (self.extension / "requirements.txt").write_text(REQUIREMENTS)
        (self.extension / "requirements-floor.txt").write_text(TESTED)
        (folder / "webui" / "modules").mkdir(parents=True)
        (folder / "webui" / "modules" / "launch_utils.py").write_text("")
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        self.index.mkdir()
        for described in WHEELS:
            wheel(self.index, *described)

    @property
    def libraries(self) -> list[str]:
        """What lies in our folder."""
        return sorted(file.name for file in (self.extension / "libraries").glob("*_lib.py"))

    @property
    def packages(self) -> dict[str, bytes]:
        """{file: contents} of what `put` has put among the host's own packages."""
        files = [file for found in self._site_packages.glob("*_lib*") for file in (found, *found.rglob("*"))]
        return {str(file): file.read_bytes() for file in files if file.is_file()}

    def put(self, *wheels: tuple[str, str]) -> None:
        """Unpack wheels, as (name, version), into the host's own packages, each in the place of its other version."""
        for name, version in wheels:
            self.remove(name)
            with zipfile.ZipFile(self.index / f"{name}-{version}-py3-none-any.whl") as archive:
                archive.extractall(self._site_packages)

    def remove(self, name: str = "*_lib") -> None:
        """Take packages out of the host's own."""
        site = self._site_packages
        for file in (*site.glob(f"{name}.py"), *site.glob(f"__pycache__/{name}.*")):
            file.unlink()
        for folder in site.glob(f"{name}-*.dist-info"):
            shutil.rmtree(folder)

    @property
    def _site_packages(self) -> Path:
        (folder,) = (self.folder / "venv" / "lib").glob("python*/site-packages")
        return folder

    @property
    def environment(self) -> dict[str, str]:
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return {**os.environ, **offline, "PYTHONPATH": str(self.folder / "webui")}

    def install(self, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run install.py as the WebUI does."""
        command = [str(self.python), str(self.extension / "install.py")]
        environment = {**self.environment, **changes}
        return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)

    def child_sees(self) -> str:
        """Versions that the training process imports."""
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); import install; own = install.libraries_of_our_own(); "
            "sys.path[:1] = [own] if own else []; import alpha_lib, beta_lib; "
            "print(alpha_lib.version, beta_lib.version)"
        )
        command = [str(self.python), "-c", code, str(self.extension)]
        return subprocess.run(command, env=self.environment, text=True, capture_output=True, check=True).stdout.strip()


def wheel(index: Path, name: str, version: str, needs: str, code: str) -> None:
    """A real wheel of one module."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    files = {
        f"{name}.py": f"{code}version = {version!r}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(index / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
