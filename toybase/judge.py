"""The judge: names the noun, place and colour of a picture, and measures likeness. For tests and bench only.

Two networks trained on scenes of the world (train_judge.py), never on a model's pictures. The second
has another seed and architecture: a conclusion that holds by both does not hang on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from .judge_networks import SIZE, JudgeNetwork
from .quantize import WEIGHTS, unpack

FILES = {"a": "judge.safetensors", "b": "second_judge.safetensors"}
"""architecture -> file of its stored weights."""
_CHUNK = 64


@dataclass(frozen=True)
class Opinion:
    """What a judge sees in B pictures.

    noun [B, 33], place [B, 13], colour [B, 8]: probabilities in the order of NOUNS; of PLACES, then
    plain; of COLOURS, then the drawing's own. embedding [B, D]: unit length; the cosine of two is
    the likeness of what they show, whatever the background, position, size or direction.
    """

    noun: Tensor
    place: Tensor
    colour: Tensor
    embedding: Tensor


class Judge:
    """A trained network, frozen, that takes pictures [B, 3, H, W] in -1 to 1 of any size.

    All methods raise ValueError for another shape, or for values beyond -1 to 1 by more than 0.5.
    """

    def __init__(self, network: JudgeNetwork) -> None:
        self.network = network.eval().requires_grad_(False)

    @torch.no_grad()
    def look(self, pictures: Tensor) -> Opinion:
        """Noun, place, colour and embedding of pictures [B, 3, H, W] in -1 to 1."""
        parts = [self._opinion(chunk) for chunk in _fit(pictures).split(_CHUNK)]
        return Opinion(**{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Opinion)})

    @torch.no_grad()
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Perceptual distance [B] of pictures a and b [B, 3, H, W], 0 for equal ones, at most 4.

        In the manner of LPIPS (Zhang et al. 2018, without learned weights): squared differences of
        feature maps of unit length per position, mean over positions and stages. For DIV.
        """
        if len(a) != len(b):
            raise ValueError(f"distance of {len(a)} and {len(b)} pictures: both need the same number")
        return _apart(self._unit_maps(a), self._unit_maps(b))

    @torch.no_grad()
    def distances(self, pictures: Tensor) -> Tensor:
        """[B, B]: `distance` of every one of the pictures [B, 3, H, W] to every one; each is looked at once."""
        maps = self._unit_maps(pictures)
        return torch.stack([_apart([stage[i : i + 1] for stage in maps], maps) for i in range(len(pictures))])

    def _opinion(self, pictures: Tensor) -> Opinion:
        seen = self.network(pictures)
        return Opinion(seen.noun.softmax(1), seen.place.softmax(1), seen.colour.softmax(1), seen.likeness)

    def _unit_maps(self, pictures: Tensor) -> list[Tensor]:
        """Feature maps [B, C, h, w] of every stage, of unit length per position."""
        stages = zip(*(self.network.trunk(chunk) for chunk in _fit(pictures).split(_CHUNK)), strict=True)
        return [F.normalize(torch.cat(chunks), dim=1) for chunks in stages]


def _apart(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Squared differences of unit feature maps, mean over positions and stages."""
    return torch.stack([(x - y).square().sum(1).mean((1, 2)) for x, y in zip(a, b, strict=True)]).mean(0)


def load_judge(second: bool = False, folder: Path = WEIGHTS) -> Judge:
    """The judge of `folder`, or the second one.

    Raises FileNotFoundError where its weights are missing.
    """
    architecture = "b" if second else "a"
    path = folder / FILES[architecture]
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: clone the repository whole, or make it with "
            f"`python -m toybase train_judge --icons FOLDER --architecture {architecture}`"
        )
    network = JudgeNetwork(architecture)
    network.load_state_dict(unpack(load_file(path)))
    return Judge(network)


def _fit(pictures: Tensor) -> Tensor:
    """Checked float32 pictures [B, 3, 128, 128]."""
    if pictures.ndim != 4 or pictures.shape[1] != 3 or not len(pictures):
        raise ValueError(f"pictures of shape {list(pictures.shape)}: expected [B, 3, H, W] with B of at least 1")
    pictures = pictures.float()
    low, high = pictures.aminmax()
    if not (low >= -1.5 and high <= 1.5):
        raise ValueError(f"pictures of {low:.2f} to {high:.2f}: expected -1 to 1")
    if pictures.shape[2:] != (SIZE, SIZE):
        pictures = F.interpolate(pictures, (SIZE, SIZE), mode="bilinear", antialias=True)
    return pictures.clamp(-1, 1)
