"""InstantBooth: what is predicted from photos, and what the adapters add to the base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dreambooth_nodes.tests.folders import lent_folder
from dreambooth_nodes.tests.trainer.model.families.small import write_checkpoint
from dreambooth_nodes.trainer.files.safetensors import CheckpointError, read_metadata, read_tensors, write_tensors
from dreambooth_nodes.trainer.instantbooth.adapter import HEAD, GatedAdapter
from dreambooth_nodes.trainer.instantbooth.attachment import Shown, attached
from dreambooth_nodes.trainer.instantbooth.encoder import Concept
from dreambooth_nodes.trainer.instantbooth.prediction import (
    KnownPredictor,
    features_file,
    predict,
    read_features,
    shown,
    write_prediction,
)
from dreambooth_nodes.trainer.instantbooth.predictor import Predictor, read_predictor
from dreambooth_nodes.trainer.instantbooth.prompts import BasePrompts, noun_vectors
from dreambooth_nodes.trainer.instantbooth.shape import PredictorShape, layers_of, transformer_blocks
from dreambooth_nodes.trainer.methods.start import require_continuable
from dreambooth_nodes.trainer.methods.textual_inversion.file import read_embedding
from dreambooth_nodes.trainer.methods.textual_inversion.start import starting_vectors
from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.families import load_base
from dreambooth_nodes.trainer.model.word_embedding import add_word, widths
from dreambooth_nodes.trainer.options import TrainOptions
from dreambooth_nodes.trainer.runs.personalized import read_personalized
from dreambooth_nodes.trainer.runs.store import Store
from dreambooth_nodes.trainer.sampling.sampler import SamplerSettings, draw
from dreambooth_nodes.trainer.subject.frame import Frame
from dreambooth_nodes.trainer.subject.photos import Photo


@pytest.fixture(scope="module", params=["sd1", pytest.param("sdxl", marks=pytest.mark.slow)])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with lent_folder(tmp_path_factory, f"predicted_{request.param}") as folder:
        yield write_checkpoint(request.param, folder / "base.safetensors")


@pytest.fixture
def base(file: Path) -> Base:
    return load_base(file)


def predictor_for(base: Base, gates: float = 0.7) -> Predictor:
    """With random weights, its gates open."""
    torch.manual_seed(2)
    shape = PredictorShape(base.family, layers_of(base.denoiser), widths(base), 3, 32, (16, 16, 24))
    predictor = Predictor(shape).requires_grad_(False)
    for adapter in predictor.adapters.values():
        adapter.gate.fill_(gates)
    return predictor


def photo(seed: int, mask: Tensor | None = None) -> Photo:
    return Photo(f"{seed}.png", torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(seed)), mask, None)


def concept_of(predictor: Predictor, base: Base, *photos: Photo) -> Concept:
    return predict(predictor, photos, noun_vectors(base, "dog"))


def answer(base: Base, prompts: list[str]) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    noisy = torch.randn(len(prompts), 4, 8, 8, generator=generator)
    frames = base.frame_conditioning([Frame.whole(64, 64)] * len(prompts))
    with torch.no_grad():
        return base.predict(noisy, torch.full((len(prompts),), 500), base.encode_prompts(prompts) | frames)


def test_at_strength_0_with_the_noun_it_is_the_base_bit_for_bit(base: Base) -> None:
    predictor, prompts = predictor_for(base), ["a dog on the beach", "a dog"]
    before, patches = answer(base, prompts), concept_of(predictor_for(base), base, photo(1)).patches[0]
    with shown(base.denoiser, predictor, patches, 0.0, 2):
        assert torch.equal(answer(base, prompts), before)
    with shown(base.denoiser, predictor, patches, 1.0, 2):
        assert (answer(base, prompts) - before).abs().max() > 1e-3
    assert torch.equal(answer(base, prompts), before)


def test_gates_that_were_not_trained_add_nothing(base: Base) -> None:
    predictor, before = predictor_for(base, gates=0.0), answer(base, ["a dog"])
    with shown(base.denoiser, predictor, concept_of(predictor, base, photo(1)).patches[0], 1.0, 1):
        assert torch.equal(answer(base, ["a dog"]), before)


def test_rows_of_the_empty_prompt_are_the_bases(base: Base) -> None:
    predictor, prompts = predictor_for(base), ["a dog", "a cat", "", ""]
    before = answer(base, prompts)
    with shown(base.denoiser, predictor, concept_of(predictor, base, photo(1)).patches[0], 1.0, 2):
        after = answer(base, prompts)
    assert torch.equal(after[2:], before[2:])
    assert ((after - before).abs().amax((1, 2, 3)) > 1e-3).tolist() == [True, True, False, False]


def test_a_block_adds_gated_attention_between_self_and_cross_attention(base: Base) -> None:
    """y + β·tanh(γ)·S([y, f]) by the block's own parts, and S by the softmax over both."""
    predictor = predictor_for(base)
    name, block = next(iter(transformer_blocks(base.denoiser).items()))
    adapter, width = predictor.adapters[name], block.norm1.normalized_shape[0]
    torch.manual_seed(3)
    x, context, patches = (
        torch.randn(2, 5, width),
        torch.randn(2, 7, block.attn2.to_k.in_features),
        torch.randn(2, 4, 24),
    )
    with torch.no_grad(), attached(base.denoiser, predictor.adapters, Shown(patches, 0.4)):
        found = block(x, encoder_hidden_states=context)
    with torch.no_grad():
        y = x + block.attn1(block.norm1(x))
        y = y + 0.4 * torch.tanh(adapter.gate) * _attended(adapter, y, patches)
        y = y + block.attn2(block.norm2(y), encoder_hidden_states=context)
        torch.testing.assert_close(found, y + block.ff(block.norm3(y)), rtol=1e-4, atol=1e-5)


