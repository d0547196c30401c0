"""The numbers of one score of one method: mean, deviation, seeds, interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from preceptor.verify.answers import CHOSEN, RunRead, Said, UnknownError, Whole, groups_of
from preceptor.verify.class_scores import CLASSES
from preceptor.verify.intervals import ends, seeds_resampled
from preceptor.verify.mask_scores import mask_score
from preceptor.verify.score import Score
from preceptor.verify.written import Method, Written


@dataclass(frozen=True, slots=True)
class Number:
    """A value in the units of the table, and by how much what is kept may have changed it."""

    value: float | None
    slack: float = 0.0


@dataclass(eq=False)
class Numbers:
    """Computes what a cell should say; each score once."""

    written: Written
    _known: dict[tuple[str, str, str], Mapping[str, Number]] = field(default_factory=dict)

    def score(self, key: str) -> Score:
        """The definition of a score.

        Raises:
            UnknownError: there is none here.
        """
        if key in self.written.own:
            raise UnknownError("a measure of the user's own: its file is not run")
        if self.written.task == "features":
            raise UnknownError("measured on the networks: no label was read, and predictions/ keeps no features")
        if self.written.task == "segmentation":
            return mask_score(key, self.written.classes)
        if key not in CLASSES:
            raise UnknownError("a measure that is not known here, such as one of the user's own")
        return CLASSES[key]

    def of(self, method: Method, network: str, key: str) -> Mapping[str, Number]:
        """Mean, ±, seeds, low, high by the ending of their column; empty where no seed has the network.

        Raises:
            UnknownError: why not.
        """
        place = (str(id(method)), network, key)
        if place not in self._known:
            self._known[place] = self._computed(method, network, key)
        return self._known[place]

    def values(self, method: Method, network: str, key: str) -> list[float]:
        """The score of each seed that has it, as a share."""
        score = self.score(key)
        return [value for said in method.said(network) if (value := score.whole(said)) is not None]

    def _computed(self, method: Method, network: str, key: str) -> Mapping[str, Number]:
        score, said = self.score(key), method.said(network)
        factor = 100.0 if score.is_share else 1.0
        values = [value for one in said if (value := score.whole(one)) is not None]
        if not values:
            return {}
        slack = factor * max(score.slack(one) for one in said)
        deviation = factor * float(np.std(values, ddof=1)) if len(values) > 1 else None
        found = {"": Number(factor * float(np.mean(values)), slack), "±": Number(deviation, 2 * slack)}
        found["seeds"] = Number(float(len(values)))
        every = [whole.said(network) for whole in method.seeds.values()]
        if score.columns and all(score.whole(one) is not None for one in every):
            low, high = self.interval(method, every, score)
            found |= {"low": Number(factor * low, 2 * slack), "high": Number(factor * high, 2 * slack)}
        return found

    @staticmethod
    def interval(method: Method, said: Sequence[Said], score: Score) -> tuple[float, float]:
        """The bootstrap interval of the mean over seeds."""
        point, again, _ = seeds_resampled(said, score, lambda ids: groups_of(list(method.seeds.values()), ids))
        return ends(point, again, is_mirrored=score.is_mirrored)


def on_validation(whole: Whole, network: str, score: Score) -> float:
    """The score on validation, the mean over folds."""
    found = [score.whole(fold.said(network, "validation")) for fold in whole.folds]
    known = [value for value in found if value is not None]
    if len(known) < len(found):
        raise UnknownError("undefined on validation")
    return float(np.mean(known))


def singles(run: RunRead) -> list[str]:
    """The networks of a run that answered for validation, ensembles apart."""
    found = run.part("validation")
    if not found:
        raise UnknownError("predictions/validation.csv is not there")
    return [name for name in found if not name.startswith("ensemble") and name != CHOSEN]
