"""What is computed in bf16: only what the processor computes faster so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.trainer.model.precision import _kernels_may_use_tiles, fastest_dtype

CPU = torch.device("cpu")
OLDER = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
PROGRAM = Path(__file__).with_name("without_bf16.py")


def test_a_processor_without_bf16_trains_and_samples_in_float32(tiny_base_file: Path) -> None:
    words = [sys.executable, PROGRAM, tiny_base_file]
    answer = subprocess.run(words, env={**os.environ, **OLDER}, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["dtypes"] == [["torch.float32"]] * 2
    assert found["finite"] and 0 < found["loss"] < 10


LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")


@pytest.fixture
def no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("name", "value"), zip(LIMITS, ("AVX512_CORE_BF16", "AVX2", "avx2"), strict=True))
def test_what_keeps_the_kernels_from_matrix_tiles_is_heeded(
    name: str, value: str, no_limits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _kernels_may_use_tiles()
    monkeypatch.setenv(name, value)
    assert not _kernels_may_use_tiles() and fastest_dtype(CPU) is None


def test_matrix_tiles_are_used_where_the_processor_has_them(no_limits: None) -> None:
    if not getattr(torch.cpu, "_is_amx_tile_supported", bool)():
        pytest.skip("this processor has no matrix tiles")
    assert fastest_dtype(CPU) is torch.bfloat16
