"""Train a judge on scenes of the world, never on a model's pictures.

    python -m toybase train_judge --icons FOLDER --cache icons.npz --minutes 8 --architecture a --seed 0

Architecture "a" is stored as judge.safetensors, "b" as second_judge.safetensors, both int8.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from .icons import load_icons
from .judge import FILES
from .judge_networks import ARCHITECTURES, JudgeNetwork
from .judge_scenes import GROUP, IdentityScenes, ScenePool
from .judge_softening import soften
from .palette import NOUNS
from .quantize import WEIGHTS, pack, unpack
from .training import Average, Clock, training_autocast

TEMPERATURE = 0.1
CAPACITY, REUSE = 3000, 8
"""Groups kept, and how often one is shown at least."""


def contrast(embedding: Tensor, same: Tensor, other: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) of unit embeddings [B, D].

    same, other [B, B]: which pairs belong together and which do not; the rest are left out.
    """
    logits = (embedding @ embedding.T / TEMPERATURE).masked_fill(~(same | other), -1e4)
    wanted = same.sum(1)
    likelihood = (torch.log_softmax(logits, 1) * same).sum(1)[wanted > 0]
    return -(likelihood / wanted[wanted > 0]).mean()


def judge_loss(network: JudgeNetwork, pictures: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropies and contrastive losses of a ScenePool's batch."""
    with training_autocast(pictures.device):
        seen = network(pictures.to(memory_format=torch.channels_last))
    kind, place, colour, drawing, identity = labels.unbind(1)
    noun = kind.masked_fill(kind >= len(NOUNS), -1)
    named = F.cross_entropy(seen.noun, noun, ignore_index=-1, label_smoothing=0.05)
    around = F.cross_entropy(seen.place, place) + F.cross_entropy(seen.colour, colour, ignore_index=-1)
    one_kind, one_look, one_drawing = (x[:, None] == x for x in (kind, identity, drawing))
    group = torch.arange(len(labels), device=labels.device) // GROUP
    itself, together = torch.eye(len(labels), dtype=torch.bool, device=labels.device), group[:, None] == group
    # each group's drawings are bent in their own way: one look in two groups is neither the same nor another
    likeness = contrast(seen.likeness, one_look & together & ~itself, ~one_look)
    return named + around + likeness + contrast(seen.kind, one_kind & ~one_drawing, ~one_kind)


class JudgeTraining:
    """The network, its optimizer and its pool of scenes."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        icons = load_icons(arguments.icons, arguments.cache)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        source = IdentityScenes(icons, arguments.seed, device)
        self.pool, self.groups = ScenePool(source, CAPACITY), arguments.groups
        self.path = arguments.out / FILES[arguments.architecture]
        self.network = JudgeNetwork(arguments.architecture).to(device)
        # torch's type stubs do not know the layout
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if arguments.resume:
            self.network.load_state_dict(unpack(load_file(self.path)))
        self.optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=0.05, fused=True, betas=(0.9, 0.98))
        self.average = Average(self.network, 0.99, arguments.resume)
        self.pool.render(8 * self.groups)

    def step(self, learning_rate: float) -> Tensor:
        """One optimizer step on a batch of which an eighth is fresh; its loss."""
        self.pool.render(self.groups // REUSE)
        pictures, labels = self.pool.batch(self.groups)
        self.optimizer.param_groups[0]["lr"] = learning_rate
        loss = judge_loss(self.network, soften(pictures), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update(self.network)
        return loss.detach()


def train(arguments: argparse.Namespace) -> None:
    """Train for the given minutes and store the averaged weights as int8."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    training, clock, steps = JudgeTraining(arguments), Clock(arguments.minutes), 0
    while not clock.over:
        loss = training.step(clock.learning_rate(arguments.learning_rate))
        clock.tick()
        steps += 1
        if steps % 100 == 0:
            print(f"judge {clock.spent:.0f} s step {steps} loss {loss:.3f}", flush=True)
    _store(training.average.weights, training.path)


def _store(weights: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    packed = {name: value.contiguous().cpu() for name, value in pack(weights).items()}
    save_file(packed, temporary, {"format": "pt", "licence": "Apache-2.0"})
    temporary.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--icons", type=Path, required=True, help="folder with the packed npm packages")
    parser.add_argument("--cache", type=Path, default=Path("icons.npz"))
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--architecture", choices=list(ARCHITECTURES), default="a")
    parser.add_argument("--groups", type=int, default=16, help="of six scenes, in a batch")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the stored weights; take another seed")
    parser.add_argument("--threads", type=int, default=2)
    train(parser.parse_args())
