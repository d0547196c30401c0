"""The loop for cohorts of one's own: it learns, it resumes exactly, it refuses what is another training."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import preceptor as pc
from preceptor.errors import NonFiniteLossError, UserError
from preceptor.face.loader_randoms import LoaderRandoms

from .nets import Small

IMAGES, LABELS = torch.rand(14, 3, 12, 12, generator=torch.Generator().manual_seed(0)), torch.arange(14) % 3


class Noisy(Dataset):
    """Images that are changed by every global generator, and by one of its own."""

    def __init__(self, rng=None):
        self.rng = rng

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, place):
        noise = random.random() + np.random.rand() + torch.rand(())
        return IMAGES[place] + noise + (self.rng.random() if self.rng else 0), LABELS[place]


class Late(Noisy):
    """It makes its generator when it is first asked."""

    def __getitem__(self, place):
        self.rng = self.rng or np.random.default_rng(5)
        return super().__getitem__(place)


class Dropping(Small):
    """It draws from a generator of its own."""

    def __init__(self, width):
        super().__init__(width)
        self.rng = np.random.default_rng(3)

    def forward(self, images):
        return super().forward(images + self.rng.random())


def start(data=Noisy, *, own=False, lr=0.01, probe=None, **more):
    """A new cohort with its loaders, as another process would make it."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    cohort = pc.Cohort(
        {"T": pc.frozen(Small(5)), "A": Dropping(4) if own else Small(4)},
        [pc.teach("T", "A", pc.SoftTarget(4)), pc.teach("T", "A", pc.FitNet(), tap="body.2")],
        nn.CrossEntropyLoss(),
        probe=probe,
    )
    generator = torch.Generator().manual_seed(7) if own else None
    rng = np.random.default_rng(2) if own else None
    train = DataLoader(data(rng), batch_size=4, shuffle=True, generator=generator)
    valid = DataLoader(data(random.Random(8)) if own else TensorDataset(IMAGES, LABELS), batch_size=5)
    return cohort, lambda epochs, folder=None: pc.fit(cohort, train, valid, epochs=epochs, lr=lr, folder=folder, **more)


@pytest.mark.parametrize("own", [False, True])
def test_a_resumed_training_is_the_same_to_the_bit(tmp_path, own, capsys):
    whole, fit = start(own=own)
    expected = fit(4)
    _, fit = start(own=own)
    fit(2, tmp_path)
    resumed, fit = start(own=own)
    random.seed(99)
    assert fit(4, tmp_path) == expected
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("own", [False, True])
def test_a_cohort_that_is_built_by_the_first_batch_loses_none(own):
    """Whoever gives a probe trains the same, though the probe comes from nowhere that draws."""
    _, fit = start(own=own)
    expected = fit(1)
    _, fit = start(own=own, probe=IMAGES[:4])
    assert fit(1) == expected


def test_a_generator_that_is_made_on_the_way_is_spoken_of(tmp_path):
    said = []
    start(Late, note=said.append, probe=IMAGES[:4])[1](1, tmp_path)
    assert [line.split()[0] for line in said] == ["train_loader.dataset.rng"]
    with pytest.raises(UserError, match=r"held train_loader.dataset.rng, these hold no random gen.*in __init__"):
        start(Late, probe=IMAGES[:4])[1](2, tmp_path)


class Once:
    """A loader that gives its batches the first time only."""

    def __init__(self, batches):
        self.batches = iter(batches)

    def __iter__(self):
        return self.batches


def test_what_gives_its_batches_once():
    cohort, _ = start()
    batches = [(IMAGES[:7], LABELS[:7]), (IMAGES[7:], LABELS[7:])]
    with pytest.raises(UserError, match=r"train_loader is an iterator.*a DataLoader"):
        pc.fit(cohort, iter(batches), epochs=1)
    with pytest.raises(UserError, match="valid_loader is an iterator"):
        pc.fit(cohort, batches, zip(IMAGES, LABELS, strict=True), epochs=1)
    with pytest.raises(UserError, match=r"train_loader: a DataLoader .* got int"):
        pc.fit(cohort, 3, epochs=1)
    with pytest.raises(UserError, match="no batch in epoch 2: it must begin anew"):
        pc.fit(cohort, Once(batches), epochs=2)


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
    with pytest.raises(UserError, match=r"held no random generators, these hold train_loader.generator, .*dataset.rng"):
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


@pytest.mark.parametrize("which", ["train_loader", "valid_loader"])
def test_what_cannot_be_resumed_exactly_is_spoken_of_at_the_start(tmp_path, which):
    cohort, _ = start(probe=IMAGES[:4])
    loader = DataLoader(Noisy(random.SystemRandom()), sampler=[], num_workers=1, persistent_workers=True)
    said = []
    for folder in (None, tmp_path):
        assert said == []  # without a folder nothing is resumed
        with pytest.raises(UserError, match="gave no batch"):
            pc.fit(cohort, **{"train_loader": [], which: loader}, epochs=1, folder=folder, note=said.append)
    assert [line.split(":")[0] for line in said] == [
        f"{which}.dataset.rng draws from the operating system",
        f"the workers of {which} persist, with random generators of their own",
    ]


def test_workers_whose_copies_draw_the_same_numbers_are_spoken_of():
    said = []
    data = Noisy(np.random.default_rng(0))
    for more in ({"num_workers": 2}, {"num_workers": 2, "worker_init_fn": print}, {}):
        LoaderRandoms({"train_loader": DataLoader(data, **more)}, said.append).say_what_is_repeated()
    assert [line.split(",")[0] for line in said] == [
        "every worker of train_loader has a copy of train_loader.dataset.rng"
    ]
