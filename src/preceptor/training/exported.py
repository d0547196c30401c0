"""Scores of networks that a run has exported."""

from collections.abc import Mapping
from pathlib import Path

from preceptor.composed.committee import teachers_in
from preceptor.data.prepare import Prepared
from preceptor.errors import UserError
from preceptor.machine.fabric import make_fabric
from preceptor.measures.measure import Measures
from preceptor.networks.network import Network
from preceptor.training.evaluate import Evaluation, evaluate


def evaluate_networks(
    networks: Mapping[str, Network],
    prepared: Prepared,
    batch_size: int,
    *,
    measures: Measures,
    device: str = "auto",
    masks: Path | None = None,
    tolerance: float | None = None,
) -> Evaluation:
    """Evaluate the networks of a run on a test part: students as an ensemble too, and beside their teacher.

    Args:
        measures: what is scored.
        tolerance: of the surface Dice; without, outlines are not measured.
        masks: where every network's mask of every image is written, for segmentation.

    Raises:
        UserError: data with other classes.
    """
    for name, network in networks.items():
        classes = network.blueprint.classes
        if classes != prepared.packed.classes:
            hint = ".\nGive --map with a line `name in the data: name in the run` for each class of the data"
            raise UserError(
                f"network {name} was trained on classes {', '.join(classes)}; "
                f"this data has {', '.join(prepared.packed.classes)}"
                + (hint if prepared.packed.task == "classification" else "")
            )
    return evaluate(
        make_fabric(device),
        {**teachers_in(networks.get("T")), **networks},
        prepared,
        "test",
        measures=measures,
        teacher="T" if len(networks) > 1 and "T" in networks else None,
        students=[name for name in networks if name != "T"],
        batch_size=batch_size,
        masks=masks,
        tolerance=tolerance,
    )
