"""What Apple's GPUs (MPS) lack, and what is done instead.

Written from torch's documentation, not tested on an Apple GPU.
"""

from __future__ import annotations

LIMITS: dict[str, str] = {
    "float64": "is used on the CPU alone: singular values of a difference, tables of losses",
    "bfloat16 before macOS 14": "auto takes float32; fp16 and bf16 are tried by `check`, and used when asked for",
    "fp8 storage": "files in fp8 are read on the CPU, and are float32 on the GPU",
    "operators that torch has not written for MPS": "are computed on the CPU: the command line and the WebUI's "
    "training set PYTORCH_ENABLE_MPS_FALLBACK=1; start ComfyUI with it",
    "a count of free memory": "the plan takes the memory that the system has free, which the GPU shares",
    "pinned memory and CUDA graphs": "are not used anywhere",
    "several processes on one GPU": "train with one process, or with several on the CPU (--device cpu)",
}
"""{what is missing: what is done instead}."""
