"""A text that a page can say in another language is a text like any other here."""

from __future__ import annotations

import copy
import json

from dreambooth_nodes.trainer.wording import Wording, sentence_and_values


def test_it_is_its_sentence_with_the_values_in_it() -> None:
    said = Wording("{0} of {1}: {0}", "a{2}", "b")
    assert said == "a{2} of b: a{2}" and json.dumps(said) == '"a{2} of b: a{2}"'
    assert sentence_and_values(said) == ["{0} of {1}: {0}", "a{2}", "b"] == sentence_and_values(copy.deepcopy(said))


def test_another_text_is_a_sentence_without_values() -> None:
    assert sentence_and_values(Wording("all {photos}")) == ["all {photos}"] == sentence_and_values("all {photos}")
