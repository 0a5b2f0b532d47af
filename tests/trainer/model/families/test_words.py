"""New words of every family: loss and gradient are those of diffusers' and transformers' classes, and files go to and
fro between this package and diffusers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor

from dreambooth_nodes.tests.trainer.model.families.pipelines import SIDE, encoded, pipeline
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, write_tensors
from dreambooth_nodes.trainer.methods.textual_inversion.file import embedding_tensors, read_embedding
from dreambooth_nodes.trainer.methods.textual_inversion.word import VECTORS, TextualInversion
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.families.latent_diffusion.noise_schedule import SCHEDULE
from dreambooth_nodes.trainer.model.word_embedding import WordError, add_word, token_vectors, widths, word_parameters
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.subject.frame import Frame
from dreambooth_nodes.trainer.training.loss import Examples, dreambooth_loss

COUNT = 2


def vectors_of(base: Base) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(6)
    return {name: torch.randn(COUNT, width, generator=generator) * 0.1 for name, width in widths(base).items()}


@pytest.fixture
def with_word(file: Path) -> Base:
    base = load_base(file)
    add_word(base, "olt", vectors_of(base))
    return base


def theirs_with_word(family: str, vectors: dict[str, Tensor]) -> Any:
    """diffusers' pipeline with the word loaded by its own loader, one text encoder at a time."""
    theirs = pipeline(family)
    for name, rows in vectors.items():
        number = name.removeprefix("text_encoder")
        encoder, tokenizer = getattr(theirs, name), getattr(theirs, f"tokenizer{number}")
        theirs.load_textual_inversion({"<olt>": rows}, text_encoder=encoder, tokenizer=tokenizer)
    return theirs


def test_loss_and_gradient_are_those_of_diffusers_and_transformers(family: str, with_word: Base) -> None:
    base = with_word
    theirs = theirs_with_word(family, vectors_of(base))
    parameters = word_parameters(base, "olt")
    tables = {name: getattr(theirs, name).get_input_embeddings().weight for name in parameters}
    for tensor in (*parameters.values(), *tables.values()):
        tensor.requires_grad_(True)
    generator = torch.Generator().manual_seed(3)
    x, noise = (torch.randn(1, 4, 8, 8, generator=generator) for _ in range(2))
    t = torch.tensor([700])
    z = DDPMScheduler(**SCHEDULE).add_noise(x, noise, t)
    told = encoded(theirs, family, ["a photo of a <olt> in the snow"])
    expected = (theirs.unet(z, t, **told).sample - noise).pow(2).mean()
    expected.backward()

    own = base.encode_prompts(["a photo of a olt in the snow"]) | base.frame_conditioning([Frame.whole(SIDE, SIDE)])
    halves = Examples(x, noise, t), None
    loss = dreambooth_loss(lambda z, t: base.predict(z, t, own), base.noise_process, *halves, prior_weight=0.0).total
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    for name, parameter in parameters.items():
        assert parameter.grad is not None and tables[name].grad is not None
        torch.testing.assert_close(parameter.grad, tables[name].grad[-COUNT:], rtol=1e-3, atol=1e-7)
        assert parameter.grad.abs().max() > 0


@torch.no_grad()
def test_prompts_without_the_word_are_encoded_as_before_bit_for_bit(model: Base, with_word: Base) -> None:
    prompts = ["a dog", "the bolt of a colt"]
    before, after = model.encode_prompts(prompts), with_word.encode_prompts(prompts)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(*(base.encode_prompts(["a OLT"])["context"] for base in (model, with_word)))


def test_nothing_but_the_vectors_is_trained(file: Path, model: Base) -> None:
    base = load_base(file)
    method, options = TextualInversion("olt", "dog"), TrainOptions(method="textual_inversion", vectors=COUNT)
    method.add_words(base, options)
    method.attach(base, options)
    (group,) = method.parameter_groups(base, options)
    trained = [p for module in base.components().values() for p in module.parameters() if p.requires_grad]
    assert {id(p) for p in trained} == {id(p) for p in group["params"]}
    with torch.no_grad():
        torch._foreach_add_(trained, 1.0)
    for name, module in model.components().items():
        kept = base.components()[name].state_dict()
        assert all(torch.equal(kept[key], weight) for key, weight in module.state_dict().items())


