"""Which prompt an image is shown under, and whether mirrored: by chance, and the same whenever it is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from dreambooth_nodes.tests.trainer.trainings import images_of
from dreambooth_nodes.trainer.model.noise_process import Diffusion
from dreambooth_nodes.trainer.training.batches import Batch, Batches
from dreambooth_nodes.trainer.training.encoded import EncodedImages
from dreambooth_nodes.trainer.training.prompt_variants import PromptVariants

PROCESS = Diffusion(torch.linspace(0.99, 0.01, 1000))
SAMPLES = 4000


def images(values: list[float]) -> EncodedImages:
    mean = torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 4, 2, 2)
    return images_of(mean, torch.zeros_like(mean), 0, frames={"time_ids": torch.tensor(values).unsqueeze(1)})


def shown(source: Batches, count: int) -> list[Batch]:
    return [batch for index in range(count) for batch in source[index]]


@pytest.mark.parametrize("dropout", [0.0, 0.1, 0.5, 1.0])
def test_prompts_are_drawn_as_often_as_they_should(dropout: float) -> None:
    variants = PromptVariants(((0, 1, 2, 3), (4,)), dropout, 9)
    rows = variants.drawn(0, range(SAMPLES), [sample % 2 for sample in range(SAMPLES)])
    counted = Counter(rows)
    assert counted[9] / SAMPLES == pytest.approx(dropout, abs=0.025)
    for row, share in {0: 1 / 8, 1: 1 / 8, 2: 1 / 8, 3: 1 / 8, 4: 1 / 2}.items():
        assert counted[row] / SAMPLES == pytest.approx(share * (1 - dropout), abs=0.025)


def test_what_is_dropped_does_not_depend_on_which_variant_was_drawn() -> None:
    variants = PromptVariants(((0, 1),), 0.5, 9)
    kept = replace(variants, dropout=0.0).drawn(0, range(SAMPLES), [0] * SAMPLES)
    dropped = [row == 9 for row in variants.drawn(0, range(SAMPLES), [0] * SAMPLES)]
    table = torch.tensor([[float(row), float(gone)] for row, gone in zip(kept, dropped, strict=True)])
    assert abs(float(torch.corrcoef(table.t())[0, 1])) < 0.05


def test_half_of_the_samples_are_mirrored_each_with_what_belongs_to_it() -> None:
    plain, mirrored = images([1, 2, 3]), images([-1, -2, 3])
    source = Batches(replace(plain, mirrored=mirrored), None, PROCESS, 0, 1)
    batches = shown(source, 600)
    values = [float(batch.instance.x[0, 0, 0, 0]) for batch in batches if batch.instance]
    assert [float(batch.frames["time_ids"][0, 0]) for batch in batches] == values
    assert Counter(map(abs, values)) == {1: 200, 2: 200, 3: 200}
    assert sum(value < 0 for value in values) / 400 == pytest.approx(0.5, abs=0.08)
    never = shown(Batches(plain, None, PROCESS, 0, 1), 600)
    assert all(torch.equal(a.instance.noise, b.instance.noise) for a, b in zip(batches, never, strict=True))


@pytest.mark.parametrize("batch_size", [2, 3])
def test_batches_of_any_size_and_processes_draw_the_same(batch_size: int) -> None:
    variants = PromptVariants(((0, 1, 2), (3, 4), (5,)), 0.3, 9)
    whole = replace(images([1, 2, 3]), mirrored=images([-1, -2, -3]), variants=variants)
    alone = [Batches(whole, None, PROCESS, 0, 1)[index][0] for index in range(6)]
    steps = range(6 // batch_size)
    ranks = [Batches(whole, None, PROCESS, 0, 1, 1, rank, batch_size) for rank in range(batch_size)]
    for together in (
        [Batches(whole, None, PROCESS, 0, batch_size)[step][0] for step in steps],
        [source[step][0] for step in steps for source in ranks],
    ):
        assert [row for batch in together for row in batch.prompts] == [row for one in alone for row in one.prompts]
        joined = torch.cat([batch.instance.x for batch in together if batch.instance])
        assert torch.equal(joined, torch.cat([one.instance.x for one in alone if one.instance]))


def test_an_encoding_keeps_its_variants_and_its_mirrored_images() -> None:
    whole = replace(images([1, 2]), mirrored=images([-1, -2]), variants=PromptVariants(((0, 1), (2,))))
    moved = whole.to(torch.device("cpu"))
    assert moved.variants == whole.variants and moved.mirrored is not None and len(moved.mirrored) == 2
    pairs = whole.with_prompts([[0, 1], [2]])
    assert pairs.prompts == (0, 1, 2) and pairs.mirrored is not None
    assert [float(mean[0, 0, 0]) for mean in pairs.mirrored.mean] == [-1, -1, -2]
    compared = whole.under([7])
    assert compared.prompts == (7, 7) and compared.variants is None and compared.mirrored is None
