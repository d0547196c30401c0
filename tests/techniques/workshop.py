"""Making the networks of a plan in tests."""

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.instantiate import Workshop


def workshop(*classes, task="classification", seed=0):
    """For images of 32 pixels."""
    return Workshop(task=task, classes=classes or ("a", "b", "c"), image_size=(32, 32), seed=seed)


def made(stage, shop):
    """The networks of a stage, as a run makes them."""
    networks = {}
    for name, member in stage.members.items():
        networks[name] = shop.network(member.network, [networks[one] for one in member.builds_on])
        if not member.trains:
            networks[name].freeze()
    return networks


def cohort_of(stage, task_loss):
    """Of a stage of classifiers of three classes; a teacher is as it was built."""
    shop = workshop()
    return Cohort(
        task="classification",
        networks=made(stage, shop),
        transfers=shop.transfers(stage.edges),
        task_loss=task_loss,
        task_weights={name: member.task_weight for name, member in stage.members.items()},
        facts=DataFacts(classes=3, batch_size=4),
    )
