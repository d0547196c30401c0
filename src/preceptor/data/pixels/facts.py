"""What the files of a data set were seen to hold: which depth, which range, and what a run makes of it."""

import threading
from dataclasses import dataclass, field

import numpy as np

from preceptor.data.pixels.rules import PixelRules
from preceptor.data.pixels.stored import StoredImage

_DARK = 13  # bits of 16: where no image uses more, 8 kept bits hold fewer than 32 levels


@dataclass
class _Kind:
    """Files of one kind: their number, the lowest and the highest value in them."""

    count: int = 0
    low: float = np.inf
    high: float = -np.inf


_Key = tuple[str, int, str]
"""Type of the values, channels, and what says which value is black and which white."""
Counted = tuple[dict[_Key, _Kind], dict[str, int]]
"""What was seen, as it passes between processes."""


_USUALLY = {
    "bits": "0 becomes black and the highest number of that many bits white",
    "floats": "floats are black at 0 and white at 1, and anything beyond is refused",
    "nothing": "signed and 32-bit values say nothing of black and white and are refused: set data.options.range="
    "[black, white], or data.options.percentiles=[0.5, 99.5]",
    "window": "black and white are those of each file's window",
}


def _black_and_white(stored: StoredImage) -> str:
    """What says which value is black and which white, where no option does."""
    if stored.window is not None:
        return "window"
    if stored.white is not None:
        return "bits"
    return "floats" if stored.values.dtype.kind == "f" else "nothing"


@dataclass
class FileFacts:
    """What was read so far, by kind. Safe to share between threads."""

    kinds: dict[_Key, _Kind] = field(default_factory=dict)
    about: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __reduce__(self) -> tuple[type["FileFacts"], tuple[()]]:
        return type(self), ()  # a copy in another process has seen nothing yet

    def note(self, stored: StoredImage) -> None:
        """Take one image into account."""
        values = stored.values if stored.alpha is None else np.delete(stored.values, stored.alpha, axis=2)
        low, high = (0.0, 255.0) if values.dtype == np.uint8 else (float(values.min()), float(values.max()))
        with self._lock:
            kind = self.kinds.setdefault((values.dtype.name, stored.values.shape[2], _black_and_white(stored)), _Kind())
            kind.count += 1
            kind.low, kind.high = min(kind.low, low), max(kind.high, high)
            if stored.about:
                self.about[stored.about] = self.about.get(stored.about, 0) + 1

    def taken(self) -> Counted:
        """What was seen, which is forgotten here."""
        with self._lock:
            found = self.kinds, self.about
            self.kinds, self.about = {}, {}
        return found

    def add(self, found: Counted) -> None:
        """Take into account what was seen elsewhere."""
        kinds, about = found
        with self._lock:
            for name, one in kinds.items():
                kind = self.kinds.setdefault(name, _Kind())
                kind.count += one.count
                kind.low, kind.high = min(kind.low, one.low), max(kind.high, one.high)
            for text, count in about.items():
                self.about[text] = self.about.get(text, 0) + count

    def lines(self, rules: PixelRules) -> tuple[str, ...]:
        """What is to be said of the files, and of what a run makes of them; nothing of 8-bit images alone."""
        if {name for name, _, _ in self.kinds} <= {"uint8"}:
            return self._on_pages()
        said = []
        for (name, channels, _), kind in sorted(self.kinds.items()):
            values = "values of 8 bits" if name == "uint8" else f"{name} values from {kind.low:g} to {kind.high:g}"
            said.append(f"{kind.count} images of {channels} channel{'s' * (channels != 1)} hold {values}")
        return (*said, *self._on_depth(rules), *self._on_pages())

    def suggested(self, rules: PixelRules) -> dict[str, int]:
        """Options of the source that keep the levels which a run would lose, by name."""
        high = self._highest_of_16(rules)
        if high is None or not 0 < high < 2**15:
            return {}
        return {"bits": max(8, int(high).bit_length())}

    def complaint(self, rules: PixelRules) -> str | None:
        """Why a run on these files is no use, and what to do: next to nothing is left of their levels."""
        high = self._highest_of_16(rules)
        if high is None or not 0 < high < 2**_DARK or rules.depth == 16:
            return None
        return (
            f"the files have 16 bits, but no value in them is above {high:g}: of 16 bits 8 are kept, value // 256, so "
            f"that {int(high) // 256 + 1} of 256 levels would remain.\nSet data.options.bits={int(high).bit_length()}, "
            "or data.options.range=[black, white], or data.options.percentiles=[0.5, 99.5]."
        )

    def _highest_of_16(self, rules: PixelRules) -> float | None:
        """The highest value, where all of 16 bits is taken for the range of files that have 16."""
        if rules.range or rules.percentiles or rules.bits:
            return None
        return max((kind.high for (name, _, _), kind in self.kinds.items() if name == "uint16"), default=None)

    def _on_depth(self, rules: PixelRules) -> tuple[str, ...]:
        if rules.range:
            how = f"{rules.range[0]:g} becomes black and {rules.range[1]:g} white, what lies beyond is cut off"
        elif rules.percentiles:
            how = f"the {rules.percentiles[0]:g} and {rules.percentiles[1]:g} percentiles of all become black and white"
        elif rules.bits:
            how = f"0 becomes black and {2**rules.bits - 1} white"
        else:
            how = "; ".join(_USUALLY[one] for one in sorted({one for _, _, one in self.kinds}))
        kept = f"{rules.depth} bits of each value are kept"
        if rules.depth == 8:
            kept += "; data.depth=16 keeps all"
        hint = self.suggested(rules)
        more = (
            (f"no value is above {self._highest_of_16(rules):g}: set data.options.bits={hint['bits']}",) if hint else ()
        )
        return (f"a run: {how}; {kept}", *more)

    def _on_pages(self) -> tuple[str, ...]:
        return tuple(f"{count} files: {about}" for about, count in sorted(self.about.items()))
