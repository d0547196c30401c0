"""How scores and networks are called."""

from preceptor.report.reading.runs import CHOSEN, MAIN_METRIC, Run

METRIC_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "auroc": "AUROC",
    "ece": "ECE",
    "iou": "IoU",
    "iou_per_image": "IoU per image",
    "f1_per_image": "F1 per image",
    "fidelity.agreement": "agreement with T",
    "fidelity.kl": "KL to T",
    "fidelity.iou": "IoU with T",
    "fidelity.f1": "F1 with T",
}


def metric_name(metric: str) -> str:
    """A metric as it is printed."""
    return METRIC_NAMES.get(metric, metric)


def main_metric(task: str) -> str:
    """The score by which weights are chosen."""
    return MAIN_METRIC[task]


def network_name(network: str) -> str:
    """A network as a sentence calls it."""
    return "the chosen student" if network == CHOSEN else network


def architecture(run: Run, network: str) -> str:
    """A network as the recipe names it."""
    networks = run.recipe.get("networks") or {}
    students = networks.get("students") or []
    if network == "T":
        spec = networks.get("teacher")
    elif students and network[1:].isdigit() and int(network[1:]) <= len(students):
        spec = students[int(network[1:]) - 1]
    else:
        spec = networks.get("student")
    if not spec:
        return network
    return f"{spec['architecture']} on {spec['encoder']}" if spec.get("encoder") else str(spec["architecture"])
