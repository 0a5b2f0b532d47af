"""Rare-token lookup on CLIP's own tokenizer, and the prior that candidates carry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import CLIPTokenizer

from dreambooth_nodes import trainer
from dreambooth_nodes.trainer.subject.identifier import (
    Candidate,
    EpsilonPredictor,
    candidate_table,
    rank_by_prior,
    rare_candidates,
    warnings_for,
)
from dreambooth_nodes.trainer.subject.rare_tokens import RARE_FROM, ClipVocabulary, known_words

VOCABULARY = Path(str(trainer.__file__)).parent / "model" / "families" / "latent_diffusion" / "clip_vocabulary"


@lru_cache
def clip_tokenizer(kind: str = "CLIPTokenizer") -> CLIPTokenizer:
    return getattr(transformers, kind).from_pretrained(VOCABULARY)


@pytest.fixture(params=["CLIPTokenizer", "CLIPTokenizerFast"])
def tokenizer(request: pytest.FixtureRequest) -> CLIPTokenizer:
    """The slow one of transformers 4 and the fast one; one and the same class from 5 on."""
    return clip_tokenizer(request.param)


def ids(tokenizer: CLIPTokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_two_hundred_draws_round_trip_alone_and_in_prompts(tokenizer: CLIPTokenizer, length: int) -> None:
    drawn = [c for seed in range(20) for c in rare_candidates(tokenizer, length, seed, count=10)]
    assert len(drawn) == 200
    for candidate in drawn:
        assert ids(tokenizer, candidate.text) == candidate.token_ids
        assert ids(tokenizer, f"a {candidate.text} dog") == (320, *candidate.token_ids, 1929)
        assert ids(tokenizer, f"photo of a {candidate.text} backpack, at sea")[3 : 3 + length] == candidate.token_ids
        assert tokenizer.decode(list(candidate.token_ids)).strip() == candidate.text


@pytest.mark.parametrize("length", [1, 2, 3])
def test_candidates_are_rare_short_letters_and_no_words(tokenizer: CLIPTokenizer, length: int) -> None:
    vocabulary = ClipVocabulary(tokenizer)
    for candidate in (c for seed in range(20) for c in rare_candidates(tokenizer, length, seed, count=10)):
        assert re.fullmatch(r"[a-z]{2,9}", candidate.text)
        assert candidate.ranks == tuple(index - 512 for index in candidate.token_ids)
        assert len(candidate.ranks) == length and min(candidate.ranks) >= RARE_FROM
        for index in candidate.token_ids:
            assert 2 <= len(vocabulary.piece(index)) <= 3
            assert not vocabulary.is_word(vocabulary.piece(index))
        assert candidate.text not in known_words() and not vocabulary.is_common(candidate.text)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_seed_decides_the_draw(tokenizer: CLIPTokenizer, length: int) -> None:
    again = [rare_candidates(tokenizer, length, seed) for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]
    assert rare_candidates(tokenizer, length, 0, count=5) == again[0][:5]


def test_a_seed_decides_the_same_on_every_platform(tokenizer: CLIPTokenizer) -> None:
    drawn = [rare_candidates(tokenizer, length, seed=0, count=1)[0].text for length in (1, 2, 3)]
    assert drawn == ["spp", "oaxptc", "ystbohffo"]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**64), length=st.integers(1, 3))
def test_no_token_is_drawn_twice(seed: int, length: int) -> None:
    drawn = [index for c in rare_candidates(clip_tokenizer(), length, seed) for index in c.token_ids]
    assert len(drawn) == len(set(drawn)) == 16 * length


def test_draws_are_uniform(tokenizer: CLIPTokenizer) -> None:
    urn = ClipVocabulary(tokenizer).urns(1)[0]
    drawn = [urn.index(c.token_ids[0]) for seed in range(60) for c in rare_candidates(tokenizer, 1, seed)]
    counts = torch.histc(torch.tensor(drawn, dtype=torch.float), bins=8, min=0, max=len(urn))
    expected = len(drawn) / 8
    chi_squared = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_squared < 24.3, "seven degrees of freedom: 24.3 is passed once in a thousand"


def test_every_token_of_the_rare_range_is_reached_and_then_the_urn_is_empty(tokenizer: CLIPTokenizer) -> None:
    urn = ClipVocabulary(tokenizer).urns(1)[0]
    assert len(urn) > 400
    everything = rare_candidates(tokenizer, 1, seed=0, count=len(urn))
    assert sorted(c.token_ids[0] for c in everything) == urn
    with pytest.raises(ValueError, match=rf"gives only {len(urn)} identifiers"):
        rare_candidates(tokenizer, 1, seed=0, count=len(urn) + 1)


@pytest.mark.parametrize(
    ("length", "seed", "count", "complaint"),
    [(0, 0, 1, "length 0"), (4, 0, 1, "length 4"), (1, -1, 1, "seed -1"), (1, 0, 0, "count 0"), (3, 0, 99, "count 99")],
)
def test_bad_requests_are_refused(tokenizer: CLIPTokenizer, length: int, seed: int, count: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        rare_candidates(tokenizer, length, seed, count)


def test_another_kind_of_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\n[SEP]\n[PAD]\n[CLS]\n[MASK]\na\ndog\n")
    bert = transformers.BertTokenizer.from_pretrained(tmp_path)
    for refuse in (lambda: rare_candidates(bert, 1, 0), lambda: warnings_for("olt", bert)):
        with pytest.raises(ValueError, match=r"Bert.*not CLIP's.*by hand"):
            refuse()


def test_known_words_add_something_to_the_ranks(tokenizer: CLIPTokenizer) -> None:
    vocabulary = ClipVocabulary(tokenizer)
    for word in known_words():
        assert re.fullmatch("[a-z]{2,4}", word)
        assert not vocabulary.is_common(word), f"{word!r} has an early rank and needs no entry"
    for word in ("sks", "dog", "bmw", "nfl", "usa", "lol", "gpu", "elf", "orb", "jpg"):
        assert vocabulary.is_word(word)


def denoiser(tokenizer: CLIPTokenizer) -> tuple[EpsilonPredictor, nn.Embedding]:
    """A small conditional network on three fixed noises, and the embedding that its prompts go through."""
    torch.manual_seed(0)
    words = nn.Embedding(49408, 8)
    network = nn.Sequential(nn.Linear(8 + 12, 32), nn.SiLU(), nn.Linear(32, 12))
    noise = torch.randn(3, 12)

    @torch.no_grad()
    def answer(prompts: Sequence[str]) -> Tensor:
        conditioning = torch.stack([words(torch.tensor(ids(tokenizer, prompt))).sum(0) for prompt in prompts])
        pairs = torch.cat([conditioning[:, None].expand(-1, 3, -1), noise.expand(len(prompts), -1, -1)], dim=2)
        return network(pairs).unflatten(2, (3, 2, 2))

    return answer, words


def test_candidates_that_move_the_answer_less_come_first(tokenizer: CLIPTokenizer) -> None:
    candidates = rare_candidates(tokenizer, 1, seed=3, count=6)
    answer, words = denoiser(tokenizer)
    strength = dict(zip((c.token_ids[0] for c in candidates), (0.5, 0.01, 0.1, 1.0, 0.0, 0.05), strict=True))
    direction = torch.randn(8)
    for index, factor in strength.items():
        words.weight.data[index] = factor * direction
    ranked = rank_by_prior(candidates, "dog", answer)
    assert [strength[c.token_ids[0]] for c in ranked] == sorted(strength.values())
    assert ranked[0].prior == 0.0


def test_the_prior_is_the_mean_distance_of_the_answers(tokenizer: CLIPTokenizer) -> None:
    candidates = rare_candidates(tokenizer, 2, seed=3, count=4)
    answer, _ = denoiser(tokenizer)
    for candidate in rank_by_prior(candidates, "toy car", answer):
        with_it, without = answer([f"a {candidate.text} toy car"]), answer(["a toy car"])
        norms = [(with_it[0, i] - without[0, i]).square().sum().sqrt().item() for i in range(3)]
        assert candidate.prior == pytest.approx(sum(norms) / 3, rel=1e-5)


def test_half_precision_answers_are_compared_in_full_precision(tokenizer: CLIPTokenizer) -> None:
    candidates = rare_candidates(tokenizer, 1, seed=3, count=4)
    huge = torch.arange(5.0).view(5, 1, 1).mul(100).expand(5, 2, 10_000).half()
    assert [c.prior for c in rank_by_prior(candidates, "dog", lambda _: huge)] == pytest.approx([1e4, 2e4, 3e4, 4e4])


def test_unusable_answers_are_refused(tokenizer: CLIPTokenizer) -> None:
    candidates = rare_candidates(tokenizer, 1, seed=3, count=4)
    with pytest.raises(ValueError, match="NaN or infinity"):
        rank_by_prior(candidates, "dog", lambda prompts: torch.full((len(prompts), 2, 3), torch.nan))
    with pytest.raises(ValueError, match="5 prompts got 4 answers"):
        rank_by_prior(candidates, "dog", lambda prompts: torch.zeros(len(prompts) - 1, 2, 3))


def test_the_report_shows_every_candidate_and_the_choice() -> None:
    candidates = [Candidate("olt", (46252,), (45740,), 0.125), Candidate("zw", (43000,), (42488,), 2.5)]
    text = candidate_table(candidates, candidates[1], "dog")
    for word in ("olt", "46252", "45740", "0.125", "zw", "43000", "42488", "2.5", "a zw dog"):
        assert word in text
    assert [line.split()[1] for line in text.splitlines() if line.startswith(">")] == ["zw"]
    assert "not measured" in candidate_table([Candidate("olt", (46252,), (45740,))])


@pytest.mark.parametrize(
    ("identifier", "complaint"),
    [
        ("sks", "rifle"),
        ("SKS", "rifle"),
        ("dog", "'dog' is a word"),
        ("gpu", "'gpu' is a word"),
        ("fumble", "one token of 6 letters"),
        ("xqjzz", r"splits into letters \(x \+ q \+ j \+ zz\)"),
        ("zwx5", "digits"),
        ("a-b", "punctuation"),
        ("a_b", "punctuation"),
        ("Olt", "small letters"),
        ("hé", "outside a to z"),
        ("my dog", "spaces"),
    ],
)
def test_doubtful_identifiers_are_warned_about(tokenizer: CLIPTokenizer, identifier: str, complaint: str) -> None:
    warnings = warnings_for(identifier, tokenizer)
    assert any(re.search(complaint, warning) and repr(identifier) in warning for warning in warnings)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_what_the_lookup_draws_is_not_warned_about(tokenizer: CLIPTokenizer, length: int) -> None:
    for candidate in rare_candidates(tokenizer, length, seed=5, count=20):
        assert warnings_for(candidate.text, tokenizer) == ()


@settings(max_examples=50, deadline=None)
@given(identifier=st.text(min_size=1, max_size=12))
def test_any_text_gets_warnings_and_no_other_error(identifier: str) -> None:
    if identifier.strip():
        assert all(isinstance(warning, str) for warning in warnings_for(identifier, clip_tokenizer()))
    else:
        with pytest.raises(ValueError, match="is empty"):
            warnings_for(identifier, clip_tokenizer())
