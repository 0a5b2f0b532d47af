"""The pack's own socket types, and what travels through each."""

from __future__ import annotations

from comfy_api.latest import io

Subject = io.Custom("SUBJECT")  # trainer.subject.Subject
ClassPriors = io.Custom("CLASS_PRIORS")  # trainer.priors.ClassPriors
PersonalizedModel = io.Custom("PERSONALIZED_MODEL")  # trainer.personalized.Personalized
Options = io.Custom("DREAMBOOTH_OPTIONS")  # dict of keyword arguments for trainer.options.TrainOptions
CATEGORY = "DreamBooth"
