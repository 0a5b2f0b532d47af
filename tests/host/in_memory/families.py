"""Kinds of models: what the host's answers are beside other programs', and what is trained of them."""

from __future__ import annotations

from typing import Any, get_args

import comfy.model_base
import comfy.sd
import torch
from torch import Tensor

from dreambooth_nodes.nodes.host_model.kinds import is_distilled, unsuitable
from dreambooth_nodes.nodes.host_model.lora import HostLora
from dreambooth_nodes.nodes.host_model.model import HostModel
from dreambooth_nodes.nodes.host_model.targets import target_layers
from dreambooth_nodes.tests.host.in_memory import models
from dreambooth_nodes.tests.host.in_memory.lora_files import beside_the_pipeline, with_more_layers
from dreambooth_nodes.tests.host.in_memory.models import SHORT, Parts
from dreambooth_nodes.tests.host.model_names import DISTILLED, PLAIN
from dreambooth_nodes.tests.host.tiny_models import qwen_shapes, random_weights
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.choices import Targets


def overfitted(parts: Parts, size: tuple[int, ...] = (16, 8, 8), steps: int = 200) -> dict[str, float]:
    """The loss of one picture at fixed noise and level before and after some steps on it."""
    with HostModel(*parts, "").borrowed() as base:
        HostLora().attach(base, TrainOptions(rank=32))
        assert base.branch is not None
        source = torch.Generator().manual_seed(0)
        x, eps = (torch.randn(1, *size, generator=source) for _ in range(2))
        sigma, told = torch.tensor([0.5]), base.encode_prompts([SHORT])
        z, target = base.noise_process.add_noise(x, eps, sigma), base.noise_process.target(x, eps, sigma)
        optimizer = torch.optim.Adam(base.branch.parameters(), lr=5e-3)
        seen = []
        for _ in range(steps):
            loss = (base.predict(z, sigma, told) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(float(loss.detach()))
        return {"first": seen[0], "last": seen[-1]}


def beside_diffusers(parts: Parts) -> dict[str, Any]:
    """The loss of Qwen-Image for one picture, noise and level, and that of diffusers' own class with the same weights;
    the relative distance of their answers, also with a LoRA in both.
    """
    from diffusers import QwenImageTransformer2DModel

    theirs = QwenImageTransformer2DModel(
        patch_size=2, in_channels=64, out_channels=16, num_layers=1, num_attention_heads=1, joint_attention_dim=768
    )
    theirs.load_state_dict(random_weights(qwen_shapes()))
    source, sigma = torch.Generator().manual_seed(0), torch.tensor([0.4])
    x, eps = (torch.randn(1, 16, 8, 8, generator=source) for _ in range(2))
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        told, z = base.encode_prompts([SHORT]), base.noise_process.add_noise(x, eps, sigma)
        ours = base.predict(z, sigma, told)
        text = base.prompts[0]["cross_attn"]
        packed = z.view(1, 16, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 16, 64)
        mask = torch.ones(text.shape[:2], dtype=torch.bool)

        def answer() -> Tensor:
            given = theirs(
                packed, encoder_hidden_states=text, encoder_hidden_states_mask=mask, timestep=sigma,
                img_shapes=[[(1, 4, 4)]], return_dict=False,
            )[0]  # fmt: skip
            return torch.as_tensor(given.view(1, 4, 4, 16, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, 16, 8, 8))

        unpacked = answer()
        files = beside_the_pipeline("qwen_image", base, theirs, lambda: base.predict(z, sigma, told), answer)
        target = base.noise_process.target(x, eps, sigma)
    return {
        "files": files,
        "ours": float((ours - target).square().mean()),
        # As its training scripts have it.
        "theirs": float((unpacked - (eps - x)).square().mean()),
        "distance": float((ours - unpacked).norm() / unpacked.norm()),
    }


def found_by_the_loader(parts: Parts) -> dict[str, Any]:
    """The layers of a LoRA, and how many of them the host's own loader finds in its file."""
    with HostModel(*parts, "").borrowed() as base:
        method = HostLora()
        method.attach(base, TrainOptions(rank=2))
        tensors = dict(method.file(base, method.trained(base)).tensors)
    patched, _ = comfy.sd.load_lora_for_models(parts[0], None, tensors, 1.0, 0.0)
    return {"layers": list(target_layers(parts[0].model.diffusion_model, "transformer")),
            "found": len(patched.patches) - len(parts[0].patches)}  # fmt: skip


def targeted(model: Any) -> dict[str, list[str]]:
    """{targets: the layers that get a LoRA}."""
    return {targets: list(target_layers(model.model.diffusion_model, targets)) for targets in get_args(Targets)}


def encoded(parts: Parts, wrong_vae: Any) -> dict[str, Any]:
    """Latents of two pictures, together and alone, by a VAE for videos; what is said of another model's VAE."""
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        together = base.encode_images(pixels).mean
        alone = torch.cat([base.encode_images(picture).mean for picture in pixels.split(1)])
    with HostModel(*parts[:2], wrong_vae, "").borrowed() as base, torch.no_grad():
        try:
            base.encode_images(pixels[:1])
        except ValueError as error:
            return {"shape": together.shape, "distance": float((together - alone).norm()), "told": str(error)}
    raise AssertionError("a VAE of another model was taken")


def kinds() -> dict[str, str | None]:
    """{the host's class of model: why it is not trained}."""
    every = vars(comfy.model_base).values()
    return {kind.__name__: unsuitable(kind) for kind in every
            if isinstance(kind, type) and issubclass(kind, comfy.model_base.BaseModel)}  # fmt: skip


def figures() -> dict[str, Any]:
    """What is trained of every kind, and a Qwen-Image."""
    unet, stable, image = models.toybase(), models.with_words(models.sd3()), models.with_words(models.qwen())
    return {
        "kinds": kinds(),
        "distilled": {name: is_distilled(name) for name in sorted(DISTILLED | PLAIN)},
        "lora": {name: found_by_the_loader(parts) for name, parts in
                 {"sd3": stable, "qwen": image, "sd1": unet}.items()},
        "targets": targeted(image[0]),
        "encoded": encoded(image, unet[2]),
        "overfitted": overfitted(image),
        "diffusers": beside_diffusers(image),
        "more layers": with_more_layers(image),
    }  # fmt: skip
