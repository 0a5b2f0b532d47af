"""The training of a predictor, from its first step or from a state on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import randomness
from ..events import Phase, Stop, Tell
from ..instantbooth.objective import PredictorObjective, parameter_groups
from ..instantbooth.photo_pairs import SubjectPhotos, photo_pairs
from ..instantbooth.predictor import Predictor
from ..instantbooth.prompts import BasePrompts
from ..instantbooth.shape import PredictorShape, layers_of
from ..model.base import Base
from ..model.word_embedding import widths
from ..options import TrainOptions
from ..training.loss_curve import LossCurve
from ..training.optimizer import rate_in_use
from ..training.step import Training
from .resume_state import StateKeeper


class PredictorRun:
    """The training of a predictor for a base on photos of subjects. target: of the file; the state lies beside it.

    vectors: of the word. side: at which photos are seen, in pixels. Raises WordError, ValueError for a base that takes
    no words, or has no blocks for adapters.
    """

    def __init__(
        self,
        base: Base,
        subjects: Sequence[SubjectPhotos],
        options: TrainOptions,
        target: Path,
        vectors: int,
        side: int,
    ) -> None:
        device = base.device
        resolution = max(subjects[0].photos[0].size)
        layers, words = layers_of(base.denoiser), widths(base)
        shape = PredictorShape(base.family, layers, words, vectors, side, resolution=resolution)
        with randomness.scoped_seed(options.seed, "predictor"):
            self.predictor = Predictor(shape).to(device)
        base.to(device)
        pairs = photo_pairs(base, subjects, side, options.seed, options.batch_size)
        objective = PredictorObjective(
            self.predictor,
            base.denoiser,
            BasePrompts(base, vectors),
            base.noise_process,
            options.snr_gamma,
            base.forward_dtype(options.precision),
        )
        groups = parameter_groups(self.predictor, options.learning_rate)
        self.training = Training(objective, groups, pairs, options, device)
        self._state = target.with_name(f"{target.name}.state")
        self._key = _key(base, subjects, options, shape)

    def train(self, tell: Tell, stop: Stop, state_seconds: float) -> bool:
        """Train what is left of the steps; whether all are done. The predictor then holds the weights to use.

        Raises StateError for the state of another training beside the file.
        """
        tell(Phase("training"))
        keeper = StateKeeper(self._state, self._key, state_seconds, tell)
        done = train_predictor(self.training, keeper, tell, stop)
        if self.training.average is not None:
            self.training.average.use()
        return done


def train_predictor(
    training: Training,
    state: StateKeeper,
    tell: Tell,
    stop: Stop,
    after_step: Callable[[int], None] = lambda done: None,
) -> bool:
    """Train the steps that are not done yet, going on from the state where there is one; whether all are done.

    stop: ends the training after a step, with its state written. after_step: called with the number of steps done.
    Raises StateError for a state of another training, TrainingDiverged as `LossCurve.flush`.
    """
    curve = LossCurve(training.options.steps, tell, training.device)
    state.resume(training, curve)
    while training.done < training.options.steps and not stop():
        rate = rate_in_use(training.optimizer)
        losses = training.step(training.done)
        curve.add(losses, training.gradient_norm, rate)
        state.write_if_due(training, curve)
        after_step(training.done)
    curve.flush()
    state.write(training, curve.points)
    return training.done == training.options.steps


def _key(base: Base, subjects: Sequence[SubjectPhotos], options: TrainOptions, shape: PredictorShape) -> str:
    """The SHA-256 (hex) of all that determines the trained weights."""
    photos = [(one.class_noun, [photo.digest.hex() for photo in one.photos]) for one in subjects]
    said = [base.fingerprint, photos, options.weight_settings, shape.metadata()]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
