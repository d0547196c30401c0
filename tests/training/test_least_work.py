"""What runs share is done once: every answer of a frozen teacher, every update of one that learns, every batch."""

from collections import Counter

import pytest
from torch.optim.optimizer import register_optimizer_step_post_hook

from preceptor.cohort.frozen import FixedSize
from preceptor.data import loading
from preceptor.data.prepare import prepare
from preceptor.plan.merge import unshared
from preceptor.training import run
from preceptor.training.planning import workshop_of
from preceptor.training.together import train_together

from .phantoms import BATCH, recipe_for

SEEDS, EPOCHS, VIEWS, IMAGES, STEPS = (0, 1), 2, 1, 36, 5
TINY = {"architecture": "test_resnet", "weights": "none"}
STRATEGIES = ("predictions", "diverse")


class Counts:
    """(frozen teacher, row, view) asked for, updates by online teacher, images that were made."""

    def __init__(self):
        self.asked, self.updates, self.made = Counter(), Counter(), 0


@pytest.fixture
def counts(monkeypatch):
    found, online = Counts(), {}
    ask, augment, fit = FixedSize.__call__, loading.augment, run.train_stage

    def asking(self, name, network, batch, epoch):
        found.asked.update((name, row, batch.view) for row in batch.rows.tolist())
        return ask(self, name, network, batch, epoch)

    def augmenting(images, *more, **options):
        found.made += len(images)
        return augment(images, *more, **options)

    def place(parameter):  # the optimiser may have views of parameters
        return parameter.data_ptr()

    def noting(fabric, stage, cohort, *more, **options):
        online.clear()
        online.update({place(next(one.parameters())): n for n, one in cohort.learners.items() if unshared(n) == "T"})
        return fit(fabric, stage, cohort, *more, **options)

    def updated(optimizer, *more):
        places = [place(p) for group in optimizer.param_groups for p in group["params"]]
        found.updates.update(online[one] for one in places if one in online)

    monkeypatch.setattr(FixedSize, "__call__", asking)
    monkeypatch.setattr(loading, "augment", augmenting)
    monkeypatch.setattr(run, "train_stage", noting)
    handle = register_optimizer_step_post_hook(updated)
    yield found
    handle.remove()


def recipe(technique, strategy, cache, seed, **options):
    found = recipe_for(
        "classification",
        {"name": technique, "strategy": strategy, "adapter": "always", **options},
        cache,
        split={"seed": 0},
        augment={"transpose": True, "views": VIEWS},
        networks={"count": 2, "teacher": TINY, "student": TINY},
        training={"epochs": EPOCHS},
    )
    return found.model_copy(update={"seed": seed})


@pytest.fixture
def teacher(tmp_path):
    """A frozen teacher that bears the convolution inside; that it has learned nothing does not matter here."""
    online = recipe("kd_online", "features", tmp_path, 0)
    shop = workshop_of(online, prepare(online))
    shop.network(online.plan().stages[0].members["T"].network).save(tmp_path / "teacher")
    return str(tmp_path / "teacher")


def test_cells_and_seeds_do_what_they_share_once(tmp_path, teacher, counts):
    """Four cells and eight students a seed, one view again and again: as one cohort they cost what one cell does."""
    for seed in SEEDS:
        runs = {
            tmp_path / f"{name}-{strategy}-{seed}": recipe(name, strategy, tmp_path, seed, **options)
            for name, options in (("kd_offline", {"teacher": teacher}), ("kd_online", {}))
            for strategy in STRATEGIES
        }
        train_together(runs, tmp_path / f"shared-{seed}", device="cpu")
    assert len({name for name, *_ in counts.asked}) == 1
    assert len(counts.asked) == IMAGES * VIEWS
    again = len(SEEDS) * BATCH["classification"]  # the first batch that is read is computed too, to compare
    assert counts.asked.total() == len(SEEDS) * IMAGES * VIEWS + again
    assert list(counts.updates.values()) == [len(SEEDS) * EPOCHS * STEPS]
    assert counts.made == len(SEEDS) * EPOCHS * IMAGES
