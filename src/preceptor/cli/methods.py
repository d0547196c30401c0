"""``preceptor methods``: what can be chosen by name, on the terminal and as a page of the documentation."""

from rich.table import Table
from rich.text import Text

from preceptor.knowledge import catalogue
from preceptor.screen import Screen
from preceptor.techniques import technique_rows

_PAGE = """\
# Techniques and knowledge losses

<!-- Written by `preceptor methods --markdown`; a test fails where the two differ. -->

Everything that a recipe can name. A technique is `technique.name`, its options stand beside it:

```yaml
technique: {name: kd_ml, strategy: diverse, temperature: 2.0}
```

A knowledge loss stands on an edge: in `technique.losses` from the teacher to every student, in `technique.hint`, or in
`technique.edges` of `graph` between any two networks. What a recipe leaves out is the published setting below: the
weight and the tap that is compared, the weight of the task loss where it is not 1, the epochs over which the weight
rises.

```yaml
technique:
  name: kd_offline
  losses:
    - {loss: kd, weight: 0.9, options: {temperature: 4.0}}
    - {loss: fitnet, student_tap: stage3}
```

FitNet's two stages: the students learn the hint alone, without their task, then the teacher's predictions.

```yaml
technique: {name: kd_offline, hint: {loss: fitnet}, hint_epochs: 20, losses: [{loss: kd}]}
```

A loss, technique, network, data source or measure of your own is named `path/to/module.py:Name`: see
[own-loss.md](own-loss.md), [own-technique.md](own-technique.md), [own-network.md](own-network.md),
[own-source.md](own-source.md) and [own-measure.md](own-measure.md).
"""


def print_methods() -> None:
    """Print the techniques and the knowledge losses: a line on each, then its tasks, options and source."""
    console = Screen(highlight=False)
    for title, rows in _tables().items():
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        for row in rows:
            name, summary, *details = row.items()
            lines = [f"{heading}: {value}" for heading, value in details if value]
            table.add_row(name[1], Text.assemble(summary[1], ("\n" + "\n".join(lines), "dim")))
        console.print(f"\n{title}\n", style="bold underline")
        console.print(table)


def methods_page() -> str:
    """``docs/methods.md``."""
    parts = [_PAGE]
    for title, rows in _tables().items():
        lines = [" | ".join(rows[0]), " | ".join("---" for _ in rows[0])]
        for row in rows:
            name, *others = (value.replace("|", "\\|") for value in row.values())
            lines.append(" | ".join([f"`{name}`", *others]))
        parts.append("\n".join([f"## {title}\n", *(f"| {line} |" for line in lines)]) + "\n")
    return "\n".join(parts)


def _tables() -> dict[str, list[dict[str, str]]]:
    return {"Techniques": technique_rows(), "Knowledge losses": catalogue.loss_rows()}
