"""What the figures are, in words, below the main table."""

from __future__ import annotations

from collections.abc import Mapping

from ..measured_process import WARM_UP
from .materials import RANK

NOTE = f"""\
Toybase: one photo and one class image of 64 px a step, prior loss weight 1, AdamW at the same rate; LoRA of rank {RANK}
on attention's projections; no text encoder trained. Speed: after the first {WARM_UP} of {{steps}} steps, by the
progress bar of each side; median of {{rounds}} rounds, in which the sides run in turn, the order turned each time.
"Ours is faster by": median of the rounds' own ratios, lowest to highest. To the first step: from the process's start.
Peak memory: resident, of the whole process. Matrix peak and roofline: measured on this machine in this run, see below.

Ours and diffusers read the same folder, with toybase's VAE as it was trained (narrow). TrainLoraNode reads one file in
the original layout, in which the VAE is padded to SD 1.5's size, so ours is measured once more from that file beside
it. The node has no priors and takes two photos a step; it trains every convolution, linear layer, norm and bias, not
attention's projections alone; its first step is counted from the graph's start, in a ComfyUI that runs already. Our
full training on a CPU is started as the command line starts it, with glibc tuned (command_line/allocator.py), but not
the one whose phases are below.
"""


def note(steps: int, rounds: int, machine: Mapping[str, object]) -> str:
    """The words, and the machine."""
    facts = ", ".join(f"{name} {value}" for name, value in machine.items())
    return f"{NOTE.format(steps=steps, rounds=rounds)}\nMeasured with {facts}."
