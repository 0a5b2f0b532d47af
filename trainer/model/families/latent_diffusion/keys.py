"""The original layouts' module names and this package's module names ("ours": diffusers' and transformers'), by
component.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...keys import KeyTable
from .unet_shape import Blocks, Depths

DENOISER, VAE = "model.diffusion_model.", "first_stage_model."
CLIP_L, CLIP_L_OF_TWO = "cond_stage_model.transformer.text_model.", "conditioner.embedders.0.transformer.text_model."
OPEN_CLIP, OPEN_CLIP_OF_TWO = "cond_stage_model.model.", "conditioner.embedders.1.model."
"""The prefixes of the components' original names. A text encoder's depends on whether it is the only one or
one of two.
"""
CLIP_L_PREFIXES = (CLIP_L, "cond_stage_model.transformer.")
OPEN_CLIP_PREFIXES = (OPEN_CLIP, "conditioner.embedders.0.model.")
"""The prefixes by which a text encoder is looked for: some files have other ones, and all hosts read them."""

MARKER_KEYS = ("v_pred", "ztsnr")
"""Names of empty tensors that declare facts about a checkpoint: it predicts v; its last timestep is pure noise (zero
terminal SNR).
"""
TEXT = r"(?:cond_stage_model|conditioner\.embedders\.\d+)\..*"
"""A pattern of the names in text encoders."""
IGNORABLE = {
    "a buffer of the noise schedule": r"betas|(?:sqrt_|log_)?(?:one_minus_|recip_|recipm1_)?alphas_cumprod(?:_prev)?"
    r"|sqrt_recip\w*_alphas_cumprod|posterior_\w+|logvar|lvlb_weights|scale_factor|(?:denoiser\.)?(?:log_)?sigmas",
    "a mark of the noise process": r"v_pred|ztsnr|edm_.+",
    "the positions' numbers, 0 to 76": rf"{TEXT}position_ids",
    "the mask of causal attention": rf"{TEXT}attn_mask",
    "the scale of text-image similarity": rf"{TEXT}logit_scale",
    "the projection for text-image similarity": rf"{TEXT}text_projection(?:\.weight)?",
    "the losses that the VAE was trained with": r"first_stage_model\.loss\..+",
    "a filter of results": r"safety_checker\..+",
}
"""{what it is: a pattern of whole names} of tensors that checkpoints hold and that no module needs."""
Pairs = Iterator[tuple[str, str]]
"""(original module name, our module name)."""

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
"""{original name: our name} of the modules in a UNet's residual block."""
OPEN_CLIP_MODULES = {
    "token_embedding": "embeddings.token_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final": "final_layer_norm",
    "text_projection": "text_projection.weight",
}
"""{OpenCLIP's name: our name} outside of the blocks."""
OPEN_CLIP_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""{OpenCLIP's name: our name} in a block."""
HALVES = ("encoder", "decoder")
VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
"""{original name: our name} in the VAE's attention layers."""


def first_prefix_in(prefixes: Sequence[str], names: Iterable[str]) -> str:
    """The first prefix that any name starts with; where there is none, the first prefix."""
    names = list(names)
    return next((p for p in prefixes if any(name.startswith(p) for name in names)), prefixes[0])


def denoiser_table(prefix: str, blocks: Blocks, labels: bool = False) -> KeyTable:
    """The UNet's key table. labels: whether it has a vector for each noise level, as an upscaler."""
    pairs = [*_denoiser_pairs(blocks), *([("label_emb", "class_embedding")] if labels else [])]
    return KeyTable(prefix, tuple(pairs))


def vae_table(prefix: str, blocks: int, levels: int) -> KeyTable:
    """The KL autoencoder's key table. blocks: residual blocks per encoder level."""
    linear = {f"{half}.mid_block.attentions.0.{b}.weight" for half in HALVES for b in list(VAE_ATTENTION.values())[1:]}
    return KeyTable(prefix, tuple(_vae_pairs(blocks, levels)), convolutions=frozenset(linear))


def clip_table(prefix: str) -> KeyTable:
    """The key table of OpenAI's CLIP text encoder, whose original names are transformers' after the prefix."""
    names = ("embeddings.token_embedding", "embeddings.position_embedding", "encoder", "final_layer_norm")
    return KeyTable(prefix, tuple((name, name) for name in names))


def open_clip_table(prefix: str, layers: int) -> KeyTable:
    """The key table of the first `layers` blocks of OpenCLIP's text encoder, where each block's q, k and v are one
    tensor.
    """
    pairs = dict(OPEN_CLIP_MODULES)
    fused = []
    for layer in range(layers):
        original, ours = f"transformer.resblocks.{layer}", f"encoder.layers.{layer}"
        pairs |= {f"{original}.{a}": f"{ours}.{b}" for a, b in OPEN_CLIP_BLOCK.items()}
        for part in ("weight", "bias"):
            split = tuple(f"{ours}.self_attn.{name}_proj.{part}" for name in "qkv")
            fused.append((f"{original}.attn.in_proj_{part}", split))
    return KeyTable(prefix, tuple(pairs.items()), tuple(fused), frozenset({"text_projection.weight"}))


def _denoiser_pairs(blocks: Blocks) -> Pairs:
    """The UNet's module names."""
    for original, ours in (("time_embed", "time_embedding"), ("label_emb.0", "add_embedding")):
        yield f"{original}.0", f"{ours}.linear_1"
        yield f"{original}.2", f"{ours}.linear_2"
    yield from (("input_blocks.0.0", "conv_in"), ("out.0", "conv_norm_out"), ("out.2", "conv_out"))
    if blocks.middle is not None:
        yield from _resnet("middle_block.0", "mid_block.resnets.0")
    if blocks.middle:
        yield "middle_block.1", "mid_block.attentions.0"
        yield from _resnet("middle_block.2", "mid_block.resnets.1")
    yield from _down_pairs(blocks.down)
    yield from _up_pairs(blocks.up)


def _down_pairs(levels: Depths) -> Pairs:
    """The names of the UNet's encoder levels, outermost first."""
    index = 1
    for level, depths in enumerate(levels):
        for block, depth in enumerate(depths):
            yield from _resnet(f"input_blocks.{index}.0", f"down_blocks.{level}.resnets.{block}")
            if depth:
                yield f"input_blocks.{index}.1", f"down_blocks.{level}.attentions.{block}"
            index += 1
        if level < len(levels) - 1:
            yield f"input_blocks.{index}.0.op", f"down_blocks.{level}.downsamplers.0.conv"
            index += 1


def _up_pairs(levels: Depths) -> Pairs:
    """The names of the UNet's decoder levels, innermost first."""
    index = 0
    for level, depths in enumerate(levels):
        for block, depth in enumerate(depths):
            yield from _resnet(f"output_blocks.{index}.0", f"up_blocks.{level}.resnets.{block}")
            if depth:
                yield f"output_blocks.{index}.1", f"up_blocks.{level}.attentions.{block}"
            index += 1
        if level < len(levels) - 1:
            place = 2 if depths[-1] else 1
            yield f"output_blocks.{index - 1}.{place}.conv", f"up_blocks.{level}.upsamplers.0.conv"


def _resnet(original: str, ours: str) -> Pairs:
    """The names in one of the UNet's residual blocks."""
    return ((f"{original}.{a}", f"{ours}.{b}") for a, b in RESNET.items())


def _vae_pairs(blocks: int, levels: int) -> Pairs:
    """The VAE's module names. blocks: of an encoder level; a decoder level has one more."""
    yield from (("quant_conv", "quant_conv"), ("post_quant_conv", "post_quant_conv"))
    for half in HALVES:
        yield f"{half}.conv_in", f"{half}.conv_in"
        yield f"{half}.norm_out", f"{half}.conv_norm_out"
        yield f"{half}.conv_out", f"{half}.conv_out"
        for block in (0, 1):
            yield from _vae_resnet(f"{half}.mid.block_{block + 1}", f"{half}.mid_block.resnets.{block}")
        for a, b in VAE_ATTENTION.items():
            yield f"{half}.mid.attn_1.{a}", f"{half}.mid_block.attentions.0.{b}"
    for level in range(levels):
        down, up = f"encoder.down_blocks.{level}", f"decoder.up_blocks.{levels - 1 - level}"
        for block in range(blocks):
            yield from _vae_resnet(f"encoder.down.{level}.block.{block}", f"{down}.resnets.{block}")
        for block in range(blocks + 1):
            yield from _vae_resnet(f"decoder.up.{level}.block.{block}", f"{up}.resnets.{block}")
        yield f"encoder.down.{level}.downsample.conv", f"{down}.downsamplers.0.conv"
        yield f"decoder.up.{level}.upsample.conv", f"{up}.upsamplers.0.conv"


def _vae_resnet(original: str, ours: str) -> Pairs:
    """The names of one of the VAE's residual blocks, whose modules have the same names but for the shortcut."""
    yield f"{original}.nin_shortcut", f"{ours}.conv_shortcut"
    yield original, ours
