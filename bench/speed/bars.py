"""What the project has set itself, beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .comparison import Line
from .contenders import KOHYA, NODE, OURS, THEIRS
from .real_size import LORA_2, LORA_8, SDXL_FULL, SDXL_LORA, RealResult

TIMES, AIM = 2.0, 3.0
KOHYA_TIMES = 1.3
ROOFLINE, MATRIX = 0.6, 0.45
AGAINST = (("lora", THEIRS), ("full", THEIRS), ("lora", NODE))


@dataclass(frozen=True)
class Bar:
    """verdict: yes, no, or not measured."""

    text: str
    measured: str
    verdict: str


def bars(lines: Sequence[Line], real: Sequence[RealResult]) -> list[Bar]:
    """Every bar. lines: of toybase on the CPU."""
    cpu = [line for line in lines if line.device == "cpu"]
    gpu = {result.name: result for result in real}
    of = {name: gpu[name].lines if name in gpu else [] for name in (LORA_2, LORA_8, SDXL_LORA, SDXL_FULL)}
    return [
        *(bar for method, rival in AGAINST for bar in _against(cpu, method, rival)),
        _faster(f"{LORA_2}: at least {TIMES:g} times diffusers", of[LORA_2], THEIRS, TIMES),
        _faster(f"{LORA_2}: at least {KOHYA_TIMES:g} times kohya", of[LORA_2], KOHYA, KOHYA_TIMES),
        _share(f"{LORA_8}: at least {ROOFLINE:.0%} of the roofline", of[LORA_8], "of_roofline", ROOFLINE),
        _share(f"{LORA_8}: {MATRIX:.0%} of the matrix peak (stretch)", of[LORA_8], "of_matrix", MATRIX),
        *(_fits(name, gpu.get(name)) for name in (SDXL_LORA, SDXL_FULL)),
    ]


def _against(lines: Sequence[Line], method: str, rival: str) -> list[Bar]:
    own = [line for line in lines if line.method == method]
    said = f"CPU, {method}: "
    return [
        _faster(f"{said}at least {TIMES:g} times {rival}", own, rival, TIMES),
        _faster(f"{said}{AIM:g} times {rival} (aim)", own, rival, AIM),
        _smaller(f"{said}less memory than {rival}", own, rival),
    ]


def _faster(text: str, lines: Sequence[Line], rival: str, times: float) -> Bar:
    ratio = next((line.ratio for line in lines if line.contender == rival and line.ratio), None)
    return _bar(text, None if ratio is None else (f"{ratio[0]:.2f}", ratio[0] >= times))


def _smaller(text: str, lines: Sequence[Line], rival: str) -> Bar:
    memory = {line.contender: line.peak_memory for line in lines}
    against = next((line.against for line in lines if line.contender == rival), "")
    if rival not in memory:
        return _bar(text, None)
    ours, theirs = memory[against], memory[rival]
    return _bar(text, (f"{ours / 2**20:.0f} against {theirs / 2**20:.0f} MiB", ours < theirs))


def _share(text: str, lines: Sequence[Line], of: str, least: float) -> Bar:
    share = next((getattr(line, of) for line in lines if line.contender == OURS), None)
    return _bar(text, None if share is None else (f"{share:.0%}", share >= least))


def _fits(name: str, result: RealResult | None) -> Bar:
    """The process was held to the limit, so a row that has lines has fitted."""
    if result is None or (not result.lines and result.failure.startswith("not measured")):
        return _bar(name, None)
    device = next((line.device_memory for line in result.lines if line.device_memory is not None), None)
    measured = result.failure or (f"{device / 2**20:.0f} MiB" if device is not None else "ran")
    return _bar(name, (measured, bool(result.lines)))


def _bar(text: str, found: tuple[str, bool] | None) -> Bar:
    if found is None:
        return Bar(text, "", "not measured")
    return Bar(text, found[0], "yes" if found[1] else "no")
