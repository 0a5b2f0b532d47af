"""The figures as Markdown and JSON, the curve as a plot, the pictures as a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from .cell import Cell
from .findings import Finding
from .lines import COLUMNS, Line
from .prompts import Prompt

HEADER = (
    "| row | likeness | prompt following | PRES ↓ | DIV | class accuracy | trained | file | seconds |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
NOTE = """\
Means over {subjects}; {prompts} prompts x {seeds} seeds a subject, {class_pictures} pictures of `a [noun]`; in
brackets 95% bootstrap intervals. Likeness: mean cosine to the subject's photos. Prompt following: {prompt_following}.
PRES: likeness of `a [noun]` to the subject. DIV: mean distance between pictures of `a [noun]`. File: of ours, what
the host loads (a full one is a whole checkpoint); of others, what their scripts save. Seconds: ours encode and step,
others' step. Real photos among themselves: likeness {real:.3f}. One training of one seed a cell: intervals are over
pictures, not over trainings. Scorer: {scorer}.
"""


def table(lines: Sequence[Line]) -> str:
    """The rows in Markdown."""
    return "\n".join([HEADER, *(_row(line) for line in lines)])


def table_by_kind(lines: Sequence[Line], prompts: Sequence[Prompt]) -> str:
    """Prompt following by kind of prompt, in Markdown."""
    kinds = list(dict.fromkeys(prompt.kind for prompt in prompts))
    rows = [f"| {' | '.join([line.name, *map(str, line.following(prompts).values())])} |" for line in lines]
    return "\n".join([f"| prompt following | {' | '.join(kinds)} |", f"|---|{'---|' * len(kinds)}", *rows])


def claims(found: Sequence[Finding]) -> str:
    """The findings in Markdown."""
    rows = [f"| {f.claim} | {f.measured} | {f.holds if f.holds == 'yes' else f'**{f.holds}**'} |" for f in found]
    return "\n".join(["| claim | measured (paired, 95% interval) | holds |", "|---|---|---|", *rows])


def record(lines: Sequence[Line], found: Sequence[Finding], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything, ready for JSON."""
    rows = [
        {
            "row": line.name,
            "scorer": line.scorer,
            "subjects": [cell.subject for cell in line.cells],
            **{column: asdict(line.mean(column)) for column in COLUMNS},
            "curve": line.curve(),
            "cost": [asdict(cell.cost) if cell.cost else None for cell in line.cells],
        }
        for line in lines
    ]
    return {"facts": facts, "rows": rows, "findings": [asdict(f) for f in found]}


def plot(lines: Sequence[Line], real: float, file: Path) -> None:
    """Likeness against prompt following, a point a look, a line a row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    for line in lines:
        steps, prompt_following, likeness = zip(*line.curve(), strict=True)
        axes.plot(prompt_following, likeness, marker="o", linewidth=1.5, label=line.name)
        for x, y, step in zip(prompt_following, likeness, steps, strict=True):
            axes.annotate(str(step), (x, y), textcoords="offset points", xytext=(5, 4), fontsize=7, color="#777777")
    axes.axhline(real, color="#999999", linestyle="--", linewidth=1, label="real photos")
    axes.set_xlabel("prompt following")
    axes.set_ylabel("likeness")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    part = file.with_suffix(".part.png")
    figure.savefig(part, dpi=130)
    part.replace(file)


def contact_sheet(cells: Sequence[Cell], prompts: Sequence[str], side: int) -> Image.Image:
    """A line a cell: two pictures of each of its first prompts, under the prompts."""
    shown = min(6, len(prompts))
    left, top, cell_side, gap = 230, 40, 72, 3
    width = left + shown * (2 * (cell_side + gap) + 8)
    sheet = Image.new("RGB", (width, top + len(cells) * (cell_side + gap)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, prompt in enumerate(prompts[:shown]):
        pen.text((left + column * (2 * (cell_side + gap) + 8), 14), prompt, "black", font)
    for line, cell in enumerate(cells):
        y = top + line * (cell_side + gap)
        pen.text((6, y + 18), f"{cell.row}\n{cell.subject}", "black", font)
        grid = Image.open(cell.pictures)
        for column in range(shown):
            for seed in range(2):
                box = (seed * side, column * side, (seed + 1) * side, (column + 1) * side)
                picture = grid.crop(box).resize((cell_side, cell_side), Image.Resampling.BICUBIC)
                sheet.paste(picture, (left + column * (2 * (cell_side + gap) + 8) + seed * (cell_side + gap), y))
    return sheet


def _row(line: Line) -> str:
    costs = [cell.cost for cell in line.cells if cell.cost]
    paid = ["", "", ""]
    if costs:
        size = sum(c.file_size for c in costs) / len(costs) / 1e6
        paid = [f"{costs[0].share:.2%}", f"{size:.2f} MB", f"{sum(c.seconds for c in costs) / len(costs):.0f}"]
    return f"| {' | '.join([line.name, *(str(line.mean(column)) for column in COLUMNS), *paid])} |"
