"""One run from its request to its result: plan, encoding, training, samples and scores on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..distributed.sharding import require_shardable
from ..events import Planned, Sample, Warned
from ..memory.levers import Levers
from ..memory.plan import Plan, make_plan
from ..model.base import Base, Model
from ..model.noise_process import with_density
from ..options import TrainOptions
from ..options.setting import OptionError
from ..runs.personalized import Personalized
from ..scores.scorer import Scorer
from ..training.divergence import DivergenceGuard, TrainingDiverged
from ..training.encoded import EncodedImages
from ..training.loop import train
from ..training.loss_curve import LossCurve
from ..training.noisy_pictures import noisy_pictures
from ..training.optimizer import require_installed
from ..wording import Wording
from .circumstances import circumstances
from .drawing import sample_prompts
from .run_in_progress import RunInProgress, is_due
from .scoring import RunScores
from .setup import build_training, encode_request, own_options
from .shown_prompts import ShownPrompts
from .validation import RunValidation, encode_held_out

NO_SCORER = Wording(
    "Scores were asked for, and nothing here can look at pictures: the last step is the result. Connect a CLIP Vision "
    "model, or name a DINO or CLIP folder."
)


@dataclass
class Session(RunInProgress):
    """The stages of a run in progress."""

    def result(self, resume: bool) -> Personalized:
        """Run all stages; returns the saved result. resume: whether to continue from the run's state on disk."""
        # Refused before anything is encoded.
        with_density(self.base.noise_process, self.options.timestep_density)
        noisy_pictures(self.base, self.options)
        _require_no_scores_of_an_upscaler(self.base, self.options, self.scorer)
        require_installed(self.options)
        self._plan(resume)
        for text in self._unused():
            self.tell(Warned(text))
        self.method.add_words(self.base, self.options)
        with self.phases.during("encoding"):
            encoded = encode_request(self.base, self.request, self.stop, self.ranks)
            held_out = None if self.scorer else encode_held_out(self.base, self.request, self.ranks)
        self.method.attach(self.base, self.options)
        self.training = build_training(self.base, self.method, self.options, encoded, self.ranks)
        watch = DivergenceGuard(self.training.scaler.is_enabled())
        self.curve = LossCurve(self.options.steps, self.tell, self.base.device, watch)
        self._begin_scores(held_out)
        if resume:
            self.state.resume(self.training, self.curve)
            self.curve.fixed = [tuple(point) for point in self.run.record.get("fixed_losses", [])]
        self.resume_scores()
        self._train()
        return self.save_result()

    def _unused(self) -> tuple[str, ...]:
        """What of the base, of the LoRA to continue from and of the captions is not used or only assumed, each one
        sentence.
        """
        rest = self.base.unused()
        copies = rest.without_copies if self.method.keeps_base else ()
        return (*rest.warnings, *copies, *self.method.warnings, *ShownPrompts(self.request).warnings())

    def _plan(self, resume: bool) -> None:
        """Choose the memory levers, or keep those that a resumed run began with, and write the run's record."""
        kept = self.run.record.get("plan") if resume and self.run.state.is_file() else None
        self.options = self.ranks.decided(lambda: self._planned(kept)).applied_to(self.options)

    def _planned(self, kept: dict[str, Any] | None) -> Levers:
        """The levers of the memory plan, which is written into the run's record and reported; a host's model is not
        planned for, because the host manages its memory.
        """
        if self.ranks.sharded:
            require_shardable(replace(self.options, **(kept or {})))
        size, priors = self.request.subject.largest_size, self.request.priors is not None
        own, ranks = own_options(self.options, self.ranks), (self.ranks.count, self.ranks.sharded)
        plan = Plan(own)
        if isinstance(self.base, Base):
            plan = make_plan(self.base.source, own, size, priors, self.base.device, kept, *ranks)
        record = {**self.request.record(self.base.fingerprint), **circumstances(self.base, self.request)}
        self.run.write(status="running", **record, plan=plan.levers.changing_weights, planned=plan.text, error="")
        if plan.text:
            self.tell(Planned(plan.text) if plan.fits else Warned(plan.text))
        return plan.levers

    def _train(self) -> None:
        """Train and draw the last sample images; where an exception ends it, save the weights before passing it on."""
        try:
            with self.phases.during("training"):
                train(self.training, self.curve, self.tell, self._stops, self._after_step)
            if self.training.done == self.options.steps:
                self._sample(self.options.steps)
                self._score(self.options.steps)
        except TrainingDiverged as error:
            raise self.save_last_good_state(error) from error
        except BaseException as end:
            self.save_on_error(end)
            raise

    def _after_step(self, done: int) -> None:
        """Draw samples, save files and write the state where they are due; the last step's sample and file are made
        elsewhere.
        """
        if done == self.options.steps:
            return
        if is_due(self.options.sample_every, done):
            self._sample(done)
        if is_due(self.options.save_every, done):
            self.save_intermediate(done)
        if is_due(self.options.score_every, done):
            self._score(done)
        self.state.write_if_due(self.training, self.curve)

    def _stops(self) -> bool:
        """Whether the user or the scores end the run."""
        return self.stop() or self.ended_early

    def _begin_scores(self, held_out: EncodedImages | None) -> None:
        """Score the base before anything is trained or restored; where nothing can look at pictures, measure its loss
        on the photo that is held out, with a warning, or say that there is none.
        """
        if not self.options.score_every:
            return
        if self.scorer is None:
            self._begin_validation(held_out)
            return
        self.scores = RunScores(self.scorer, self.request, self.run, self.draw, self.phases, self.ranks)
        self.scores.begin(self.method.untrained(self.base), self.draw_untrained or self.draw)

    def _begin_validation(self, held_out: EncodedImages | None) -> None:
        """Measure the base's loss on the photo that is held out; say what the scores are, or that there are none."""
        photo = self.request.held_out
        if held_out is None or photo is None:
            self.tell(Warned(NO_SCORER))
            return
        self.tell(Warned(_held_out_warning(photo.name)))
        self.validation = RunValidation(held_out, self.training, self.run, self.ranks)
        with self.phases.during("sampling"):
            self.validation.begin(self.method.untrained(self.base))

    def _validate(self, step: int) -> None:
        """Measure the loss on the photo that is held out after `step` steps, and keep the weights to choose from."""
        if self.validation is None:
            return
        self.ranks.decided(self.curve.flush)
        with self.phases.during("sampling"), self.training.to_use.in_place():
            point = self.validation.measure(step)
        self.tell(point)
        if self.method.folder != "checkpoints":
            self.keep_scored(step)
        self.ranks.decided(self.bound_scored)

    def _score(self, step: int) -> None:
        """Score the model after `step` steps, and keep its weights as a file to choose from; a whole model's only where
        its step may be the result.

        The state is written before files of other steps are deleted, so that those of the state on disk are there.
        """
        if self.scores is None:
            self._validate(step)
            return
        self.ranks.decided(self.curve.flush)
        with self.training.to_use.in_place():
            verdict = self.scores.measure(step)
        self.tell(verdict.point)
        self.ended_early = verdict.ends
        if verdict.kept or self.method.folder != "checkpoints":
            self.keep_scored(step)
        if self.ranks.first or self.ranks.sharded:
            self.state.write(self.training, self.curve.points)
        self.ranks.decided(self._bound_scored)

    def _bound_scored(self) -> None:
        """Delete files of steps that the scores can no longer choose, where they become too many."""
        assert self.scores is not None
        self.bound_scored(self.scores.candidates)

    def _sample(self, step: int) -> None:
        """Draw, keep and report the sample images of a step; images that cannot be written are a warning.

        All ranks of a sharded model draw them together.
        """
        if not self.options.sample_count or not (self.ranks.first or self.ranks.sharded):
            return
        with self.phases.during("sampling"):
            prompts = sample_prompts(replace(self.request, options=self.options))
            size = (self.request.subject.width, self.request.subject.height)
            with self.training.to_use.in_place():
                drawn = self.draw(prompts, range(len(prompts)), size)
            sample = Sample(step, "; ".join(dict.fromkeys(prompts)), drawn)
        if not self.ranks.first:
            return
        try:
            self.run.samples.keep(sample)
        except OSError as error:
            lost = Wording(
                "The pictures of step {0} were not kept, and the training goes on: {1}", str(step), str(error)
            )
            self.tell(Warned(lost))
        self.tell(sample)


def _require_no_scores_of_an_upscaler(base: Model, options: TrainOptions, scorer: Scorer | None) -> None:
    """Raises OptionError where an upscaler's pictures would be scored by their prompts, which they do not follow."""
    if base.small_picture is not None and scorer is not None and options.score_every:
        raise OptionError(
            f"score_every is {options.score_every}, and this model enlarges pictures: scores compare what a model "
            "draws from prompts. Set score_every to 0."
        )


def _held_out_warning(name: str) -> Wording:
    """What is said where a validation loss stands in for scores. name: of the photo that is held out."""
    return Wording(
        "Nothing here can look at pictures: {0} is held out, and the loss on it is shown beside the base's. It chooses "
        "nothing: the last step is the result, until you make another sample's step the result.",
        name,
    )
