"""The loop for cohorts of one's own: it learns, it resumes exactly, it refuses what is another training."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import preceptor as pc
from preceptor.errors import NonFiniteLossError, UserError

from .nets import Small

IMAGES, LABELS = torch.rand(14, 3, 12, 12, generator=torch.Generator().manual_seed(0)), torch.arange(14) % 3


class Noisy(Dataset):
    """Images that are changed by every global generator."""

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, place):
        return IMAGES[place] + random.random() + np.random.rand() + torch.rand(()), LABELS[place]


def start(*, own=False, lr=0.01, **more):
    """A new cohort with its loaders, as another process would make it."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    cohort = pc.Cohort(
        {"T": pc.frozen(Small(5)), "A": Small(4)},
        [pc.teach("T", "A", pc.SoftTarget(4)), pc.teach("T", "A", pc.FitNet(), tap="body.2")],
        nn.CrossEntropyLoss(),
    )
    generator = torch.Generator().manual_seed(7) if own else None
    train = DataLoader(Noisy(), batch_size=4, shuffle=True, generator=generator)
    valid = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=5)
    return cohort, lambda epochs, folder=None: pc.fit(cohort, train, valid, epochs=epochs, lr=lr, folder=folder, **more)


@pytest.mark.parametrize("own", [False, True])
def test_a_resumed_training_is_the_same_to_the_bit(tmp_path, own):
    whole, fit = start(own=own)
    expected = fit(4)
    _, fit = start(own=own)
    fit(2, tmp_path)
    resumed, fit = start(own=own)
    random.seed(99)
    assert fit(4, tmp_path) == expected
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_folder_has_the_weights_of_ones_own_modules(tmp_path):
    cohort, fit = start()
    history = fit(3, tmp_path)
    last = torch.load(tmp_path / "A" / "last.pt", weights_only=True)
    assert all(torch.equal(value, cohort.learners["A"].state_dict()[name]) for name, value in last.items())
    twin = Small(4).eval()
    twin.load_state_dict(torch.load(tmp_path / "A" / "best.pt", weights_only=True))
    accuracy = (twin(IMAGES).argmax(1) == LABELS).double().mean().item()
    assert accuracy == pytest.approx(max(row["A/accuracy"] for row in history))
    assert not (tmp_path / "T").exists()


def test_what_is_over_is_not_trained_again(tmp_path):
    _, fit = start()
    history = fit(1, tmp_path)
    cohort, fit = start()
    assert fit(1, tmp_path) == history
    assert torch.equal(cohort.learners["A"].head.bias, torch.load(tmp_path / "A" / "last.pt")["head.bias"])


def test_another_training_is_refused(tmp_path):
    start()[1](1, tmp_path)
    for other, words in [({"lr": 0.1}, "lr 0.01, this one has 0.1"), ({"optimizer": "sgd"}, "optimizer 'adamw'")]:
        with pytest.raises(UserError, match=words):
            start(**other)[1](2, tmp_path)
    with pytest.raises(UserError, match="0 generators, these have 1"):
        start(own=True)[1](2, tmp_path)


def test_arguments_and_batches_that_cannot_be():
    cohort, _ = start()
    with pytest.raises(UserError, match="optimizer='lion'"):
        pc.fit(cohort, [], epochs=1, optimizer="lion")
    with pytest.raises(UserError, match="gave no batch"):
        pc.fit(cohort, [], epochs=1)
    with pytest.raises(UserError, match=r"\(images, targets\)"):
        pc.fit(cohort, [IMAGES], epochs=1)
    with pytest.raises(NonFiniteLossError, match="A/task"):
        pc.fit(cohort, [(IMAGES * torch.nan, LABELS)], epochs=1)


def test_workers_that_persist_are_spoken_of(tmp_path):
    cohort, _ = start()
    loader = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=7, num_workers=1, persistent_workers=True)
    said = []
    pc.fit(cohort, loader, epochs=1, folder=tmp_path, note=said.append)
    assert ["workers persist" in line for line in said] == [True]
