"""InstantBooth in the host: vectors of class nouns from its CLIP, and adapters as its own attention patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..trainer.files.safetensors import CheckpointError
from ..trainer.runs.personalized import Personalized
from .comfy_host import store

if TYPE_CHECKING:
    # The host's start waits for none of the libraries that these need.
    from ..trainer.instantbooth.adapter import GatedAdapter
    from ..trainer.instantbooth.prediction import KnownPredictor
    from ..trainer.instantbooth.predictor import Predictor

TOY = "toy base"
STAGES = {"down_blocks": "input", "mid_block": "middle", "up_blocks": "output"}
"""{diffusers' name of a part of the UNet: the host's}."""
Place = tuple[str, int, int]
"""Part of the UNet, number of the block in it, number of the transformer block in that."""


def predictor_folder() -> Path:
    """Where the host's user keeps predictors that train-predictor has made."""
    return store().work / "predictors"


def predictor_names() -> list[str]:
    """The choices of a predictor: the toy base's, where the pack carries one, and the user's files."""
    from ..toybase.stored_predictor import is_stored

    files = sorted(path.name for path in predictor_folder().glob("*.safetensors") if path.is_file())
    return [*([TOY] if is_stored() else []), *files]


def predictor_mark(name: str) -> str:
    """What changes when the file of a choice does; for one that is not there its name alone."""
    path = _file(name)
    known = path.stat() if path.is_file() else None
    return name if known is None else f"{name} {known.st_mtime_ns} {known.st_size}"


def chosen_predictor(name: str) -> KnownPredictor:
    """The predictor of a choice. Raises ValueError for one that is not there, CheckpointError for another file."""
    from ..toybase.stored_predictor import stored_predictor
    from ..trainer.instantbooth.prediction import KnownPredictor

    if name not in predictor_names():
        raise ValueError(
            f"There is no predictor {name!r} in {predictor_folder()} any more; press R and choose another."
        )
    return stored_predictor() if name == TOY else KnownPredictor.of_file(_file(name))


def noun_vectors(clip: Any, predictor: Predictor, noun: str) -> dict[str, Tensor]:
    """{text encoder: the vector [width] of a noun's last token} in the host's CLIP. Raises ValueError for a CLIP of
    another kind of model than the predictor's.
    """
    from ..trainer.methods.textual_inversion.file import comfyui_name
    from ..trainer.model.families import family_named

    family = family_named(predictor.shape.family)
    found = {}
    for component in predictor.shape.words:
        name = comfyui_name(family, component)
        part, tokenizer = getattr(clip.cond_stage_model, name, None), getattr(clip.tokenizer, name, None)
        if part is None or tokenizer is None:
            raise ValueError(f"This CLIP has no {name}: the predictor is for models of the family {family.family}.")
        ids = tokenizer.tokenizer(noun)["input_ids"][tokenizer.tokens_start : -1]
        if not ids:
            raise ValueError(f"{noun!r} holds no word that this CLIP knows: say what the subject is.")
        table = part.transformer.get_input_embeddings()
        # Made outside inference mode, a tensor is an ordinary one.
        found[component] = table.weight[ids[-1]].detach().float().cpu().clone()
    return found


def with_features(model: Any, result: Personalized, strength: float) -> Any:
    """A clone of the model that is shown a predicted subject's features. strength: β, 0 for none.

    Raises ValueError for a model of other blocks, CheckpointError where what predicted the subject is gone.
    """
    from ..trainer.instantbooth.prediction import read_features

    known = _predictor_of(result)
    return with_adapters(model, known.predictor, read_features(store(), result, known), strength)


def with_adapters(model: Any, predictor: Predictor, patches: Tensor, strength: float) -> Any:
    """A clone of the model whose blocks have the adapters, which are shown patch features [M, C] where a prompt is
    followed; the negative prompt is the base's. Raises ValueError for a model of other blocks.
    """
    adapters = _placed(model, predictor)
    changed = model.clone()
    if strength:
        changed.set_model_patch(_patch(adapters, patches, strength), "middle_patch")
    return changed


def _patch(adapters: dict[Place, GatedAdapter], patches: Tensor, strength: float) -> Callable[..., Tensor]:
    """The host's patch between self- and cross-attention: hidden states [B, N, width] → the same with the features."""

    def middle(x: Tensor, options: dict[str, Any]) -> Tensor:
        stage, number = options["block"]
        adapter = adapters[stage, number, options["block_index"]].to(x.device)
        kinds = options["cond_or_uncond"]
        rows = zip(x.chunk(len(kinds)), kinds, strict=True)
        return torch.cat([part if kind else _changed(adapter, part, patches, strength) for part, kind in rows])

    return middle


def _changed(adapter: GatedAdapter, x: Tensor, patches: Tensor, strength: float) -> Tensor:
    """y + β·tanh(γ)·S([y, f])."""
    from ..trainer.instantbooth.attachment import Shown, added

    dtype = adapter.out.weight.dtype
    shown = Shown(patches.to(x.device, dtype).expand(len(x), -1, -1), strength)
    return x + added(adapter, x.to(dtype), shown).to(x.dtype)


def _placed(model: Any, predictor: Predictor) -> dict[Place, GatedAdapter]:
    """{place in the host's UNet: its adapter}: within each part both count the blocks in one order. Raises ValueError
    where the blocks are others.
    """
    places, adapters = _host_places(model), predictor.adapters
    found: dict[Place, GatedAdapter] = {}
    for ours, theirs in STAGES.items():
        own = [adapter for name, adapter in adapters.items() if name.startswith(ours)]
        there = [place for place in places if place[0] == theirs]
        if [places[place] for place in there] != [adapter.norm.normalized_shape[0] for adapter in own]:
            raise ValueError(
                "The subject was predicted for another kind of model than the connected one, whose blocks differ."
            )
        found |= dict(zip(there, own, strict=True))
    return found


def _host_places(model: Any) -> dict[Place, int]:
    """{place: width} of the transformer blocks of the host's UNet, in its order; none in another denoiser."""
    found = {}
    for name, module in model.model.diffusion_model.named_modules():
        parts: Sequence[str] = name.split(".")
        if len(parts) > 2 and parts[-2] == "transformer_blocks" and hasattr(module, "attn1"):
            stage, number = parts[0].removesuffix("_blocks").removesuffix("_block"), parts[1]
            place = (stage, 0 if stage == "middle" else int(number), int(parts[-1]))
            found[place] = int(module.attn1.to_q.in_features)
    return found


def _predictor_of(result: Personalized) -> KnownPredictor:
    """What predicted a result. Raises CheckpointError where it is not there any more."""
    from ..trainer.files.hashes import file_sha256
    from ..trainer.instantbooth.prediction import predictor_digest

    wanted = predictor_digest(store(), result)
    for name in predictor_names():
        if file_sha256(_file(name)) == wanted:
            return chosen_predictor(name)
    raise CheckpointError(
        f"{result.file.name!r} was predicted by a predictor that is not in {predictor_folder()} any more: put it back, "
        "or predict the subject again."
    )


def _file(name: str) -> Path:
    """The file of a choice."""
    from ..toybase.stored_predictor import stored_file

    return stored_file() if name == TOY else predictor_folder() / name
