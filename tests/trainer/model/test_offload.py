"""What is not at work is not on the device. The device here is torch's meta device: it has all but the numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from dreambooth_nodes.trainer.model.base import Base
from dreambooth_nodes.trainer.model.offload import offload_to_file, on_device
from dreambooth_nodes.trainer.subject.subject import Subject
from dreambooth_nodes.trainer.training.encoded import encode_images, encode_prompts

META = torch.device("meta")


def places(base: Base) -> dict[str, set[str]]:
    return {name: {p.device.type for p in module.parameters()} for name, module in base.components().items()}


def test_encoding_has_one_component_on_the_device_and_none_afterwards(
    new_base: Callable[[], Base], subject: Subject
) -> None:
    base, seen = new_base().compute_on(META), []
    before = {name: parameter.clone() for name, parameter in base.vae.named_parameters()}
    for module in (base.text_encoders["text_encoder"], base.vae.encoder):
        module.register_forward_pre_hook(lambda *_: seen.append({n for n, p in places(base).items() if "meta" in p}))
    encode_prompts(base, ["a dog"], False)
    encode_images(base, subject.photos[:1], [0])
    assert seen == [{"text_encoder"}, {"vae"}]
    assert places(base) == {name: {"cpu"} for name in base.components()}
    assert all(torch.equal(parameter, before[name]) for name, parameter in base.vae.named_parameters())


def test_a_component_that_is_on_the_device_stays_there(new_base: Callable[[], Base]) -> None:
    base = new_base().compute_on(META)
    base.vae.to(META)
    with on_device(base, ["vae"]):
        pass
    assert places(base)["vae"] == {"meta"}


def test_memory_is_given_back_when_the_work_fails(new_base: Callable[[], Base]) -> None:
    base = new_base().compute_on(META)

    def fail(module: nn.Module, shown: object) -> None:
        raise MemoryError("as a device that is full")

    base.vae.decoder.register_forward_pre_hook(fail)
    with pytest.raises(MemoryError), on_device(base, ["vae"]):
        base.vae.decode(torch.zeros(1, 4, 8, 8, device=META))
    assert places(base)["vae"] == {"cpu"}


def test_what_is_let_go_is_in_its_file_alone_and_answers_as_before(new_base: Callable[[], Base]) -> None:
    base = new_base()
    before = encode_prompts(base, ["a dog"], False).conditioning
    offload_to_file(base, base.text_encoders)
    assert places(base) == {"denoiser": {"cpu"}, "text_encoder": {"meta"}, "vae": {"cpu"}}
    after = encode_prompts(base, ["a dog"], False).conditioning
    assert before and after and all(torch.equal(after[name], value) for name, value in before.items())
    assert places(base)["text_encoder"] == {"meta"}


def test_a_base_is_moved_without_what_was_let_go(new_base: Callable[[], Base]) -> None:
    base = new_base()
    offload_to_file(base, base.text_encoders)
    base.to(torch.device("cpu"))
    assert places(base)["text_encoder"] == {"meta"}
    assert encode_prompts(base, ["a dog"], False).conditioning["context"].device.type == "cpu"  # type: ignore[index]
