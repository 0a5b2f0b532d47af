"""Our side: one run of `trainer.personalize`, looked at while it goes on."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ...trainer.events import Event, Phase
from ...trainer.files.safetensors import read_tensors
from ...trainer.model.base import Base
from ...trainer.model.families import load_base
from ...trainer.options import TrainOptions
from ...trainer.prompts import PromptTemplates
from ...trainer.runs.personalized import Personalized
from ...trainer.runs.request import Request
from ...trainer.runs.store import Store
from ...trainer.sampling.class_priors import ClassPriors
from ...trainer.sampling.prior_recipe import PriorRecipe
from ...trainer.session.personalize import personalize
from ...trainer.subject.photos import read_folder
from ...trainer.subject.subject import Subject
from .contender import Look, Trained, Work
from .materials import Materials
from .rivals.merged import MergedDenoiser, differences


class BareTemplates(PromptTemplates):
    """Templates without a class noun, which the product refuses: the paper's row "no class noun" needs them."""

    def __post_init__(self) -> None:
        return


@dataclass
class Watch:
    """Goes along with a run: looks at its model before the last step, and times encoding and steps, looks left out."""

    work: Work
    look: Look
    base: Base
    seconds: float = 0.0
    _done: int = 0
    _since: float = 0.0

    def tell(self, event: Event) -> None:
        """Starts the clock with the encoding and stops it before the saving."""
        if isinstance(event, Phase) and event.name == "encoding":
            self._since = time.perf_counter()
        elif isinstance(event, Phase) and event.name == "saving":
            self.seconds += time.perf_counter() - self._since

    def stop(self) -> bool:
        """Asked before every step; never stops. On a GPU the step before may still be running, which a look awaits."""
        if self._done in self.work.looks:
            self.seconds += time.perf_counter() - self._since
            self.look(self._done, self.base)
            self._since = time.perf_counter()
        self._done += 1
        return False


def train_ours(materials: Materials, work: Work, folder: Path, look: Look) -> Trained:
    """Train and save as the nodes do; looked at on the way and, in the end, as a fresh base with the saved file."""
    base = materials.load()
    parts = (base.denoiser, *base.text_encoders.values())
    whole = sum(weight.numel() for part in parts for weight in part.parameters())
    watch = Watch(work, look, base)
    shutil.rmtree(folder, ignore_errors=True)
    store = Store(folder / "loras", folder / "checkpoints", folder / "dreambooth")
    result, _ = personalize(base, request(materials, work), store, watch.tell, watch.stop)
    size = result.file.stat().st_size
    trained = sum(weight.numel() for part in parts for weight in part.parameters() if weight.requires_grad)
    look(work.steps, from_file(materials, result))
    shutil.rmtree(folder)
    return Trained(watch.seconds, trained / whole, size)


def from_file(materials: Materials, result: Personalized) -> Base:
    """A base with a saved result in it: what any other tool makes of the file."""
    if result.method == "full":
        return load_base(result.file).to(materials.device)
    base = materials.load()
    layers = {f"lora_unet_{name.replace('.', '_')}": name for name, _ in base.denoiser.named_modules()}
    return MergedDenoiser(base).add(differences(read_tensors(result.file), layers.get))


def request(materials: Materials, work: Work) -> Request:
    """Work in our words."""
    noun = work.class_noun
    options = TrainOptions(
        method=work.method,
        steps=work.steps,
        learning_rate=work.learning_rate,
        rank=work.rank,
        prior=work.prior,
        prior_weight=work.prior_weight,
        seed=work.seed,
        precision=work.precision,
        sample_count=0,
        templates=PromptTemplates() if noun else BareTemplates("a [V]", work.class_prompt),
    )
    photos = read_folder(work.photos, work.size, work.size)
    # The subject's noun reaches a prompt through the templates alone.
    subject = Subject(photos, noun or "thing", work.size, work.size)
    return Request(
        subject=subject, identifier=work.identifier, options=options, name="bench", priors=_priors(materials, work)
    )


def _priors(materials: Materials, work: Work) -> ClassPriors | None:
    if work.class_images is None:
        return None
    recipe: PriorRecipe = materials.recipe(work.class_noun, work.prior_guidance)
    return ClassPriors(recipe, work.class_images, work.class_count)
