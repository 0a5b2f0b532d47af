"""A folder that diffusers draws from, as a user would: no size given, nothing put in by hand."""

from __future__ import annotations

from pathlib import Path

import diffusers
import numpy as np

from dreambooth_nodes.tests.trainer.families.small import write_checkpoint
from dreambooth_nodes.trainer.export.conversion import Conversion
from dreambooth_nodes.trainer.export.convert import convert


def test_a_pipeline_from_the_folder_draws_at_the_size_that_the_family_was_trained_at(tmp_path: Path) -> None:
    file = write_checkpoint("sd1", tmp_path / "sd1.safetensors")
    folder = convert(Conversion(source=file, layout="diffusers folder", target=tmp_path / "folder", dtype="fp32")).path
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline("a dog", num_inference_steps=1, output_type="np").images
    assert drawn.shape == (1, 512, 512, 3) and np.isfinite(drawn).all()
