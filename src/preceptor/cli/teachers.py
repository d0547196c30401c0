"""``preceptor teachers``: the foundation models that a recipe can name."""

from rich.table import Table

from preceptor.networks.presets import PRESETS, Preset
from preceptor.screen import Screen

_USE = """\
In a recipe: networks.teacher: {architecture: NAME, weights: FILE OR FOLDER}. Files come from https://huggingface.co;
a gated one is given after agreeing to its terms there. Licences are those that the host states; a distilled student may
fall under its teacher's. docs/teachers.md says more."""

_POOLED = {"cls": "class token", "cls+mean": "class token, mean of patches"}


def print_teachers() -> None:
    """Print a row of facts for each."""
    console = Screen(highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for preset in PRESETS.values():
        table.add_row(preset.name, "\n".join(_facts(preset)))
    console.print(table)
    console.print(f"\n{_USE}")


def _facts(preset: Preset) -> list[str]:
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (preset.mean, preset.std))
    return [
        f"{preset.repository}, {preset.file}: {preset.access}, {preset.licence}",
        f"{preset.parameters}M parameters, embedding of {preset.embedding_width} ({_POOLED[preset.pooling]}), "
        f"images of {preset.size} px, patches of {preset.patch} px, {preset.registers} registers",
        f"mean {mean}, std {std}; {preset.source}",
        *([preset.remark] if preset.remark else []),
    ]
