"""Run inside ComfyUI's folder: what becomes of models that its loaders made, trained where
they are. stdout: a JSON object of figures, each named by what it measures.
"""

from __future__ import annotations

import itertools
import json
import runpy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before comfy, under whose import another module of this name would be found.
import utils.install_util  # type: ignore[import-not-found]

assert utils.install_util

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.ldm.flux.model  # noqa: E402
import comfy.ldm.qwen_image.model  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_detection  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_sampling  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.sd  # noqa: E402
import torch  # noqa: E402
from torch import Tensor  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
runpy.run_path(str(ROOT / "__main__.py"), run_name="dreambooth_command_line")["load_package"]()

from dreambooth_nodes.demo.example import cached_toybase  # noqa: E402
from dreambooth_nodes.nodes.host_model import key, sampling  # noqa: E402
from dreambooth_nodes.nodes.host_model.kinds import unsuitable  # noqa: E402
from dreambooth_nodes.nodes.host_model.lora import HostLora  # noqa: E402
from dreambooth_nodes.nodes.host_model.model import PROMPT, HostModel  # noqa: E402
from dreambooth_nodes.nodes.host_model.noise import CONTINUOUS, FLOWS, PREDICTIONS, TABLES, noise_of  # noqa: E402
from dreambooth_nodes.nodes.host_model.targets import target_layers  # noqa: E402
from dreambooth_nodes.nodes.host_model.training import host_base, train_in_host  # noqa: E402
from dreambooth_nodes.tests.host.tiny_models import (  # noqa: E402
    qwen_shapes,
    random_weights,
    sd3_shapes,
    taesd_shapes,
)
from dreambooth_nodes.trainer.model.families import load_base  # noqa: E402
from dreambooth_nodes.trainer.options import TrainOptions  # noqa: E402
from dreambooth_nodes.trainer.runs.request import Request  # noqa: E402
from dreambooth_nodes.trainer.runs.run import Run  # noqa: E402
from dreambooth_nodes.trainer.runs.store import Store  # noqa: E402
from dreambooth_nodes.trainer.subject.photos import photos_from_tensors  # noqa: E402
from dreambooth_nodes.trainer.subject.subject import Subject  # noqa: E402

SIDE = 64
SHORT, LONG = "a dog", "a dog " * 60
"""Prompts whose embeddings differ in length."""


def sd3() -> Any:
    """The tiny Stable Diffusion 3, as a stock loader leaves it."""
    return comfy.sd.load_diffusion_model_state_dict(random_weights(sd3_shapes()))


def qwen() -> Any:
    """A tiny Qwen-Image, whose sizes the host would not read from its file."""
    detect = comfy.model_detection.detect_unet_config

    def sized(*arguments: Any, **named: Any) -> Any:
        return {**detect(*arguments, **named), "num_attention_heads": 1, "joint_attention_dim": 768}

    comfy.model_detection.detect_unet_config = sized
    try:
        return comfy.sd.load_diffusion_model_state_dict(random_weights(qwen_shapes()))
    finally:
        comfy.model_detection.detect_unet_config = detect


def flux() -> Any:
    """A tiny FLUX.1, whose blocks add to their inputs in place; the host would not read its heads from its file."""
    detect = comfy.model_detection.detect_unet_config
    sizes = {"in_channels": 16, "out_channels": 16, "vec_in_dim": 768, "context_in_dim": 768, "hidden_size": 128,
             "mlp_ratio": 4.0, "num_heads": 1, "depth": 1, "depth_single_blocks": 1, "axes_dim": [16, 56, 56],
             "theta": 10000, "patch_size": 2, "qkv_bias": True, "guidance_embed": False}  # fmt: skip
    network = comfy.ldm.flux.model.Flux(**sizes, dtype=torch.float32, device="cpu", operations=comfy.ops.manual_cast)
    weights = random_weights({name: tuple(weight.shape) for name, weight in network.state_dict().items()})
    comfy.model_detection.detect_unet_config = lambda *a, **named: {**detect(*a, **named), "num_heads": 1}
    try:
        return comfy.sd.load_diffusion_model_state_dict(weights)
    finally:
        comfy.model_detection.detect_unet_config = detect


