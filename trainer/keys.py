"""Names of weights: the original layout ↔ ours, one table, both ways.

Ours are diffusers' names for denoiser and VAE, and transformers 5's for CLIP (no `text_model.`
prefix). A table holds module names; what follows a module's name (`.weight`, `.bias`) is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Pairs = Iterator[tuple[str, str]]

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


@dataclass(frozen=True)
class KeyTable:
    """One component's names. `prefix` stands before every original name."""

    prefix: str
    pairs: tuple[tuple[str, str], ...]

    def ours(self, original: str) -> str | None:
        """Our name for an original one, or None where no module of ours owns it."""
        if not original.startswith(self.prefix):
            return None
        return _rename(original[len(self.prefix) :], dict(self.pairs))

    def original(self, ours: str) -> str | None:
        """The original name for one of ours, or None where the layout has no such module."""
        name = _rename(ours, {b: a for a, b in self.pairs})
        return None if name is None else self.prefix + name

    def original_name(self, ours: str) -> str | None:
        """The original name for one of ours, or None where no single tensor of the layout is it."""
        return self.original(ours)

    def to_ours(self, originals: Iterable[str]) -> dict[str, str]:
        """{original name: our name} for those that this component owns."""
        table = dict(self.pairs)
        mine = ((key, key[len(self.prefix) :]) for key in originals if key.startswith(self.prefix))
        return {key: name for key, rest in mine if (name := _rename(rest, table)) is not None}


def _rename(key: str, table: Mapping[str, str]) -> str | None:
    module = key
    while module and module not in table:
        module = module.rpartition(".")[0]
    return table[module] + key[len(module) :] if module else None


def denoiser_table(prefix: str, blocks: int, attention: tuple[int, ...]) -> KeyTable:
    """The UNet's names. `blocks` per level; `attention`: transformer depth of each level (0: none)."""
    return KeyTable(prefix, tuple(_denoiser_pairs(blocks, attention)))


def vae_table(prefix: str, blocks: int, levels: int) -> KeyTable:
    """The KL autoencoder's names, `blocks` residual blocks per encoder level."""
    return KeyTable(prefix, tuple(_vae_pairs(blocks, levels)))


def text_table(prefix: str) -> KeyTable:
    """CLIP's text encoder: the same names after the prefix."""
    names = ("embeddings", "encoder", "final_layer_norm")
    return KeyTable(prefix, tuple((name, name) for name in names))


def _denoiser_pairs(blocks: int, attention: tuple[int, ...]) -> Pairs:
    for original, ours in (("time_embed", "time_embedding"), ("label_emb.0", "add_embedding")):
        yield f"{original}.0", f"{ours}.linear_1"
        yield f"{original}.2", f"{ours}.linear_2"
    yield from (("input_blocks.0.0", "conv_in"), ("out.0", "conv_norm_out"), ("out.2", "conv_out"))
    yield from _resnet("middle_block.0", "mid_block.resnets.0")
    yield "middle_block.1", "mid_block.attentions.0"
    yield from _resnet("middle_block.2", "mid_block.resnets.1")
    yield from _down_pairs(blocks, len(attention))
    yield from _up_pairs(blocks + 1, attention[::-1])


def _down_pairs(blocks: int, levels: int) -> Pairs:
    index = 1
    for level in range(levels):
        for block in range(blocks):
            yield from _resnet(f"input_blocks.{index}.0", f"down_blocks.{level}.resnets.{block}")
            yield f"input_blocks.{index}.1", f"down_blocks.{level}.attentions.{block}"
            index += 1
        yield f"input_blocks.{index}.0.op", f"down_blocks.{level}.downsamplers.0.conv"
        index += 1


def _up_pairs(blocks: int, attention: tuple[int, ...]) -> Pairs:
    for level, depth in enumerate(attention):
        for block in range(blocks):
            index = level * blocks + block
            yield from _resnet(f"output_blocks.{index}.0", f"up_blocks.{level}.resnets.{block}")
            if depth:
                yield f"output_blocks.{index}.1", f"up_blocks.{level}.attentions.{block}"
        place = 2 if depth else 1
        yield f"output_blocks.{index}.{place}.conv", f"up_blocks.{level}.upsamplers.0.conv"


def _resnet(original: str, ours: str) -> Pairs:
    return ((f"{original}.{a}", f"{ours}.{b}") for a, b in RESNET.items())


def _vae_pairs(blocks: int, levels: int) -> Pairs:
    yield from (("quant_conv", "quant_conv"), ("post_quant_conv", "post_quant_conv"))
    for half in ("encoder", "decoder"):
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
    yield f"{original}.nin_shortcut", f"{ours}.conv_shortcut"
    yield original, ours
