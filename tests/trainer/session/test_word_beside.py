"""Pivotal tuning, from photos to files: a word's vectors in the first steps, the weights of a LoRA in all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dreambooth_nodes.tests.trainer.methods.adapters import answer
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.tests.trainer.short_runs import (
    DEATH,
    NewBase,
    other,
    same_weights,
    stopped_after,
    with_options,
)
from dreambooth_nodes.trainer.export.conversion import Conversion, ConversionError
from dreambooth_nodes.trainer.export.convert import convert
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.methods.pivotal_tuning.word_beside import DRAWN_BACK, WordBeside, steps_of_word
from dreambooth_nodes.trainer.methods.registry import new_method
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.word_embedding import table_deviation, word_parameters
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.options.setting import OptionError
from dreambooth_nodes.trainer.runs.history import delete_result, history
from dreambooth_nodes.trainer.runs.request import Request
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.session.choosing import choose_step
from dreambooth_nodes.trainer.session.personalize import personalize

WORD = {"word_share": 0.5, "vectors": 2, "word_learning_rate": 1e-2}


@pytest.fixture
def of_both(asked: Request) -> Request:
    return replace(with_options(asked, **WORD), name="my dog")


def test_two_files_are_saved_found_again_and_resumed_bit_for_bit(
    new_base: NewBase, of_both: Request, store: Store, tmp_path: Path, tiny_base_file: Path
) -> None:
    store = replace(store, learned_words=tmp_path / "embeddings", word="embedding:{name}")
    whole, _ = personalize(new_base(), of_both, other(store, "straight"))
    personalize(new_base(), of_both, store, *stopped_after(DEATH))
    result, run = personalize(new_base(), of_both, store)
    file, word = store.files_of(result)
    assert (file.name, word) == ("my dog_00002.safetensors", tmp_path / "embeddings" / "my_dog_00002.safetensors")
    assert all(map(same_weights, (file, word), other(store, "straight").files_of(whole)))
    assert result.trigger == run.record["trigger"] == "embedding:my_dog_00002 dog"
    assert whole.trigger == "<ohwx> dog"
    ((key, vectors),) = read_tensors(word).items()
    assert (key, vectors.shape, vectors.dtype) == ("<ohwx>", (2, 768), torch.float32)
    assert read_metadata(file)["modelspec.trigger_phrase"] == read_metadata(word)["dreambooth.trigger"]
    assert personalize(new_base(), of_both, store)[0] == result
    with pytest.raises(OptionError, match=r"a word of its own, 'my_dog_00002', which a run cannot go on with"):
        replace(of_both, continue_from=file)
    # In one file, and out of it again.
    bundle = tmp_path / "bundle.safetensors"
    wanted = Conversion(source=file, layout="bundle", target=bundle, base=tiny_base_file, word=word)
    convert(wanted)
    assert torch.equal(read_tensors(bundle)["bundle_emb.my_dog_00002.string_to_param.*"], vectors)
    again = convert(Conversion(source=bundle, layout="word", target=tmp_path / "again.safetensors")).path
    assert torch.equal(read_tensors(again)["<my_dog_00002>"], vectors)
    plain = convert(replace(wanted, source=bundle, layout="kohya", target=tmp_path / "plain.safetensors"))
    assert same_weights(plain.path, file) and "bundle_emb" in plain.warnings[0]
    with pytest.raises(ConversionError, match="give the word"):
        convert(replace(wanted, word=None, target=tmp_path / "x.safetensors"))
    with pytest.raises(CheckpointError, match="holds no learned word"):
        convert(Conversion(source=file, layout="word", target=tmp_path / "x.safetensors"))
    delete_result(history(store)[0]["path"], store)
    assert not file.exists() and not word.exists()


def test_the_word_stays_as_it_is_after_its_share_of_the_steps(
    new_base: NewBase, of_both: Request, store: Store
) -> None:
    assert steps_of_word(of_both.options) == 3
    result, run = personalize(new_base(), with_options(of_both, save_every=1), store)
    files = {step: run.file_of(step) for step in range(1, 6)}
    words, weights = {}, {}
    for step, one in files.items():
        assert one is not None
        file, word = store.files_of(one)
        words[step], weights[step] = read_tensors(word)["<ohwx>"], read_tensors(file)
    assert files[5] == result
    moved = [not torch.equal(words[step], words[step + 1]) for step in range(1, 5)]
    assert moved == [True, True, False, False]
    for step in range(1, 5):
        assert any(not torch.equal(weights[step][key], weights[step + 1][key]) for key in weights[step])
    # A scored step is kept in the run's folder, its word beside it, and is chosen with it.
    assert files[2] is not None
    kept = run.kept.path(2)
    beside = store.word_path(kept)
    assert beside == kept.with_name("word_of_step_000002.safetensors")
    kept.parent.mkdir()
    for source, target in zip(store.files_of(files[2]), (kept, beside), strict=True):
        write_tensors(read_tensors(source), target, {**read_metadata(source), "dreambooth.word_file": beside.stem})
    chosen = choose_step(run, 2)
    assert all(map(same_weights, store.files_of(chosen), store.files_of(files[2])))
    assert (
        chosen.word_file == store.word_path(chosen.file).stem and store.files_of(chosen)[1].parent == store.embeddings
    )
    run.kept.bound((), 0)
    assert not kept.exists() and not beside.exists()


def test_vectors_are_drawn_back_as_the_reference_does(new_base: NewBase, of_both: Request) -> None:
    base, options = new_base(), of_both.options
    method = new_method(options, "ohwx", "dog")
    assert isinstance(method, WordBeside)
    method.attach(base, options)
    for name, vectors in word_parameters(base, "ohwx").items():
        with torch.no_grad():
            vectors.copy_(torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0)))
        before, table = vectors.detach().clone(), table_deviation(base, name)
        method.after_update(base, options, 2)
        # std_token_embedding / new_embeddings.std(), to the power of 0.1.
        torch.testing.assert_close(vectors.detach(), before * (table / before.std()) ** DRAWN_BACK)
        now = vectors.detach().clone()
        method.after_update(base, options, 3)
        assert torch.equal(vectors, now)
        vectors.grad = torch.ones_like(vectors)
        method.before_update(base, options, 2)
        assert vectors.grad is not None
        method.before_update(base, options, 3)
        assert vectors.grad is None
    groups = method.parameter_groups(base, options)
    assert [group["lr"] for group in groups] == [options.learning_rate, 1e-2]
    trained = [id(one) for group in groups for one in group["params"]]
    assert len(trained) == len(set(trained)) and len(groups[1]["params"]) == 1


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("sd1", {"method": "full"}),
        ("sd1", {"method": "lora", "train_text_encoder": True}),
        ("sd1", {"method": "lidb"}),
        pytest.param("sdxl", {"method": "dora", "train_text_encoder": True}, marks=pytest.mark.slow),
    ],
)
def test_a_word_goes_beside_any_method(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    """Its weights are saved as without a word, and every trained weight is in one group."""
    file = write_checkpoint(family, tmp_path / "base.safetensors")
    base, alone, options = load_base(file), load_base(file), TrainOptions(**changes, **WORD)
    method, weights = new_method(options, "ohwx", "dog"), new_method(replace(options, word_share=0.0), "ohwx", "dog")
    before = answer(base)
    method.add_words(base, options)
    method.attach(base, options)
    weights.attach(alone, options)
    saved, plain = method.file(base, method.trained(base)), weights.file(alone, weights.trained(alone))
    assert saved.tensors.keys() == plain.tensors.keys() and not plain.word
    assert len(saved.word) == len(base.text_encoders) and all(len(rows) == 2 for rows in saved.word.values())
    with method.untrained(base):
        torch.testing.assert_close(answer(base), before, rtol=1e-4, atol=2e-5)
    groups = method.parameter_groups(base, options)
    every = [id(one) for group in groups for one in group["params"]]
    trained = [id(p) for module in base.components().values() for p in module.parameters() if p.requires_grad]
    assert len(every) == len(set(every)) and set(every) == set(trained)


def test_a_word_beside_weights_is_part_of_the_runs_key(asked: Request, of_both: Request) -> None:
    assert asked.priors is not None
    base = asked.priors.recipe.base_fingerprint
    assert asked.key(base) == with_options(asked, word_learning_rate=1e-2, vectors=2).key(base)
    keys = {replace(with_options(of_both, **{name: value})).key(base)
            for name, value in (("word_share", 0.6), ("vectors", 3), ("word_learning_rate", 1e-3))}  # fmt: skip
    assert len({*keys, of_both.key(base), asked.key(base)}) == 5
    # Class images are used: the class prompt lacks the word.
    assert of_both.class_images is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"word_share": 1.5}, "word_share is 1.5; it must be 0 to 1"),
        ({"word_share": 0.5, "method": "textual_inversion"}, "trains its word in all steps"),
        ({"word_share": 0.5, "method": "full", "train_text_encoder": True}, "trains all words"),
        ({"word_share": 0.5, "optimizer": "prodigy"}, "finds one rate for all"),
        ({"word_share": 0.5, "optimizer": "adafactor", "fused_backward": True}, "uses gradients before"),
        ({"word_learning_rate": 0.0}, "word_learning_rate is 0.0; it must be above 0"),
    ],
)
def test_bad_options_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        TrainOptions(**changes)  # type: ignore[arg-type]


def test_words_of_other_programs_bundles_are_read(tmp_path: Path) -> None:
    both = {f"bundle_emb.olt.{key}": torch.ones(2, width) for key, width in (("clip_l", 768), ("clip_g", 1280))}
    file = write_tensors(both, tmp_path / "two.safetensors", {})
    found = convert(Conversion(source=file, layout="word", target=tmp_path / "word.safetensors")).path
    assert {key: tuple(tensor.shape) for key, tensor in read_tensors(found).items()} == {
        "clip_l": (2, 768), "clip_g": (2, 1280),
    }  # fmt: skip
    more = write_tensors({**both, "bundle_emb.wsw.clip_l": torch.ones(1, 768)}, tmp_path / "more.safetensors", {})
    with pytest.raises(CheckpointError, match="holds the words olt, wsw, and one is taken"):
        convert(Conversion(source=more, layout="word", target=tmp_path / "x.safetensors"))