def small_vae() -> Any:
    """A VAE of 16 channels."""
    halves = taesd_shapes()
    weights = {
        f"taesd_{half}.{name}": weight
        for half, shapes in halves.items()
        for name, weight in random_weights(shapes).items()
    }
    return comfy.sd.VAE(sd={**weights, "vae_scale": torch.tensor(1.5), "vae_shift": torch.tensor(0.1)})


def subject() -> Subject:
    source = torch.Generator().manual_seed(0)
    pictures = [torch.rand(SIDE, SIDE, 3, generator=source) for _ in range(3)]
    return Subject(photos_from_tensors(pictures, None, SIDE, SIDE), "dog", SIDE, SIDE)


def trained(
    parts: tuple[Any, Any, Any],
    store: Store | None = None,
    tell: Callable[[Any], None] = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> Run:
    """A run of a few steps."""
    folder = Path(tempfile.mkdtemp())
    store = store or Store(folder / "loras", folder / "checkpoints", folder / "work")
    chosen = TrainOptions(**{"steps": 6, "learning_rate": 1e-2, "rank": 4, "sample_count": 0, **options})
    request = Request(subject=subject(), identifier="olt", options=chosen, name="tiny")
    return train_in_host(host_base(*parts), request, store, tell, stop)[1]


def losses(run: Run) -> list[float]:
    return [point.instance for point in run.losses()]


def state(model: Any) -> dict[str, Any]:
    """All that a graph could notice of a MODEL: names, kinds, values, hooks."""
    return {
        **{name: (type(module).__name__, len(module._forward_hooks), "forward" in vars(module))
           for name, module in model.model.named_modules()},
        **{f"{name} =": (w.is_inference(), key._described(w))
           for name, w in model.model.state_dict().items()},
    }  # fmt: skip


def drawn(parts: tuple[Any, Any, Any], sampler: str = "euler") -> Tensor:
    model, clip, vae = parts
    texts = [clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a photo of olt dog", "")]
    return sampling.draw(model, vae, texts[0], texts[1], (SIDE, SIDE), 0, sampler, 4)


class Broken(Exception):
    pass


def left_as_it_was(parts: tuple[Any, Any, Any]) -> dict[str, bool]:
    """{way to end: whether the user's MODEL, with a LoRA upstream, is as before}."""
    before_picture = drawn(parts)
    comfy.model_management.load_models_gpu([parts[0]])
    before, ways = state(parts[0]), {}

    def broken(event: Any) -> None:
        if type(event).__name__ == "Step" and event.step == 3:
            raise Broken

    def out_of_memory(event: Any) -> None:
        if type(event).__name__ == "Step" and event.step == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    counted = itertools.count()
    ends: dict[str, dict[str, Any]] = {
        "success": {"sample_count": 1, "sample_every": 3},
        "stopped": {"stop": lambda: next(counted) > 5},
        "exception": {"tell": broken, "seed": 1},
        "out of memory": {"tell": out_of_memory, "seed": 2},
        "checkpointing": {"checkpointing": True, "seed": 3},
    }
    for name, arguments in ends.items():
        try:
            trained(parts, **arguments)
        except Exception as error:
            assert name in ("exception", "out of memory", "stopped"), repr(error)
        ways[name] = state(parts[0]) == before and torch.equal(drawn(parts), before_picture)
        comfy.model_management.load_models_gpu([parts[0]])
    return ways


def keys(parts: tuple[Any, Any, Any]) -> dict[str, bool]:
    """{change: whether the key is another one}."""
    model, clip, vae = parts
    plain = key.fingerprint_of(*parts)
    comfy.model_management.load_models_gpu([model])
    loaded = key.fingerprint_of(*parts)
    comfy.model_management.unload_all_models()
    unloaded = key.fingerprint_of(*parts)
    again = key.fingerprint_of(sd3(), clip, vae)
    shifted = model.clone()

    class Changed(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
        pass

    schedule = Changed(model.model.model_config)
    schedule.set_parameters(shift=1.0, multiplier=1000)
    shifted.add_object_patch("model_sampling", schedule)
    name = "diffusion_model.joint_blocks.0.x_block.mlp.fc1.weight"
    patched = [model.clone() for _ in range(3)]
    for clone, strength in zip(patched, (1.0, 0.5, 1.0), strict=True):
        clone.add_patches({name: ("diff", (torch.ones(256, 64),))}, strength)
    one, half, same = (key.fingerprint_of(clone, clip, vae) for clone in patched)
    other = sd3()
    with torch.no_grad():
        other.model.diffusion_model.final_layer.linear.bias.add_(1)
    changed = key.fingerprint_of(other, clip, vae)
    return {
        "loaded": loaded != plain,
        "unloaded": unloaded != plain,
        "loaded anew": again != plain,
        "the same patch": same != one,
        "a patch": one != plain,
        "another strength": half != one,
        "another shift": key.fingerprint_of(shifted, clip, vae) != plain,
        "a changed layer": changed != plain,
    }


def forwards(parts: tuple[Any, Any, Any]) -> dict[str, float]:
    """Batches of prompts of one and of several lengths beside one forward each; the relative distance."""
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        numbers = base.encode_prompts([SHORT, LONG])[PROMPT]
        z, sigma = torch.randn(3, 16, 8, 8), torch.tensor([0.2, 0.5, 0.9])
        rows = numbers[[0, 1, 0]]
        whole = base.predict(z, sigma, {PROMPT: rows})
        apart = torch.cat([base.predict(z[i : i + 1], sigma[i : i + 1], {PROMPT: rows[i : i + 1]}) for i in range(3)])
        lengths = {base.prompts[number]["cross_attn"].shape[1] for number in numbers.tolist()}
        return {"lengths": len(lengths), "distance": float((whole - apart).norm() / apart.norm())}


def gradients(parts: tuple[Any, Any, Any]) -> dict[str, float]:
    """The branch's gradients with recomputed activations beside those without."""
    found = []
    for checkpointing in (False, True):
        with HostModel(*parts, "").borrowed() as base:
            HostLora().attach(base, TrainOptions(rank=4))
            assert base.branch is not None
            with torch.no_grad():
                for update in base.branch.by_name.values():
                    update.up.normal_(generator=torch.Generator().manual_seed(0))
            if checkpointing:
                base.enable_checkpointing()
            prompt = base.encode_prompts([SHORT])
            z = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(1))
            base.predict(z, torch.tensor([0.5]), prompt).square().mean().backward()
            grads = [weight.grad for weight in base.branch.parameters()]
            assert all(grad is not None for grad in grads)
            found.append(torch.cat([grad.flatten() for grad in grads if grad is not None]))
    return {"norm": float(found[0].norm()), "distance": float((found[0] - found[1]).norm())}


def memory(parts: tuple[Any, Any, Any]) -> dict[str, bool]:
    """Whether the weights in training are ordinary tensors of the host's own memory."""
    model = parts[0]
    before = {name: w.data_ptr() for name, w in model.model.named_parameters()}
    with HostModel(*parts, "").borrowed() as base:
        prompt = base.encode_prompts([SHORT])
        base.predict(torch.randn(1, 16, 8, 8), torch.tensor([0.5]), prompt)
        inside = dict(model.model.named_parameters())
        ordinary = not any(w.is_inference() for w in inside.values())
        same = {name: w.data_ptr() for name, w in inside.items()} == before
    return {"loaded as inference tensors": all(w.is_inference() for w in model.model.parameters()),
            "ordinary": ordinary, "same memory": same}  # fmt: skip


def samplings() -> Iterator[tuple[str, Any]]:
    """(its classes, object) of every combination of a schedule and an answer that the host has."""
    kinds = comfy.model_sampling
    for prediction, schedule in itertools.product(PREDICTIONS, (*TABLES, *FLOWS, *CONTINUOUS)):
        classes = [getattr(kinds, name, None) for name in (schedule, prediction)]
        if None not in classes:
            made = type("ModelSampling", tuple(classes), {})()  # type: ignore[arg-type]
            # As the host's own models have it where they need it.
            made.sigma_data = getattr(made, "sigma_data", 1.0)
            yield f"{schedule} {prediction}", made


def noise() -> dict[str, dict[str, float]]:
    """{classes: how far the target is from denoising to x, and an inverted answer from itself; the levels}."""
    found = {}
    for name, made in samplings():
        process = noise_of(made)
        source = torch.Generator().manual_seed(0)
        x, eps, output = (torch.randn(64, 4, 8, 8, generator=source) for _ in range(3))
        levels = process.draw_timesteps(torch.rand(64, generator=source))
        z = process.add_noise(x, eps, levels)
        denoised = made.calculate_denoised(levels, process.target(x, eps, levels), z)
        inverted = process.answer(made.calculate_denoised(levels, output, z), z, levels)
        table = made.sigmas
        found[name] = {
            "target": float((denoised - x).abs().max()),
            "answer": float(((inverted - output).flatten(1).norm(dim=1) / output.flatten(1).norm(dim=1)).max()),
            "outside": float(((levels < table.min()) | (levels > table.max())).sum()),
            "off the table": float(sum(level not in table for level in levels)),
            "finite": float(torch.isfinite(process.signal_to_noise(levels)).all()),
        }
    return found


def densities() -> dict[str, float]:
    """The levels of a flow of shift 3, by the density of its kind of model."""
    kind = type("ModelSampling", (comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST), {})
    flow = kind()
    flow.set_parameters(shift=3.0)
    u = (torch.arange(1000) + 0.5) / 1000
    plain, sd3_levels = noise_of(flow).draw_timesteps(u), noise_of(flow, "SD3").draw_timesteps(u)
    # The shift taken back: t = σ / (3 − 2σ).
    logits = (sd3_levels / (3 - 2 * sd3_levels)).logit()
    # No level is below the schedule's least.
    expected = (3 * u / (1 + 2 * u)).clamp(min=float(flow.sigma_min))
    return {"shifted": float((plain - expected).abs().max()),
            "mean of the logits": float(logits.mean()), "their deviation": float(logits.std())}  # fmt: skip


def toybase(parts: tuple[Any, Any, Any]) -> dict[str, float]:
    """The embedded base through the host beside the family that reads its file: relative distances."""
    family = load_base(cached_toybase(), "epsilon")
    photo = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    u = torch.rand(4, generator=torch.Generator().manual_seed(1))
    x, eps = (torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (2, 3))
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        theirs, ours = base.encode_images(photo), family.encode_images(photo)
        sigma, t = base.noise_process.draw_timesteps(u), family.noise_process.draw_timesteps(u)
        told = {PROMPT: base.encode_prompts([SHORT])[PROMPT].expand(4)}
        answer = base.predict(base.noise_process.add_noise(x, eps, sigma), sigma, told)
        rows = {name: value.expand(4, *value.shape[1:]) for name, value in family.encode_prompts([SHORT]).items()}
        wanted = family.predict(family.noise_process.add_noise(x, eps, t), t, rows)
        target = base.noise_process.target(x, eps, sigma)
        snr = base.noise_process.signal_to_noise(sigma), family.noise_process.signal_to_noise(t)
    pairs = {"mean": (theirs.mean, ours.mean), "std": (theirs.std, ours.std), "answer": (answer, wanted),
             "target": (target, eps), "signal to noise": snr}  # fmt: skip
    return {name: float((a - b).norm() / b.norm()) for name, (a, b) in pairs.items()}


def overfitted(parts: tuple[Any, Any, Any], steps: int = 200) -> dict[str, float]:
    """The loss of one picture at fixed noise and level before and after some steps on it."""
    with HostModel(*parts, "").borrowed() as base:
        HostLora().attach(base, TrainOptions(rank=32))
        assert base.branch is not None
        source = torch.Generator().manual_seed(0)
        x, eps = (torch.randn(1, 16, 8, 8, generator=source) for _ in range(2))
        sigma, told = torch.tensor([0.5]), base.encode_prompts([SHORT])
        z, target = base.noise_process.add_noise(x, eps, sigma), base.noise_process.target(x, eps, sigma)
        optimizer = torch.optim.Adam(base.branch.parameters(), lr=1e-2)
        seen = []
        for _ in range(steps):
            loss = (base.predict(z, sigma, told) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(float(loss.detach()))
        return {"first": seen[0], "last": seen[-1]}


def beside_diffusers(parts: tuple[Any, Any, Any]) -> float:
    """The relative distance of Qwen-Image's answer from that of diffusers' own class with the same weights."""
    from diffusers import QwenImageTransformer2DModel

    theirs = QwenImageTransformer2DModel(
        patch_size=2, in_channels=64, out_channels=16, num_layers=1, num_attention_heads=1, joint_attention_dim=768
    )
    theirs.load_state_dict(random_weights(qwen_shapes()))
    z, sigma = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4])
    with HostModel(*parts, "").borrowed() as base, torch.no_grad():
        told = base.encode_prompts([SHORT])
        ours = base.predict(z, sigma, told)
        text = base.prompts[0]["cross_attn"]
        packed = z.view(1, 16, 4, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 16, 64)
        mask = torch.ones(text.shape[:2], dtype=torch.bool)
        answer = theirs(
            packed, encoder_hidden_states=text, encoder_hidden_states_mask=mask, timestep=sigma,
            img_shapes=[[(1, 4, 4)]], return_dict=False,
        )[0]  # fmt: skip
        unpacked = answer.view(1, 4, 4, 16, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, 16, 8, 8)
    return float((ours - unpacked).norm() / unpacked.norm())


def found_by_the_loader(parts: tuple[Any, Any, Any]) -> dict[str, Any]:
    """The layers of a LoRA, and how many of them the host's own loader finds in its file."""
    with HostModel(*parts, "").borrowed() as base:
        method = HostLora()
        method.attach(base, TrainOptions(rank=2))
        tensors = dict(method.file(base, method.trained(base)).tensors)
    patched, _ = comfy.sd.load_lora_for_models(parts[0], None, tensors, 1.0, 0.0)
    return {"layers": list(target_layers(parts[0].model.diffusion_model, "transformer")),
            "found": len(patched.patches) - len(parts[0].patches)}  # fmt: skip


def same_samples(parts: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Losses of runs with and without sample pictures, and of one that stopped and went on."""
    plain = losses(trained(parts))
    folder = Path(tempfile.mkdtemp())
    store, counted = Store(folder / "loras", folder / "checkpoints", folder / "work"), itertools.count()
    stopped = losses(trained(parts, store, stop=lambda: next(counted) > 5))
    return {"plain": plain, "with samples": losses(trained(parts, sample_count=1, sample_every=2)),
            "stopped": stopped, "resumed": losses(trained(parts, store)), "anew": losses(trained(parts))}  # fmt: skip


def kinds() -> dict[str, str | None]:
    """{the host's class of model: why it is not trained}."""
    every = vars(comfy.model_base).values()
    return {kind.__name__: unsuitable(kind) for kind in every
            if isinstance(kind, type) and issubclass(kind, comfy.model_base.BaseModel)}  # fmt: skip


def with_lora(model: Any) -> Any:
    """A clone with a patch of one layer."""
    clone = model.clone()
    name = "diffusion_model.joint_blocks.0.x_block.mlp.fc1.weight"
    change = torch.randn(256, 64, generator=torch.Generator().manual_seed(5)) * 0.05
    assert clone.add_patches({name: ("diff", (change,))}, 0.7)
    return clone


@torch.inference_mode()
def main() -> None:
    """Print all figures."""
    unet, clip, kl = comfy.sd.load_checkpoint_guess_config(str(cached_toybase()))[:3]
    vae = small_vae()
    stable, image = (sd3(), clip, vae), (qwen(), clip, vae)
    figures = {
        "noise": noise(),
        "kinds": kinds(),
        "densities": densities(),
        "toybase": toybase((unet, clip, kl)),
        "memory": memory(stable),
        "left": left_as_it_was((with_lora(stable[0]), clip, vae)),
        "keys": keys(stable),
        "forwards": forwards(stable),
        "gradients": gradients(stable),
        "in place": gradients((flux(), clip, vae)),
        "runs": same_samples(stable),
        "lora": {"sd3": found_by_the_loader(stable), "qwen": found_by_the_loader(image),
                 "sd1": found_by_the_loader((unet, clip, kl))},
        "overfitted": overfitted(image),
        "diffusers": beside_diffusers(image),
    }  # fmt: skip
    print(json.dumps(figures))


main()
