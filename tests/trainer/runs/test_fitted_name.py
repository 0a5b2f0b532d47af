"""A name that nobody typed is made to fit; one that was typed is checked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreambooth_nodes.trainer.runs.personalized import FileNameError, checked_name, fitted_name


@given(st.text(max_size=150))
def test_every_folders_name_is_made_to_fit(name: str) -> None:
    assert checked_name(fitted_name(name)) == fitted_name(name)


@given(st.from_regex(r"[a-z]([a-z ._-]{0,20}[a-z])?", fullmatch=True))
def test_a_name_that_fits_stays_as_it_is(name: str) -> None:
    try:
        assert fitted_name(checked_name(name)) == name
    except FileNameError:
        assert fitted_name(name) != name


@pytest.mark.parametrize(
    ("name", "fitted"),
    [
        ("プードル" * 10, "プードル" * 8 + "プ"),
        ('my "best" dog', "my _best_ dog"),
        ("a/b:c", "a_b_c"),
        ("  dog. ", "dog"),
        ("CON", "_CON"),
        ("nul.photos", "_nul.photos"),
        (".hidden", "hidden"),
        ("", "dog"),
        ("???", "dog"),
        ("é" * 80, "é" * 50),
        ("caf\udce9", "caf_"),
    ],
)
def test_the_rest_of_a_name_is_kept(name: str, fitted: str) -> None:
    assert fitted_name(name, "dog") == fitted
