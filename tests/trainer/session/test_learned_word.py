"""Textual Inversion from photos to file: what is saved, found, gone on with and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dreambooth_nodes.tests.trainer.short_runs import (
    DEATH,
    NewBase,
    other,
    same_weights,
    stopped_after,
    with_options,
)
from dreambooth_nodes.trainer.export.compatibility import check_applies
from dreambooth_nodes.trainer.export.conversion import Conversion, ConversionError
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.registry import METHODS, TextualInversion
from dreambooth_nodes.trainer.methods.start import kept_settings
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.prompts import CONTEXTS, context_prompts
from dreambooth_nodes.trainer.runs.history import history
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.personalize import personalize
from dreambooth_nodes.trainer.session.setup import encode_request


@pytest.fixture
def of_word(asked: Request) -> Request:
    return with_options(asked, method="textual_inversion", vectors=2)


def test_a_word_is_saved_found_again_and_resumed_bit_for_bit(
    new_base: NewBase, of_word: Request, tiny_base_file: Path, store: Store, tmp_path: Path
) -> None:
    store = replace(store, learned_words=tmp_path / "embeddings", word="embedding:{name}")
    named = replace(of_word, name="my dog (1)")
    whole, _ = personalize(new_base(), named, other(store, "straight"))
    personalize(new_base(), named, store, *stopped_after(DEATH))
    result, run = personalize(new_base(), named, store)
    assert same_weights(result.file, whole.file)
    assert result.file == tmp_path / "embeddings" / "my_dog_1__00002.safetensors"
    assert result.trigger == run.record["trigger"] == "embedding:my_dog_1__00002"
    assert whole.trigger == "<ohwx>"
    ((key, vectors),) = read_tensors(result.file).items()
    assert (key, vectors.shape, vectors.dtype) == ("<ohwx>", (2, 768), torch.float32)
    said = read_metadata(result.file)
    assert said["modelspec.architecture"] == "stable-diffusion-v1/textual-inversion"
    assert said["modelspec.trigger_phrase"] == result.trigger
    again, _ = personalize(new_base(), named, store)
    assert again == result
    assert [entry["trigger"] for entry in history(store)] == [result.trigger]
    # The file's width is the base's, and every tool reads it as it is.
    assert check_applies(result.file, tiny_base_file).fits and check_applies(result.file, tiny_base_file).same_base
    with pytest.raises(ConversionError, match="is a learned word"):
        convert(Conversion(source=result.file, layout="kohya", target=tmp_path / "new.safetensors"))


def test_class_images_are_no_part_of_a_words_run(of_word: Request, asked: Request) -> None:
    assert asked.priors is not None
    base = asked.priors.recipe.base_fingerprint
    assert of_word.key(base) == replace(of_word, priors=None).key(base)
    assert asked.key(base) != replace(asked, priors=None).key(base)
    assert of_word.record(base)["priors"] == 0


def test_settings_of_a_word_are_no_part_of_another_methods_run(asked: Request, of_word: Request) -> None:
    assert asked.priors is not None
    base = asked.priors.recipe.base_fingerprint
    assert asked.key(base) == with_options(asked, vectors=3, contexts="style").key(base)
    assert of_word.key(base) != with_options(of_word, vectors=3).key(base)


def test_every_photo_is_seen_in_every_context(new_base: NewBase, of_word: Request) -> None:
    base = new_base()
    METHODS["textual_inversion"].begin("ohwx", "dog").add_words(base, of_word.options)
    prompts, instance, prior = encode_request(base, of_word, lambda: False)
    photos, contexts = len(of_word.subject.photos), len(CONTEXTS["object"])
    assert prior is None and len(instance) == photos * contexts
    assert prompts.token_ids is not None and len(prompts.token_ids) == contexts
    assert set(instance.prompts) == set(range(contexts))
    # The photos are encoded once.
    assert len({mean.data_ptr() for mean in instance.mean}) == photos
    assert all(set(base.words["ohwx"]) <= set(row.tolist()) for row in prompts.token_ids)


def test_a_caption_joins_the_context_and_one_with_the_word_replaces_it() -> None:
    assert context_prompts("plain", "olt", "dog") == ["a olt"]
    assert context_prompts("plain", "olt", "dog", "in the snow") == ["a olt, in the snow"]
    assert context_prompts("object", "olt", "dog", "[V] sleeps") == ["olt sleeps"]
    assert all("in the style of olt" in prompt for prompt in context_prompts("style", "olt", "style"))


@pytest.mark.parametrize(("word", "contexts"), [("photo", "object"), ("Painting", "style"), ("a", "plain")])
def test_a_word_of_the_contexts_is_refused(word: str, contexts: str) -> None:
    with pytest.raises(ValueError, match=f"{word!r} exists already"):
        context_prompts(contexts, word, "dog")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vectors": 0}, "vectors is 0; it must be a whole number, 1 to 8"),
        ({"vectors": 9}, "vectors is 9; it must be a whole number, 1 to 8"),
        ({"contexts": "none"}, "contexts is 'none'; it must be one of object, style, plain"),
        ({"train_text_encoder": True}, "trains a word and nothing else"),
        ({"trained_weights": "bf16", "optimizer": "adafactor"}, "trains few weights"),
    ],
)
def test_bad_options_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        TrainOptions(method="textual_inversion", **changes)  # type: ignore[arg-type]


def test_a_word_is_gone_on_from(new_base: NewBase, of_word: Request, store: Store, tmp_path: Path) -> None:
    vectors = torch.randn(3, 768, generator=torch.Generator().manual_seed(0)) / 30
    file = write_tensors({"emb_params": vectors}, tmp_path / "theirs.safetensors", {})
    assert kept_settings(file) == {"vectors": 3}
    going_on = replace(with_options(of_word, vectors=3, learning_rate=1e-9), continue_from=file)
    result, _ = personalize(new_base(), going_on, store)
    torch.testing.assert_close(read_tensors(result.file)["<ohwx>"], vectors, rtol=0, atol=1e-6)
    with pytest.raises(OptionError, match=r"vectors is 2, and .* has 3"):
        personalize(new_base(), replace(of_word, continue_from=file), store)
    with pytest.raises(OptionError, match="only 'textual_inversion' can continue it"):
        replace(of_word, options=TrainOptions(), continue_from=file)


def test_other_files_to_go_on_from_are_refused(
    new_base: NewBase, of_word: Request, store: Store, tmp_path: Path
) -> None:
    wide = write_tensors({"clip_l": torch.zeros(2, 1024)}, tmp_path / "wide.safetensors", {})
    with pytest.raises(CheckpointError, match=r"another kind of model: clip_l \[2, 1024\].*\[n, 768\]"):
        personalize(new_base(), replace(of_word, continue_from=wide), store)
    pickled = tmp_path / "old.pt"
    pickled.write_bytes(b"\x80")
    with pytest.raises(CheckpointError, match="can run code when opened"):
        replace(of_word, continue_from=pickled)


def test_a_base_without_words_refuses(new_base: NewBase, of_word: Request) -> None:
    base = new_base()
    base.takes_words = False  # type: ignore[misc]
    with pytest.raises(OptionError, match="takes no new words"):
        TextualInversion("olt", "dog").add_words(base, of_word.options)
