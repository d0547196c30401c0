"""Commands and links of README and the documentation."""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = ("preceptor", "make", "pip", "uv", "python", "torchrun", "ray")
_NEEDS = re.compile(r"<!-- needs: (.+?) -->")
_PAGE_NEEDS = re.compile(r"<!-- page needs: (.+?) -->")


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Args:
        language: what stands after the fence; ``indented`` without one.
        needs: what its commands want that tests have not, as the page says.
    """

    page: Path
    line: int
    language: str
    text: str
    needs: str = ""

    @property
    def commands(self) -> list[list[str]]:
        """The words of every command in it, without comments and prompts."""
        if self.language in ("python", "yaml", "text"):  # text is what was printed
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        split = (_words(line) for line in lines)
        return [words for words in split if words and words[0] in PROGRAMS]


def _words(line: str) -> list[str]:
    line = re.sub(r"^\s*(?:\w+=\S+\s+)*", "", line)  # variables before a command
    if not line.startswith(PROGRAMS):
        return []
    return shlex.split(line, comments=True)


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """Fenced and indented blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    whole = found[1] if (found := _PAGE_NEEDS.search(text)) else ""
    made = []
    fence = re.compile(r"^```(\w*)\n(.*?)^```$|((?:^    \S.*\n(?:^\n(?=    \S))?)+)", re.DOTALL | re.MULTILINE)
    for match in fence.finditer(text):
        before = text[: match.start()].rstrip().splitlines()
        marker = _NEEDS.search(before[-1]) if before else None
        needs = marker[1] if marker else whole
        indented = match[3] is not None
        body = re.sub(r"^    ", "", match[3], flags=re.MULTILINE) if indented else match[2]
        language = "indented" if indented else match[1]
        made.append(Block(page, text[: match.start()].count("\n") + 1, language, body, needs))
    return tuple(made)


def named(page: Path) -> str:
    """A page as tests call it."""
    return str(page.relative_to(ROOT))
