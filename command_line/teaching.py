"""`train`, once its flags are read: from photos to a file, as the nodes do it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..trainer.distributed.ranks import Ranks
from ..trainer.events import StoppedEarly, Warned
from ..trainer.model.fingerprint import weight_sample
from ..trainer.options.setting import OptionError
from ..trainer.out_of_memory import OutOfMemory
from ..trainer.presets import preset_named
from ..trainer.runs.past_runs import ResumeError, find_finished, require_resumable
from ..trainer.runs.personalized import Personalized, checked_name, fitted_name
from ..trainer.runs.request import Request
from ..trainer.runs.run import Run, RunInUse, open_run
from ..trainer.sampling.class_priors import ClassPriors
from ..trainer.sampling.prior_recipe import PriorsError
from ..trainer.scores.scorer import Scorer
from ..trainer.session.personalize import personalize
from ..trainer.subject.buckets import TrainingSize
from ..trainer.subject.close_ups import close_ups_of_folder
from ..trainer.subject.identifier import warnings_for
from ..trainer.subject.own_class_images import own_class_images
from ..trainer.subject.photos import Photo
from ..trainer.subject.subject import Subject
from ..trainer.subject.subject_folders import SubjectFolder, subject_folders
from ..trainer.training.divergence import TrainingDiverged
from .answer import say, say_warnings
from .class_images import drawn, planned
from .encoders import looks_at_pictures, scorer_of
from .flags import REQUIRED, store
from .lookup import candidates, ranked
from .nouns import AUTO, suggested
from .option_flags import with_steps_of_photos
from .progress import Listener
from .result import described
from .run_options import base_model, run_options
from .stopping import Stopped, StopSignals
from .usable_photos import close_ups_in_words, faults_in_words, sizes_in_words, usable_photos

LEARNED = "olt"
"""The name of a learned word where --identifier is AUTO."""


class Teaching:
    """One `train` command."""

    def __init__(self, arguments: argparse.Namespace, stop: StopSignals, listener: Listener, ranks: Ranks) -> None:
        self.arguments, self.stop, self.listener, self.ranks = arguments, stop, listener, ranks
        self.options = run_options(arguments, ranks)
        self.store = store(arguments)
        self.base = base_model(arguments, self.options, self.store.hashes if ranks.first else None)

    @cached_property
    def request(self) -> Request:
        """What is to be learned, as the first process reads it. Class images are named in it, and not yet drawn."""
        return self.ranks.decided(self._request)

    def _request(self) -> Request:
        arguments = self.arguments
        size = TrainingSize(*self.base.size(arguments), arguments.buckets)
        folders = self._folders()
        photos = [usable_photos(one.files, size) for one in folders]
        folders = tuple(self._with_noun(one, own, size) for one, own in zip(folders, photos, strict=True))
        close_ups = [close_ups_of_folder(one.files, size, arguments.close_ups) for one in folders]
        subject = Subject.of_folders(folders, photos, size, close_ups)
        if self.ranks.sharded and len(subject.sizes) > 1:
            raise OptionError(
                f"The photos have {len(subject.sizes)} sizes, and processes under FSDP compute one size at a time all "
                "together: train without --buckets, or start without --use_fsdp."
            )
        # Before the base is hashed, which is kept on disk.
        name = checked_name(arguments.name or fitted_name(arguments.photos.resolve().name, subject.class_noun))
        request = Request(
            subject=subject,
            identifier=self._identifier(subject),
            options=with_steps_of_photos(self.options, arguments, len(subject.all_photos)),
            name=name,
            priors=self._planned_priors(subject),
            continue_from=arguments.continue_from,
            prediction=self.base.prediction,
            text_dtype=self.base.text_dtype,
            base_file=arguments.base if arguments.base.is_file() else None,
            looked_at=looks_at_pictures(arguments.dino, arguments.clip, weight_sample(self.base.source)),
        )
        self._tell_of(folders, subject)
        return request

    def _folders(self) -> tuple[SubjectFolder, ...]:
        """The subjects' folders. Flags go before the name of a single one. Raises PhotoError, OptionError."""
        arguments = self.arguments
        noun = "" if arguments.noun == AUTO else arguments.noun
        folders = subject_folders(arguments.photos, noun)
        if len(folders) > 1 and arguments.identifier != AUTO:
            raise OptionError(
                f"--identifier is {arguments.identifier!r}, and the {len(folders)} folders of subjects name their own: "
                "leave it out."
            )
        if len(folders) > 1:
            return folders
        named = folders[0].identifier if arguments.identifier == AUTO else ""
        return (replace(folders[0], class_noun=noun or folders[0].class_noun, identifier=named),)

    def _with_noun(self, folder: SubjectFolder, photos: Sequence[Photo], size: TrainingSize) -> SubjectFolder:
        """A subject's folder with the class noun that fits its photos best, where that is asked for and its name holds
        none.
        """
        if self.arguments.noun != AUTO or folder.class_noun:
            return folder
        pictures = Subject(tuple(photos), AUTO, size.width, size.height, size.buckets).at_one_size()
        found = suggested(pictures, self.base, self.arguments.clip, self.listener.bar)
        say(f"class noun: {found[0].noun}, of {', '.join(f'{one.noun} {one.odds:.0%}' for one in found)}")
        return replace(folder, class_noun=found[0].noun)

    def _tell_of(self, folders: Sequence[SubjectFolder], subject: Subject) -> None:
        """Tell what the folders hold, the buckets of their photos, and what speaks against them."""
        for one, part in zip(folders, subject.each, strict=True):
            if subject.others:
                say(f"{one.folder.name}: '{one.identifier} {one.class_noun}', each photo {part.repeats} times")
            for text in (one.files.captioned, *one.files.notes):
                say(text)
            for text in (*one.files.warnings, *faults_in_words(part.photos)):
                self.listener(Warned(text))
        for text in (*sizes_in_words(subject), *close_ups_in_words(subject, self.arguments.close_ups)):
            say(text)

    def result(self) -> dict[str, Any]:
        """Train, or find the same run on disk; what is known of it, ready for JSON; empty in all processes but the
        first.
        """
        began, first = time.perf_counter(), self.ranks.first
        request = self.request
        found = self.ranks.decided(lambda: find_finished(request, self.base.fingerprint, self.store))
        if found and first:
            say(f"the same run is finished, nothing is trained: {found[0].file}")
        result, run = found or self._train()
        return described(request, result, run, found is not None, time.perf_counter() - began) if first else {}

    def _train(self) -> tuple[Personalized, Run]:
        request = self.request
        if self.ranks.first and not self.options.adds_word:
            known = self.base.live.tokenizer, self.base.family.vocabulary
            words = dict.fromkeys(request.identifier_of(one) for one in request.subject.each)
            say_warnings([text for word in words for text in warnings_for(word, *known)])
        if request.priors is not None:
            at_once, precision = self.arguments.prior_batch_size, self.options.precision
            drawn(request.priors, self.base, at_once, precision, self.ranks, self.stop, self.listener.bar)
        resume = self.ranks.decided(self._resumes)
        try:
            base, scorer = self.base.live, self._scorer()
            told = (self.store, self.listener, self.stop, resume, self.ranks)
            return personalize(base, request, *told, scorer=scorer)
        except (TrainingDiverged, OutOfMemory, RunInUse) as error:
            if error is self.ranks.from_first:
                raise
            raise ValueError(str(error)) from error
        except StoppedEarly as error:
            if self.stop.received is None:
                raise
            raise Stopped(self.stop.received) from error

    def _scorer(self) -> Scorer | None:
        """What looks at the pictures of the scores, where any are asked for."""
        if not self.options.score_every:
            return None
        return scorer_of(self.arguments.dino, self.arguments.clip, self.base.live.weight_sample())

    def _resumes(self) -> bool:
        """Whether to go on with the run's state. Raises ResumeError where it must, and there is none."""
        wish, fingerprint = self.arguments.resume, self.base.fingerprint
        if not wish:
            if open_run(self.request.key(fingerprint), self.store).state.is_file():
                say("this run was begun before and is begun anew; --resume would go on with it")
            return False
        try:
            require_resumable(self.request, fingerprint, self.store)
        except ResumeError as error:
            if wish == REQUIRED:
                raise
            self.listener(Warned(f"{error} So it begins with its first step."))
        return True

    def _identifier(self, subject: Subject) -> str:
        if subject.identifier:
            return subject.identifier
        if self.arguments.identifier != AUTO:
            return str(self.arguments.identifier)
        if self.options.adds_word:
            # Its vectors are new, so that any name is as good as a rare token.
            return LEARNED
        chosen = ranked(candidates(self.base), self.base, subject.class_noun, self.listener.bar)[0].text
        say(f"identifier: {chosen}")
        return chosen

    def _planned_priors(self, subject: Subject) -> ClassPriors | None:
        arguments, said = self.arguments, self.arguments.priors
        usual = 0 if arguments.class_images else preset_named(arguments.preset).priors
        count: int = usual if said is None else said
        if count < 0:
            raise PriorsError(f"priors is {count}; it must be 0 or more.")
        if not (count or arguments.class_images) or self.options.prior_in_use != "class images":
            return None
        own = own_class_images(arguments.class_images, subject.sizes_by_class) if arguments.class_images else ()
        prompt_of, root = self.options.templates.class_prompt, self.store.work / "priors"
        sets = [
            planned(arguments, self.base, noun, prompt_of(noun), count, root, sizes)
            for noun, sizes in subject.sizes_by_class.items()
        ]
        return replace(ClassPriors.joined(sets), own=own)
