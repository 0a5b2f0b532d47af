"""PickRareToken: an identifier that means nothing yet."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..trainer.subject.identifier import (
    Candidate,
    candidate_table,
    candidates_of,
    range_in_words,
    rank_by_prior,
)
from ..trainer.subject.subject import Subject
from . import sockets
from .comfy_failures import recording_failures
from .comfy_outputs import keep_shown
from .comfy_sampling import denoiser_answer
from .comfy_tokenizers import vocabularies


class PickRareToken(io.ComfyNode):
    """The paper's rare-token lookup on the model's own tokenizers (section 3.2)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="PickRareToken",
            display_name="Pick Rare Token",
            category=sockets.CATEGORY,
            **sockets.found_by("identifier", "trigger word", "instance token"),
            description="Finds a word that the model has no picture of: the subject's name, [V].",
            inputs=[
                io.Clip.Input(
                    "clip",
                    tooltip="The words are drawn from its vocabulary; of several, they are rare in all.",
                ),
                sockets.advanced(
                    io.Int.Input("length", default=1, min=1, max=3, tooltip="Tokens in the identifier, 1 to 3.")
                ),
                sockets.advanced(
                    io.Int.Input(
                        "seed",
                        default=0,
                        min=0,
                        max=2**32 - 1,
                        control_after_generate=False,
                        tooltip="Of the candidates, 16 at most, 0 to 4294967295: another seed, other candidates.",
                    )
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="The candidates that mean least to this model are put first.",
                ),
                sockets.advanced(
                    io.String.Input(
                        "class_noun",
                        default="dog",
                        optional=True,
                        tooltip="What it is, one or two words, where no subject is connected: 'a X dog'.",
                    )
                ),
                io.String.Input(
                    "choice",
                    default="",
                    optional=True,
                    tooltip="One of the candidates: click it below. Empty: the first, whose prior is the weakest.",
                ),
                sockets.Subject.Input(
                    "subject",
                    optional=True,
                    tooltip="The candidates are measured before its class noun: 'a X dog'.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="identifier"),
                io.String.Output(display_name="report"),
            ],
        )

    @classmethod
    @recording_failures
    def execute(
        cls,
        clip: Any,
        length: int,
        seed: int,
        model: Any = None,
        class_noun: str = "dog",
        choice: str = "",
        subject: Subject | None = None,
    ) -> io.NodeOutput:
        """The chosen candidate, or the one with the weakest prior, and how it compares."""
        known = vocabularies(clip)
        if not known:
            raise ValueError(
                f"clip is a {type(clip.tokenizer).__name__}, whose rare tokens are not known: delete this node and "
                "type an identifier on DreamBooth Train, a short word that means nothing, such as 'olt'."
            )
        noun = class_noun if subject is None else subject.class_noun
        candidates = candidates_of(known, length, seed)
        if model is not None:
            candidates = rank_by_prior(candidates, noun, denoiser_answer(model, clip))
        chosen = _chosen(candidates, choice.strip())
        shown = [{"text": c.text, "ranks": c.ranks, "prior": c.prior} for c in candidates]
        return io.NodeOutput(chosen.text, candidate_table(candidates, chosen, noun, range_in_words(known)),
                             ui=keep_shown({"dreambooth_candidates": shown}, length=length, seed=seed))  # fmt: skip


def _chosen(candidates: tuple[Candidate, ...], choice: str) -> Candidate:
    for candidate in candidates if choice else ():
        if candidate.text == choice:
            return candidate
    if choice:
        texts = ", ".join(candidate.text for candidate in candidates)
        raise ValueError(f"choice is {choice!r}, none of this length and seed: {texts}. Choose one, or leave it empty.")
    return candidates[0]
