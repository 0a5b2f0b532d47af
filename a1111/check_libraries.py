"""Whether training can be loaded and an adapter trained: `python check_libraries.py LIBRARIES`, as for launch_child.py.

Status 0 if so; else the traceback says what does not fit.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def train_an_adapter() -> None:
    """One backward pass through an adapted text encoder of a few numbers."""
    import torch
    from peft import LoraConfig, inject_adapter_in_model
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    encoder = CLIPTextModel(CLIPTextConfig(vocab_size=8, bos_token_id=0, eos_token_id=1, pad_token_id=1, **sizes))
    inject_adapter_in_model(LoraConfig(r=1, target_modules=["q_proj"]), encoder)
    encoder(torch.zeros(1, 2, dtype=torch.long)).last_hidden_state.square().mean().backward()
    trained = [name for name, weight in encoder.named_parameters() if weight.grad is not None]
    if not trained or not all("lora_" in name for name in trained):
        raise RuntimeError(f"peft adapts {trained}")


if __name__ == "__main__":
    runpy.run_path(str(HERE / "launch_child.py"), run_name="dreambooth_launcher")["put_first"](sys.argv[1])
    package = runpy.run_path(str(HERE.parent / "__main__.py"), run_name="dreambooth_loader")["load_package"]()
    importlib.import_module(f"{package.__name__}.command_line.teaching")
    train_an_adapter()
