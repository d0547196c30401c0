"""What a search tries: the values of one setting, as a list or a range."""

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import yaml

from preceptor.errors import UserError
from preceptor.yaml_text import NotYamlError, read_yaml

if TYPE_CHECKING:
    from optuna import Trial


@dataclass(frozen=True, slots=True)
class Over:
    """One setting to search over: ``choices`` by how they are written, or a range."""

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    def suggest(self, trial: "Trial") -> Any:
        """A value for a trial."""
        if self.choices:
            return self.value(trial.suggest_categorical(self.key, self.choices))
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)

    def value(self, choice: str) -> Any:
        """What one of the ``choices`` says."""
        return read_yaml(choice, f"--over {self.key}")


def parse_over(text: str) -> Over:
    """``key=a,b,c``, ``key=1..9``, ``key=0.1..0.9``, or ``key=1e-5..1e-2:log``.

    Raises:
        UserError: how to write it.
    """
    key, equals, values = text.partition("=")
    if not (key and equals and values):
        raise UserError(
            f"--over {text!r}: write it as key=a,b,c or key=low..high, for example training.lr=1e-4..1e-2:log"
        )
    if ".." not in values:
        choices = [
            yaml.safe_dump(one, default_flow_style=True).removesuffix("...\n").strip() for one in _list(key, values)
        ]
        if len(set(choices)) < len(choices):
            raise UserError(f"--over {key}: {values!r} names a value twice")
        return Over(key, tuple(choices))
    span, colon, word = values.partition(":")
    low, _, high = span.partition("..")
    try:
        whole = all(end.lstrip("+-").isdigit() for end in (low, high))
        over = Over(key, low=float(low), high=float(high), log=bool(colon), whole=whole)
    except ValueError:
        raise UserError(f"--over {key}: {span!r} is no range of numbers; write low..high") from None
    if colon and word != "log":
        raise UserError(f"--over {key}: {word!r} is no scale; write low..high:log, or low..high alone")
    if not (isfinite(over.low) and isfinite(over.high)):
        raise UserError(f"--over {key}: {span} has an end that is no finite number")
    if over.low >= over.high or (over.log and over.low <= 0):
        raise UserError(f"--over {key}: {span} wants low below high{', and low above 0 for log' if over.log else ''}")
    return over


def _list(key: str, text: str) -> list[Any]:
    try:
        found = read_yaml(f"[{text}]", f"--over {key}: {text!r} as a list")
    except NotYamlError:
        found = None
    if not isinstance(found, list):
        raise UserError(f"--over {key}: {text!r} is no list of YAML values; write key=a,b,c")
    return found
