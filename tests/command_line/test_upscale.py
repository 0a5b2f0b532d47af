"""`upscale` writes a picture four times as large, and refuses a base that enlarges none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dreambooth_nodes.command_line.dispatch import main
from dreambooth_nodes.tests.trainer.model.families.upscaler import write_upscaler
from dreambooth_nodes.trainer.files.pictures import read_picture, write_picture


def test_a_picture_is_written_four_times_as_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = write_upscaler(tmp_path / "upscaler.safetensors")
    small = write_picture(torch.rand(3, 16, 24, generator=torch.Generator().manual_seed(1)), tmp_path / "small.png")
    words = ["upscale", str(small), "--base", str(base), "--steps", "2", "--prompt", "a dog", "--device", "cpu"]
    assert main([*words, "--output", str(tmp_path / "out")], "test") == 0
    file = tmp_path / "out" / "small_x4.png"
    assert capsys.readouterr().out.strip() == str(file)
    assert read_picture(file).shape == (3, 64, 96)
    assert main([*words, "--noise-level", "351", "--output", str(tmp_path)], "test") == 1
    assert "noise_level is 351" in capsys.readouterr().err


def test_a_base_that_enlarges_nothing_is_refused(
    tmp_path: Path, toybase_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = write_picture(torch.zeros(3, 8, 8), tmp_path / "small.png")
    assert main(["upscale", str(small), "--base", str(toybase_file), "--output", str(tmp_path)], "test") == 1
    assert "enlarges no pictures" in capsys.readouterr().err
