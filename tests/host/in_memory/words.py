"""Rare words of the tokenizers that the host has, and how strongly a host's model knows them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch

from dreambooth_nodes.nodes.comfy_sampling import denoiser_answer
from dreambooth_nodes.nodes.comfy_tokenizers import vocabularies
from dreambooth_nodes.nodes.host_model.model import PROMPT, HostModel
from dreambooth_nodes.nodes.pick_rare_token import PickRareToken
from dreambooth_nodes.tests.host.in_memory.models import Parts, qwen, sd3, with_words
from dreambooth_nodes.trainer import randomness
from dreambooth_nodes.trainer.subject.identifier import PROBE_TIMES, candidates_of
from dreambooth_nodes.trainer.subject.identifier_warnings import warnings_in
from dreambooth_nodes.trainer.subject.rare_tokens import Vocabulary

TOKENIZERS = {
    "clip": ("comfy.sd1_clip", "SD1Tokenizer"),
    "sdxl": ("comfy.sdxl_clip", "SDXLTokenizer"),
    "sd3": ("comfy.text_encoders.sd3_clip", "SD3Tokenizer"),
    "flux": ("comfy.text_encoders.flux", "FluxTokenizer"),
    "t5": ("comfy.text_encoders.pixart_t5", "PixArtTokenizer"),
    "z_image": ("comfy.text_encoders.z_image", "ZImageTokenizer"),
    "qwen_image": ("comfy.text_encoders.qwen_image", "QwenImageTokenizer"),
    "hunyuan_image": ("comfy.text_encoders.hunyuan_image", "HunyuanImageTokenizer"),
    "klein": ("comfy.text_encoders.flux", "KleinTokenizer"),
    "krea2": ("comfy.text_encoders.krea2", "Krea2Tokenizer"),
    "anima": ("comfy.text_encoders.anima", "AnimaTokenizer"),
    "bytes": ("comfy.text_encoders.hunyuan_image", "ByT5SmallTokenizer"),
}
"""{name: the host's module and class}; the last is one of bytes alone."""


def clips() -> Iterator[tuple[str, Any]]:
    """(name, an object with the host's tokenizer as its CLIP has it) of those that this host has."""
    for name, (module, kind) in TOKENIZERS.items():
        try:
            tokenizer = getattr(importlib.import_module(module), kind)()
        except (ImportError, AttributeError):
            continue
        alone = SimpleNamespace(only=tokenizer) if name == "bytes" else tokenizer
        yield name, SimpleNamespace(tokenizer=alone)


def read(clip: Any, text: str) -> list[list[str]]:
    """The tokens of a text, as each of the host's tokenizers reads it into its encoder."""
    rows = []
    for part in vars(clip.tokenizer).values():
        if hasattr(part, "tokens_start"):
            (row,) = part.tokenize_with_weights(text)
            rows.append([part.inv_vocab.get(token, "") for token, _ in row if token != part.pad_token])
    return rows


def texts(known: list[Vocabulary], length: int) -> list[str]:
    """The candidates of a length; none where the tokenizers agree on none, of two tokens, and one is advised."""
    try:
        return [candidate.text for candidate in candidates_of(known, length, 0)]
    except ValueError as error:
        assert length > 1 and "choose a smaller length" in str(error)
        return []


def rare_words(clip: Any) -> dict[str, Any]:
    """The candidates of one and two tokens, what speaks against them and common words, their tokens in a prompt."""
    known = vocabularies(clip)
    found: dict[str, Any] = {"vocabularies": [one.name for one in known]}
    if known:
        drawn, two = candidates_of(known, 1, 0), texts(known, 2)
        one = [candidate.text for candidate in drawn]
        found |= {
            "one": one,
            "two": two,
            "against": [reason for word in (*one, *two) for reason in warnings_in(word, known)],
            "against common": {word: warnings_in(word, known) for word in ("dog", "sks", "owl")},
            "again": texts(known, 1) == one,
            "read": {word: read(clip, f"a photo of a {word} dog") for word in (*one[:4], *two[:2])},
            "ranks": [min(candidate.ranks) for candidate in drawn],
        }
    return found


@torch.no_grad()
def strengths(parts: Parts) -> dict[str, Any]:
    """The answers that priors are measured by, beside the model's own at the same levels; and what the node says."""
    model, clip, vae = parts
    prompts = ["a dog", "a photo of a red car"]
    answers = denoiser_answer(model, clip)(prompts)
    with HostModel(model, clip, vae, "").borrowed() as base, torch.no_grad():
        latents = model.get_model_object("latent_format")
        noise = randomness.normal(0, "probe", range(len(PROBE_TIMES)), (latents.latent_channels, 8, 8))
        table = base.noise_process.table
        sigma = torch.stack([table[int(share * (len(table) - 1))] for share in PROBE_TIMES])
        z = base.noise_process.add_noise(torch.zeros_like(noise), noise, sigma)
        numbers = base.encode_prompts(prompts)[PROMPT]
        direct = torch.stack([base.predict(z, sigma, {PROMPT: number.repeat(len(z))}) for number in numbers])
    text, report = PickRareToken.execute(clip, 1, 0, model=model).args
    return {
        "distance": float((answers.view_as(direct) - direct).norm() / direct.norm()),
        "apart": float((direct[0] - direct[1]).norm() / direct.norm()),
        "chosen": text,
        "priors": [float(line.split()[-1]) for line in report.splitlines() if " prior " in line and "ids" in line],
    }


def figures() -> dict[str, Any]:
    """Of every tokenizer, and of a flow whose latents have frames and one whose have none."""
    return {
        "words": {name: rare_words(clip) for name, clip in clips()},
        "strengths": {"qwen": strengths(with_words(qwen())), "sd3": strengths(with_words(sd3()))},
    }
