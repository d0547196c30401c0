"""Fitting the operating points of a bundle, by the model that answers, on validation. Test is never read."""

from typing import Any

from preceptor.data.prepare import Prepared
from preceptor.deploy.contract import Contract
from preceptor.deploy.engines import Engine
from preceptor.deploy.held_out import validation_answers
from preceptor.deploy.points import to_json
from preceptor.errors import UserError
from preceptor.measures.not_worse import drawn_over
from preceptor.measures.points import FEWEST, fitted_points

MOST = 4096
"""Validation images on which they are fitted."""


def require_classes(contract: Contract, sensitivity: float | None, risk: float | None) -> None:
    """Refuse operating points for masks.

    Raises:
        UserError: they were asked for.
    """
    for option, value in (("--sensitivity", sensitivity), ("--abstain", risk)):
        if contract.has_masks and value is not None:
            raise UserError(f"{option} is for classes, and this network answers with masks; leave it out")


def points_facts(
    engine: Engine, contract: Contract, prepared: Prepared, sensitivity: float | None, risk: float | None
) -> dict[str, Any]:
    """The parts of ``bundle.json`` on operating points.

    Raises:
        UserError: no certainty is high enough for ``risk``.
    """
    if contract.has_masks:
        return to_json(None, contract.classes, "operating points are for classes, and this network answers with masks")
    frame, rows = prepared.packed.frame, prepared.rows["validation"]
    images = frame["parent"].iloc[rows].nunique() if "parent" in frame else len(rows)
    if images < FEWEST:
        note = f"validation has {images} images: no temperature and no threshold is fitted on fewer than {FEWEST}"
        return to_json(None, contract.classes, note)
    logits, labels, groups = validation_answers(engine, prepared, MOST)
    try:
        found = fitted_points(logits, labels, groups, sensitivity=sensitivity, risk=risk)
    except ValueError as error:
        raise UserError(f"--abstain {risk:g}: on validation, {error}; give a larger share, or leave it out") from None
    what = "images" if groups is None else f"{found.temperature.units} {drawn_over(groups, prepared.grouped_by)}"
    note = f"on {found.samples} validation samples; intervals by bootstrap over {what}"
    return to_json(found, contract.classes, note)
