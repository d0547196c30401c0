"""How a bundle decides: temperature, threshold and least certainty, as ``bundle.json`` has them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from preceptor.measures import Interval
from preceptor.measures.points import OperatingPoints


@dataclass(frozen=True, slots=True)
class Points:
    """What an answer depends on besides the logits.

    Args:
        temperature: by which logits are divided before the softmax.
        threshold: probability from which on the second of two classes is decided; None for the largest probability.
        least: certainty below which an answer is marked as one not to be relied on.
    """

    temperature: float = 1.0
    threshold: float | None = None
    least: float | None = None

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """What ``bundle.json`` says."""
        thresholds, abstention = facts["thresholds"], facts["abstention"]
        return cls(
            float(facts["temperature"]),
            None if thresholds is None or thresholds["decides"] is None else float(thresholds["decides"]),
            None if abstention is None else float(abstention["least_certainty"]),
        )


NONE = Points()
"""Where none were fitted."""


def to_json(found: OperatingPoints | None, classes: Sequence[str], note: str) -> dict[str, Any]:
    """The parts of ``bundle.json`` on operating points.

    Args:
        note: why there are none, or on what they were fitted.
    """
    if found is None:
        return {"temperature": 1.0, "thresholds": None, "abstention": None, "fitted": {"note": note}}
    by_class = [
        {
            "class": name,
            "threshold": _interval(point.threshold),
            "sensitivity": _interval(point.sensitivity),
            "specificity": _interval(point.specificity),
            "positives": point.positives,
            "negatives": point.negatives,
        }
        for name, point in zip(classes, found.classes, strict=False)
    ]
    abstention = found.abstention
    return {
        "temperature": found.temperature.value,
        "thresholds": {"rule": found.rule, "decides": found.threshold, "by_class": by_class} if by_class else None,
        "abstention": abstention
        and {
            "wanted_risk": abstention.wanted,
            "least_certainty": abstention.least,
            "coverage": _interval(abstention.coverage),
            "risk": _interval(abstention.risk),
            "curve": [list(point) for point in abstention.curve],
        },
        "fitted": {"images": found.samples, "temperature": _interval(found.temperature), "note": note},
    }


def _interval(found: Interval) -> dict[str, float]:
    return asdict(found)
