"""A kind of model that no family of ours reads, in queued graphs of stock loaders: an SD3 of one block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from dreambooth_nodes.demo import example
from dreambooth_nodes.demo.comfyui import ComfyUI, Interrupted, NodeError
from dreambooth_nodes.demo.messages import Message
from dreambooth_nodes.demo.workflow import Prompt
from dreambooth_nodes.tests.host.graphs import IDENTIFIER, PROMPT, SIDE, apart, node, pixels, steps_trained
from dreambooth_nodes.tests.host.tiny_models import SD3_LAYERS, random_weights, sd3_shapes, taesd_shapes

MODEL, STEPS = "tiny_turbo.safetensors", 4
"""Its name says that it is for few steps."""
SAMPLED = {"seed": 0, "steps": 20, "cfg": 5.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
"""What the pack draws its samples with, as KSampler takes it."""


def install(base_directory: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """The files of a tiny model and a VAE among the host's own."""
    models = base_directory / "models"
    for folder in ("diffusion_models", "vae_approx"):
        (models / folder).mkdir(parents=True, exist_ok=True)
    save_file(random_weights(shapes), models / "diffusion_models" / MODEL)
    for half, halves in taesd_shapes().items():
        save_file(random_weights(halves), models / "vae_approx" / f"taesd3_{half}.safetensors")


@pytest.fixture(scope="module")
def host(comfyui: ComfyUI) -> ComfyUI:
    """The host with the files of the tiny model among its own."""
    install(comfyui.base_directory, sd3_shapes())
    return comfyui


def loaded() -> Prompt:
    """Model, CLIP and VAE by stock loaders, and photos."""
    subject = next(iter(example.example_subjects().values()))
    return {
        "model": node("UNETLoader", unet_name=MODEL, weight_dtype="default"),
        "clip": node("LoadToyBase"),
        "vae": node("VAELoader", vae_name="taesd3"),
        "photos": node(
            "LoadInstanceImages", folder=subject.folder, class_noun=subject.class_noun, resolution=SIDE
        ),
    }  # fmt: skip


def training(steps: int = STEPS, model: str = "model", options: dict[str, Any] | None = None, **inputs: Any) -> Prompt:
    """A graph that draws priors and trains."""
    base = {"model": [model, 0], "clip": ["clip", 1], "vae": ["vae", 0], "subject": ["photos", 0]}
    return {
        **loaded(),
        "options": node("DreamBoothOptions", **{"sample_count": 0, "sample_prompt": PROMPT, **(options or {})}),
        "priors": node("GenerateClassPriors", **base, count=2, seed=0, steps=2, batch_size=2),
        "train": node(
            "DreamBoothTrain", **base, class_priors=["priors", 0], options=["options", 0],
            **{"identifier": IDENTIFIER, "method": "lora", "preset": "balanced", "steps": steps,
               "learning_rate": 1e-2, "seed": 0, "name": "any", **inputs},
        ),
    }  # fmt: skip


def picture(host: ComfyUI, prompt: Prompt, model: str = "model") -> np.ndarray:
    """One picture of the prompt by the stock sampler: int16 [H, W, 3]."""
    graph = {
        **prompt,
        "positive": node("CLIPTextEncode", clip=["clip", 1], text=PROMPT),
        "negative": node("CLIPTextEncode", clip=["clip", 1], text=""),
        "empty": node("EmptySD3LatentImage", width=SIDE, height=SIDE, batch_size=1),
        "sampled": node(
            "KSampler", model=[model, 0], positive=["positive", 0], negative=["negative", 0],
            latent_image=["empty", 0], **SAMPLED,
        ),
        "image": node("VAEDecode", samples=["sampled", 0], vae=["vae", 0]),
        "shown": node("PreviewImage", images=["image", 0]),
    }  # fmt: skip
    return pixels(host.images(host.run(graph), "shown")[0])


