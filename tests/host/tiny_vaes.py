"""Small VAEs in ComfyUI's own layouts, of random weights. Imports no host."""

from __future__ import annotations

from collections.abc import Iterable

CHANNELS = 16
"""Of the latents."""
Shapes = dict[str, tuple[int, ...]]


def wan_vae_shapes(width: int = 8) -> Shapes:
    """{name: shape} of the VAE that Qwen-Image, Krea 2 and Wan 2.1 share, as `vae/` holds it. width: of its outermost
    level; the innermost is four times as wide.
    """
    inner = 4 * width
    encoder = [(width, width, ""), (width, 2 * width, "space"), (2 * width, inner, "time"), (inner, inner, "time")]
    decoder = [(inner, inner, "time"), (2 * width, inner, "time"), (2 * width, 2 * width, "space"), (width, width, "")]
    downsamples: list[Shapes] = []
    for level, (inputs, outputs, _) in enumerate(encoder):
        downsamples += [_residual(inputs, outputs), _residual(outputs, outputs)]
        if level < 3:
            downsamples.append(_resample(outputs, outputs, outputs if level else 0))
    upsamples: list[Shapes] = []
    for level, (inputs, outputs, resampled) in enumerate(decoder):
        upsamples += [_residual(inputs, outputs), *(_residual(outputs, outputs) for _ in range(2))]
        if level < 3:
            upsamples.append(_resample(outputs, outputs // 2, 2 * outputs if resampled == "time" else 0))
    return {
        **_convolution("encoder.conv1", 3, width),
        **_numbered("encoder.downsamples", downsamples),
        **_numbered("encoder.middle", _middle(inner)),
        **_head("encoder.head", inner, 2 * CHANNELS),
        **_convolution("conv1", 2 * CHANNELS, 2 * CHANNELS, (1, 1, 1)),
        **_convolution("conv2", CHANNELS, CHANNELS, (1, 1, 1)),
        **_convolution("decoder.conv1", CHANNELS, inner),
        **_numbered("decoder.middle", _middle(inner)),
        **_numbered("decoder.upsamples", upsamples),
        **_head("decoder.head", width, 3),
    }


def _convolution(name: str, inputs: int, outputs: int, kernel: tuple[int, ...] = (3, 3, 3)) -> Shapes:
    """Of a convolution of frames, height and width, or of height and width."""
    return {f"{name}.weight": (outputs, inputs, *kernel), f"{name}.bias": (outputs,)}


def _residual(inputs: int, outputs: int) -> Shapes:
    """Of two normalized convolutions, and a third where the width changes."""
    shapes = {
        "residual.0.gamma": (inputs, 1, 1, 1),
        **_convolution("residual.2", inputs, outputs),
        "residual.3.gamma": (outputs, 1, 1, 1),
        **_convolution("residual.6", outputs, outputs),
    }
    return shapes if inputs == outputs else {**shapes, **_convolution("shortcut", inputs, outputs, (1, 1, 1))}


def _resample(inputs: int, outputs: int, frames: int) -> Shapes:
    """Of a change of height and width, and, with so many channels, of the number of frames."""
    shapes = _convolution("resample.1", inputs, outputs, (3, 3))
    return {**shapes, **(_convolution("time_conv", inputs, frames, (3, 1, 1)) if frames else {})}


def _middle(width: int) -> list[Shapes]:
    """Of two residual blocks around attention."""
    attention = {
        "norm.gamma": (width, 1, 1),
        **_convolution("to_qkv", width, 3 * width, (1, 1)),
        **_convolution("proj", width, width, (1, 1)),
    }
    return [_residual(width, width), attention, _residual(width, width)]


def _head(name: str, inputs: int, outputs: int) -> Shapes:
    """Of a normalized convolution."""
    return {f"{name}.0.gamma": (inputs, 1, 1, 1), **_convolution(f"{name}.2", inputs, outputs)}


def _numbered(name: str, parts: Iterable[Shapes]) -> Shapes:
    """The shapes of the parts of a sequence of this name."""
    return {f"{name}.{number}.{key}": shape for number, part in enumerate(parts) for key, shape in part.items()}


def taesd_shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """{"encoder", "decoder": {name: shape}} of the tiny VAE of 16 channels, as `vae_approx/` holds it."""

    def convolution(place: int, inputs: int, outputs: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        weight = {f"{place}.weight": (outputs, inputs, 3, 3)}
        return {**weight, **({f"{place}.bias": (outputs,)} if bias else {})}

    def block(place: int) -> dict[str, tuple[int, ...]]:
        layers = {i: {f"{place}.conv.{k}": s for k, s in convolution(i, 64, 64).items()} for i in (0, 2, 4)}
        return {name: shape for layer in layers.values() for name, shape in layer.items()}

    encoder = {**convolution(0, 3, 64), **block(1)}
    for start in (2, 6, 10):
        encoder |= {
            **convolution(start, 64, 64, bias=False),
            **block(start + 1),
            **block(start + 2),
            **block(start + 3),
        }
    encoder |= convolution(14, 64, CHANNELS)
    decoder = convolution(1, CHANNELS, 64)
    for start in (3, 8, 13):
        decoder |= {
            **block(start),
            **block(start + 1),
            **block(start + 2),
            **convolution(start + 4, 64, 64, bias=False),
        }
    decoder |= {**block(18), **convolution(19, 64, 3)}
    return {"encoder": encoder, "decoder": decoder}
