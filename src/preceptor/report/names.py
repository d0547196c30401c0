"""How scores and networks are called."""

from preceptor.report.reading.runs import CHOSEN, RunRecord


def network_name(network: str) -> str:
    """A network as a sentence calls it."""
    return "the chosen student" if network == CHOSEN else network


def architecture_in_recipe(run: RunRecord, network: str) -> str:
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