def test_a_word_starts_from_the_noun(model: Base) -> None:
    one, two = (token_vectors(model, "teddy bear", count) for count in (1, 2))
    four = token_vectors(model, "teddy bear", 4)
    for name, table in {n: e.get_input_embeddings().weight for n, e in model.text_encoders.items()}.items():
        bear = model.tokenizer("bear", add_special_tokens=False).input_ids
        assert torch.equal(one[name], table[bear])
        assert torch.equal(two[name][1:], table[bear])
        assert torch.equal(four[name], two[name].repeat(2, 1))


def test_our_file_is_read_by_us_and_by_diffusers(family: str, with_word: Base, tmp_path: Path) -> None:
    vectors = vectors_of(with_word)
    tensors = embedding_tensors(type(with_word), vectors, "olt")
    assert tensors.keys() == ({"clip_l", "clip_g"} if family == "sdxl" else {"<olt>"})
    file = write_tensors(tensors, tmp_path / "word.safetensors", {})
    read = read_embedding(file, type(with_word), widths(with_word))
    assert all(torch.equal(read[name], vectors[name]) for name in vectors)
    if family != "sdxl":
        # diffusers reads the file as it is, and takes the key for the token.
        theirs = pipeline(family)
        theirs.load_textual_inversion(file)
        assert torch.equal(theirs.text_encoder.get_input_embeddings().weight[-COUNT:], vectors["text_encoder"])


def test_other_tools_files_are_read(family: str, model: Base, tmp_path: Path) -> None:
    vectors = vectors_of(model)
    keys = {"sd1": ("emb_params", "clip_l", "*"), "sd2": ("emb_params", "clip_h", "<cat-toy>"), "sdxl": ()}[family]
    for key in keys:
        file = write_tensors({key: vectors["text_encoder"]}, tmp_path / "word.safetensors", {})
        assert torch.equal(read_embedding(file, type(model), widths(model))["text_encoder"], vectors["text_encoder"])
        single = write_tensors({key: vectors["text_encoder"][0].half()}, tmp_path / "single.safetensors", {})
        assert read_embedding(single, type(model), widths(model))["text_encoder"].shape == (
            1,
            widths(model)["text_encoder"],
        )


def test_a_word_of_another_kind_of_model_is_refused(family: str, model: Base, tmp_path: Path) -> None:
    width = 1280 if family != "sdxl" else 768
    file = write_tensors({"<olt>": torch.zeros(1, width)}, tmp_path / "word.safetensors", {})
    with pytest.raises(CheckpointError, match=rf"another kind of model.*{width}"):
        read_embedding(file, type(model), widths(model))


def test_words_that_do_not_fit_are_refused(with_word: Base) -> None:
    with pytest.raises(WordError, match="'OLT' exists already"):
        add_word(with_word, "OLT", vectors_of(with_word))
    with pytest.raises(WordError, match=r"\[1, 5\]"):
        add_word(with_word, "other", {name: torch.zeros(1, 5) for name in with_word.text_encoders})
    with pytest.raises(WordError, match="no word to start from"):
        token_vectors(with_word, "  ", 1)


def test_a_second_word_has_vectors_of_its_own(with_word: Base) -> None:
    second = {name: rows[:1] + 1 for name, rows in vectors_of(with_word).items()}
    add_word(with_word, "zwx", second)
    assert set(with_word.words["olt"]).isdisjoint(with_word.words["zwx"])
    for name, rows in word_parameters(with_word, "zwx").items():
        table = with_word.text_encoders[name].get_input_embeddings()
        assert torch.equal(table(torch.tensor(with_word.words["zwx"])), rows)


def test_vectors_that_are_not_finite_are_not_saved(model: Base) -> None:
    method = TextualInversion("olt")
    trained = {name: {VECTORS: torch.full((1, width), torch.nan)} for name, width in widths(model).items()}
    with pytest.raises(ValueError, match="not finite"):
        method.file(model, trained)