def lora_of(run: dict[str, Any], host: ComfyUI) -> Path:
    """The file of a run's result."""
    return host.output_directory / run["files"][-1]["file"]


def test_priors_train_save_and_the_stock_loader(host: ComfyUI) -> None:
    before = picture(host, loaded())
    messages: list[Message] = []
    host.run(training(options={"sample_count": 1, "sample_every": 2}), messages.append)
    assert sum(message.kind == "dreambooth.step" for message in messages) == STEPS
    warned = [message.data["warning"] for message in messages if message.kind == "dreambooth.warned"]
    assert [values for sentence, *values in warned if "distilled" in sentence] == [[MODEL]]
    run = example.newest_run(host)
    assert run["status"] == "finished" and all(point["prior"] is not None for point in run["losses"])
    assert apart(picture(host, loaded()), before) == 0

    tensors = load_file(lora_of(run, host))
    assert {key.removesuffix(".alpha") for key in tensors if key.endswith(".alpha")} == {
        f"diffusion_model.{layer}" for layer in SD3_LAYERS
    }
    lora = node(
        "LoraLoader", model=["model", 0], clip=["clip", 1], lora_name=lora_of(run, host).name,
        strength_model=1.0, strength_clip=1.0,
    )  # fmt: skip
    drawn = picture(host, {**loaded(), "lora": lora}, "lora")
    assert "lora key not loaded" not in host.log.read_text(encoding="utf-8", errors="replace")
    assert apart(drawn, before) > 0
    samples = sorted((host.output_directory / "dreambooth" / "runs").glob(f"*/samples/*{STEPS}*.png"))
    newest = max(samples, key=lambda path: path.stat().st_mtime_ns)
    assert apart(pixels(newest.read_bytes()), drawn) <= 2
    assert steps_trained(host, training(options={"sample_count": 1, "sample_every": 2})) == 0


def test_a_cancelled_run_goes_on_and_ends_as_if_it_had_not_been(host: ComfyUI) -> None:
    def cancel(message: Message) -> None:
        if message.kind == "dreambooth.step" and message.data["step"] == 3:
            host.interrupt()

    asked: dict[str, Any] = {"steps": 12, "seed": 7}
    with pytest.raises(Interrupted, match="DreamBoothTrain"):
        host.run(training(**asked), cancel)
    left = example.newest_run(host)
    assert left["status"] == "stopped" and lora_of(left, host).is_file()
    assert 0 < steps_trained(host, training(**asked)) < 12
    resumed = example.newest_run(host)
    host.free()
    runs = host.output_directory / "dreambooth" / "runs"
    moved = {path: path.rename(path.with_name(f"{path.name}.moved")) for path in runs.glob("*")}
    assert steps_trained(host, training(**asked)) == 12
    straight = example.newest_run(host)
    for path, there in moved.items():
        if not path.exists():
            there.rename(path)
    assert [p["instance"] for p in straight["losses"]] == [p["instance"] for p in resumed["losses"]]
    assert {k: v.tolist() for k, v in load_file(lora_of(straight, host)).items()} == {
        k: v.tolist() for k, v in load_file(lora_of(resumed, host)).items()
    }


def test_a_shift_makes_another_base(host: ComfyUI) -> None:
    plain = training(seed=9)
    steps_trained(host, plain)
    first = example.newest_run(host)
    shifted = {**training(seed=9, model="shifted"), "shifted": node("ModelSamplingSD3", model=["model", 0], shift=1.0)}
    assert steps_trained(host, shifted) == STEPS
    assert example.newest_run(host)["base"] != first["base"]


@pytest.mark.parametrize(
    ("inputs", "options", "told"),
    [({"method": "full"}, {}, "only 'lora'"), ({}, {"train_text_encoder": True}, "text encoder cannot be trained")],
)
def test_what_the_host_s_model_does_not_allow_is_refused(
    host: ComfyUI, inputs: dict[str, Any], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(NodeError, match=told):
        host.run(training(options=options, **inputs))
