"""`python -m toybase SCRIPT …`, in the repository's root: runs a script of this folder, which may use the trainer."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "evaluate",
    "judge_report",
    "predictor_report",
    "quantize",
    "stored_predictor",
    "subjects",
    "train_all",
    "train_denoiser",
    "train_judge",
    "train_predictor",
    "train_upscaler",
    "train_upscaler_vae",
    "train_vae",
)

if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in SCRIPTS:
        sys.exit(f"usage: python -m toybase SCRIPT …, where SCRIPT is one of {', '.join(SCRIPTS)}")
    package = runpy.run_path(str(HERE.parent / "__main__.py"), run_name="toybase_script")["load_package"]().__name__
    script = sys.argv.pop(1)
    runpy.run_module(f"{package}.toybase.{script}", run_name="__main__")