def _attended(adapter: GatedAdapter, y: Tensor, patches: Tensor) -> Tensor:
    own, other = adapter.own(adapter.norm(y)), adapter.photos(patches)
    inner = own.shape[-1] // 3
    queries, keys, values = own.split(inner, -1)
    keys, values = torch.cat([keys, other[..., :inner]], 1), torch.cat([values, other[..., inner:]], 1)
    parts = [each.split(HEAD, -1) for each in (queries, keys, values)]
    heads = [torch.softmax(q @ k.mT / HEAD**0.5, -1) @ v for q, k, v in zip(*parts, strict=True)]
    attended: Tensor = adapter.out(torch.cat(heads, -1))
    return attended


def test_the_word_is_the_mean_over_photos_in_any_order_and_as_long_as_the_noun(base: Base) -> None:
    predictor, photos = predictor_for(base), [photo(seed) for seed in (1, 2, 3)]
    one, several, turned = (concept_of(predictor, base, *some) for some in (photos[:1], photos, photos[::-1]))
    for name, noun in noun_vectors(base, "dog").items():
        assert several.words[name].shape == (1, 3, len(noun))
        torch.testing.assert_close(several.words[name].norm(dim=-1), noun.norm().expand(1, 3), rtol=1e-4, atol=0)
        torch.testing.assert_close(several.words[name], turned.words[name])
        assert not torch.allclose(several.words[name], one.words[name])
    apart = torch.cat([concept_of(predictor, base, each).patches for each in photos], 1)
    torch.testing.assert_close(several.patches, apart)
    twice = concept_of(predictor, base, photos[0], photos[0])
    torch.testing.assert_close(next(iter(twice.words.values())), next(iter(one.words.values())))


def test_what_a_mask_leaves_out_does_not_count(base: Base) -> None:
    predictor, mask = predictor_for(base), torch.zeros(48, 48)
    mask[10:30, 10:30] = 1
    plain = photo(1)
    other = Photo("other.png", torch.where(mask > 0, plain.pixels, torch.rand(3, 48, 48)), mask, None)
    seen, same = (concept_of(predictor, base, Photo("", p.pixels, mask, None)) for p in (plain, other))
    assert torch.equal(seen.patches, same.patches)
    assert not torch.equal(concept_of(predictor, base, plain).patches, concept_of(predictor, base, other).patches)


