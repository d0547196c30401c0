"""Files of a user's own: those of the documentation, and small variations of them."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def example(page: str) -> str:
    """The Python example of a page."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)[0]


NETWORK = example("own-network.md")
SOURCE = example("own-source.md")
MASKS = """
from torch import nn


class Masks(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU())
        self.out = nn.Conv2d(16, num_classes, 1)

    def forward(self, images):
        return {"out": self.out(self.deep(self.down(images)))}
"""
