"""``preceptor recipes``."""

from preceptor.shipped import ShippedKind, described_files
from preceptor.streams import say

_TITLES: dict[ShippedKind, str] = {
    "recipes": "Recipes: preceptor train NAME",
    "studies": "Studies: preceptor study NAME --scale small",
}


def deviations_page() -> str:
    """``docs/deviations.md``."""
    from preceptor.study.deviations import deviations_page

    return deviations_page()


def print_shipped() -> None:
    """Print the shipped recipes and studies, a line on each, and how one is run."""
    for kind, title in _TITLES.items():
        found = described_files(kind)
        say(title)
        for name, sentence in found.items():
            say(f"  {name:{max(map(len, found))}}  {sentence}")
