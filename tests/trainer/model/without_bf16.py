"""One short training and one sampling: prints the dtypes that products were computed in, as JSON.

`without_bf16.py TOYBASE`, run in an environment that keeps the kernels to older instructions.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
runpy.run_path(str(ROOT / "__main__.py"), run_name="without_bf16")["load_package"]()

import torch  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from dreambooth_nodes.tests.trainer.trainings import training_on  # noqa: E402
from dreambooth_nodes.toybase.evaluate import SIZE, stored_models  # noqa: E402
from dreambooth_nodes.toybase.sample import sample  # noqa: E402
from dreambooth_nodes.trainer.model.families import load_base  # noqa: E402
from dreambooth_nodes.trainer.options import TrainOptions  # noqa: E402
from dreambooth_nodes.trainer.subject.photos import read_folder  # noqa: E402
from dreambooth_nodes.trainer.training.encoded import encode_images, encode_prompts  # noqa: E402

PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution", "_convolution_pointwise")


class ProductDtypes(TorchDispatchMode):
    """Collects what products of matrices and convolutions answer in."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = operation(*args, **(kwargs or {}))
        if operation.overloadpacket.__name__ in PRODUCTS:
            self.seen.add(str(answer.dtype))
        return answer


def train(toybase: Path) -> float:
    """The loss of the last of two steps, on two photos with the precision left to the machine."""
    base = load_base(toybase)
    options = TrainOptions(steps=2, rank=2, memory="off")
    photos = read_folder(ROOT / "toybase" / "subjects" / "spotted_dog", SIZE, SIZE)[:2]
    prompts, images = encode_prompts(base, ["a olt dog"], False), encode_images(base, photos, [0, 0])
    run = training_on(base, (prompts, images, None), options)
    return [float(run.step(index).total) for index in range(options.steps)][-1]


def main() -> None:
    """Train, sample, print."""
    with ProductDtypes() as trained:
        loss = train(Path(sys.argv[1]))
    with ProductDtypes() as sampled:
        picture = sample(*stored_models(), ["a car"], SIZE, seed=0, steps=2)
    finite = bool(torch.isfinite(picture).all())
    print(json.dumps({"loss": loss, "finite": finite, "dtypes": [sorted(d.seen) for d in (trained, sampled)]}))


if __name__ == "__main__":
    main()