def test_each_row_of_a_batch_has_its_own_word(file: Path) -> None:
    """As a base where each word was added under a name."""
    base, other = load_base(file), load_base(file)
    words = {name: torch.randn(2, 3, width) * 0.02 for name, width in widths(base).items()}
    add_word(base, "first", {name: rows[0] for name, rows in words.items()})
    add_word(base, "second", {name: rows[1] for name, rows in words.items()})
    wanted = base.encode_prompts(["a first on the beach", "a red second"])
    with torch.no_grad():
        found = BasePrompts(other, 3).conditioning(["a [V] on the beach", "a red [V]"], words)
    for name, rows in wanted.items():
        torch.testing.assert_close(found[name], rows)


def test_pictures_are_drawn_with_word_and_features(base: Base) -> None:
    predictor = predictor_for(base)
    concept = concept_of(predictor, base, photo(1))
    add_word(base, "olt", {name: rows[0] for name, rows in concept.words.items()})
    settings = SamplerSettings(width=64, height=64, steps=2)
    alone = draw(base, ["a olt", "a dog"], [1, 2], settings)
    with shown(base.denoiser, predictor, concept.patches[0], 1.0, 2):
        assert not torch.equal(draw(base, ["a olt", "a dog"], [1, 2], settings), alone)
    with shown(base.denoiser, predictor, concept.patches[0], 0.0, 2):
        assert torch.equal(draw(base, ["a olt", "a dog"], [1, 2], settings), alone)


def test_a_result_is_an_ordinary_embedding_with_features_beside_it(base: Base, tmp_path: Path) -> None:
    predictor = predictor_for(base)
    known = KnownPredictor.of_file(predictor.write(tmp_path / "predictor.safetensors", {"dreambooth.base": "ab" * 32}))
    concept = concept_of(known.predictor, base, photo(1), photo(2))
    store = Store(tmp_path / "loras", tmp_path / "checkpoints", tmp_path / "dreambooth")
    result = write_prediction(store, known, concept, "my dog", "dog")
    assert read_personalized(result.file) == result
    assert (result.trigger, result.class_noun, result.trained_from) == ("<my_dog_00001>", "dog", "ab" * 32)
    for name, rows in read_embedding(result.file, type(base), widths(base)).items():
        torch.testing.assert_close(rows, concept.words[name][0])
    # Textual Inversion goes on from it
    options = TrainOptions(method="textual_inversion", vectors=3)
    require_continuable(result.file, options)
    for name, rows in starting_vectors(result.file, base, options).items():
        torch.testing.assert_close(rows, concept.words[name][0])
    patches = read_features(store, result, known)
    torch.testing.assert_close(patches, concept.patches[0], rtol=1e-3, atol=1e-3)
    with pytest.raises(CheckpointError, match="another predictor"):
        read_features(store, result, KnownPredictor(predictor, "cd", {}))
    features_file(store, result.file).unlink()
    with pytest.raises(CheckpointError, match="no file"):
        read_features(store, result, known)


def test_predictors_of_other_models_and_other_files_are_refused(base: Base, tmp_path: Path) -> None:
    predictor = predictor_for(base)
    with pytest.raises(CheckpointError, match="made for words"):
        predict(predictor, [photo(1)], {"text_encoder": torch.zeros(5)})
    fewer = dict(list(predictor.adapters.items())[1:])
    with pytest.raises(ValueError, match="another model"), attached(base.denoiser, fewer, Shown()):
        pass
    path = predictor.write(tmp_path / "predictor.safetensors")
    for key, value in read_predictor(path).state_dict().items():
        torch.testing.assert_close(value, predictor.state_dict()[key], rtol=1e-3, atol=1e-4)
    tensors = read_tensors(path)
    removed = next(iter(tensors))
    write_tensors({key: value for key, value in tensors.items() if key != removed}, path, read_metadata(path))
    with pytest.raises(CheckpointError, match=f"damaged predictor: {removed}"):
        read_predictor(path)
    write_tensors(tensors, path, {})
    with pytest.raises(CheckpointError, match="is no predictor"):
        read_predictor(path)


@pytest.mark.parametrize(("vectors", "photo_side"), [(0, 32), (1, 40), (1, 0)])
def test_impossible_shapes_are_refused(vectors: int, photo_side: int) -> None:
    with pytest.raises(ValueError, match="vectors is 1 or more"):
        PredictorShape("sd1", {}, {}, vectors, photo_side)
