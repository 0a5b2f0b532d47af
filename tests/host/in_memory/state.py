"""What a training leaves of the user's MODEL, and the key that a run is kept under."""

from __future__ import annotations

import itertools
from typing import Any

import comfy.model_management
import comfy.model_sampling
import comfy_extras.nodes_model_merging
import torch

from dreambooth_nodes.nodes.host_model import key
from dreambooth_nodes.nodes.host_model.model import HostModel
from dreambooth_nodes.nodes.host_model.targets import target_layers
from dreambooth_nodes.nodes.host_model.training import host_base, train_in_host
from dreambooth_nodes.tests.host.in_memory.models import (
    SHORT,
    Parts,
    drawn,
    new_store,
    request_of,
    sd3,
    trained,
    with_words,
)
from dreambooth_nodes.trainer.events import Event, Warned


def fingerprint(*parts: Any) -> str:
    """The fingerprint of a MODEL, CLIP and VAE."""
    return key.identity_of(*parts).fingerprint


def state(model: Any) -> dict[str, Any]:
    """All that a graph could notice of a MODEL: names, kinds, values, hooks."""
    reader = key.Reader()
    return {
        **{name: (type(module).__name__, len(module._forward_hooks), "forward" in vars(module))
           for name, module in model.model.named_modules()},
        **{f"{name} =": (w.is_inference(), reader.described(w))
           for name, w in model.model.state_dict().items()},
    }  # fmt: skip


class Broken(Exception):
    pass


def left_as_it_was(parts: Parts) -> dict[str, bool]:
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


def keys(parts: Parts) -> dict[str, bool]:
    """{change: whether the key is another one}."""
    model, clip, vae = parts
    plain = fingerprint(*parts)
    comfy.model_management.load_models_gpu([model])
    loaded = fingerprint(*parts)
    comfy.model_management.unload_all_models()
    unloaded = fingerprint(*parts)
    again = fingerprint(sd3(), clip, vae)
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
    one, half, same = (fingerprint(clone, clip, vae) for clone in patched)
    other = sd3()
    with torch.no_grad():
        other.model.diffusion_model.final_layer.linear.bias.add_(1)
    changed = fingerprint(other, clip, vae)
    merged, same_merge, other_merge = (fingerprint(by_halves(model, sd3(seed)), clip, vae) for seed in (1, 1, 2))
    return {
        "loaded": loaded != plain,
        "unloaded": unloaded != plain,
        "loaded anew": again != plain,
        "the same patch": same != one,
        "a patch": one != plain,
        "another strength": half != one,
        "another shift": fingerprint(shifted, clip, vae) != plain,
        "a changed layer": changed != plain,
        "a merge": merged != plain,
        "the same merge": same_merge != merged,
        "another merge": other_merge != merged,
    }


def by_halves(model: Any, other: Any) -> Any:
    """Half of each of two models, by the host's own node."""
    return comfy_extras.nodes_model_merging.ModelMergeSimple().merge(model, other, 0.5)[0]


def unread(parts: Parts) -> dict[str, Any]:
    """The kinds that cannot be read of a model with a patch by a function that holds some object, and whether its key
    is another each time.
    """
    model, clip, vae = parts
    clone, held = model.clone(), object()
    name = "diffusion_model.final_layer.linear.bias"
    clone.add_patches({(name, None, lambda weight: (held, weight)[1]): ("diff", (torch.ones(64),))})
    first, second = (key.identity_of(clone, clip, vae) for _ in range(2))
    told: list[str] = []

    def tell(event: Event) -> None:
        if isinstance(event, Warned):
            told.append(event.text)

    train_in_host(host_base(clone, clip, vae), request_of(steps=1), new_store(), tell, lambda: False)
    return {"plain": key.identity_of(*parts).unread, "unread": first.unread, "told": told,
            "another": first.fingerprint != second.fingerprint}  # fmt: skip


def memory(parts: Parts) -> dict[str, bool]:
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


def with_lora(model: Any) -> Any:
    """A clone with a patch of one layer."""
    clone = model.clone()
    name, layer = list(target_layers(model.model.diffusion_model, "transformer").items())[-1]
    change = torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(5)) * 0.05
    assert clone.add_patches({f"diffusion_model.{name}.weight": ("diff", (change,))}, 0.7)
    return clone


def figures() -> dict[str, Any]:
    """Memory, ends and keys."""
    parts = with_words(sd3())
    return {
        "memory": memory(parts),
        "left": left_as_it_was((with_lora(parts[0]), *parts[1:])),
        "keys": keys(parts),
        "unread": unread(parts),
    }
