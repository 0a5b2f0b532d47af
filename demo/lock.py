"""`make lock`: the exact version of every package, direct and indirect, that `make demo` and `make test` install.

One resolution holds for every system and for Python 3.10 to 3.13. Each file that is written is a pip requirements
file; `constraints.txt` is for `.venv`, the others for the environments that the WebUI's tests keep beside it.
"""

from __future__ import annotations

import subprocess
import sys

from .environment import COMFYUI, CONSTRAINTS, REQUIREMENTS, ROOT, VENV, interpreter

WEBUI = ROOT / "tests" / "webui" / "environments"
SOURCES = {
    CONSTRAINTS: [REQUIREMENTS, COMFYUI / "requirements.txt"],
    **{source.with_suffix(".txt"): [source] for source in sorted(WEBUI.glob("*.in"))},
}
"""{the file to write: what its packages are asked for in}."""
RESOLVE = (
    "pip", "compile", "--universal", "--python-version", "3.10", "--upgrade", "--quiet",
    "--no-annotate", "--custom-compile-command", "make lock",
)  # fmt: skip
"""uv's words: https://docs.astral.sh/uv/pip/compile/."""


def main() -> int:
    """Write all files; the exit status. One that cannot be resolved is left as it was."""
    uv = interpreter(VENV).with_name("uv")
    for locked, sources in SOURCES.items():
        # Relative, for uv writes its words into the file.
        asked, written = [source.relative_to(ROOT) for source in sources], locked.relative_to(ROOT)
        print(f"{written} ...", flush=True)
        status = subprocess.run([uv, *RESOLVE, *asked, "-o", written], cwd=ROOT, check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
