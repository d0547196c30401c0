"""The training loop for a cohort of one's own modules and loaders."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from preceptor.calls import as_folder, plainly
from preceptor.errors import NonFiniteLossError, UserError
from preceptor.face.cohort import Cohort
from preceptor.face.loader_randoms import LoaderRandoms
from preceptor.face.scores import Scorer
from preceptor.measures.table import main_measure
from preceptor.notes import Note, note_aside
from preceptor.sealed import read_zip, write_sealed_zip
from preceptor.specs import TrainingSpec
from preceptor.training.optim import Group, learning_rate, make_optimizer, set_rate

History = list[dict[str, float]]
"""A row for each epoch: its number, the learning rate, mean loss terms, and validation scores as ``A/accuracy``."""


@plainly
def fit(
    cohort: Cohort,
    train_loader: Iterable[Any],
    valid_loader: Iterable[Any] | None = None,
    *,
    epochs: int,
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw",
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: Literal["constant", "step", "cosine", "polynomial"] = "constant",
    folder: Path | str | None = None,
    note: Note = note_aside,
) -> History:
    """Train ``cohort``, which ends with its last weights; the same call with the same folder resumes it exactly.

    The folder gets ``NAME/last.pt`` and, by the task's main score on validation, ``NAME/best.pt`` of every network that
    learns: state dicts of your modules, for ``torch.load``. After every epoch it also gets ``last.ckpt``, from which an
    interrupted training goes on: with weights, optimiser, the random generators of Python, numpy and torch, and those
    of all three that the loaders hold, wherever: in samplers, data sets, transforms, functions. From what it could not
    go on exactly, it says at the start. It draws no numbers but those that your loaders and modules draw.

    Args:
        train_loader, valid_loader: give batches (images, targets), or (images, targets, ids) for losses that remember
            samples, anew in every epoch. Without validation the last weights are all there is.
        schedule: of the learning rate over the epochs, as in recipes.
        note: is told, a sentence at a time, what should be known.

    Returns:
        the history, also of the epochs before a resumption.

    Raises:
        UserError: the loader gives something else, or the folder is of another training.
        NonFiniteLossError: a loss is no finite number.
    """
    if not isinstance(cohort, Cohort):
        raise UserError(f"fit: a Cohort was wanted, got {type(cohort).__name__}; pc.Cohort makes one of your modules")
    kept_in = None if folder is None else as_folder("fit", folder)
    spec = _settings(optimizer, lr, weight_decay, schedule, epochs)
    loaders = {"train_loader": train_loader} | ({} if valid_loader is None else {"valid_loader": valid_loader})
    for name, loader in loaders.items():
        _require_loader(name, loader)
    own = LoaderRandoms({**loaders, **cohort.given}, note)
    own.say_what_is_repeated()
    if kept_in is not None:
        own.say_what_is_lost()
    batches = train_loader if cohort.is_built else _built_by_a_batch(cohort, train_loader)
    groups = [Group(list(cohort.parameters()))]
    training = _Training(cohort, make_optimizer(groups, spec), spec, own, kept_in)
    if training.resume():
        batches = train_loader
    while len(training.history) < epochs:
        row = training.epoch(batches, _length(train_loader), epochs)
        batches = train_loader
        if valid_loader is not None:
            row |= _validated(cohort, valid_loader)
        training.history.append(row)
        training.keep(row)
    return training.history


@dataclass
class _Training:
    """A training and where it stands."""

    cohort: Cohort
    optimizer: torch.optim.Optimizer
    spec: TrainingSpec
    own: LoaderRandoms
    folder: Path | None
    history: History = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)

    def epoch(self, batches: Iterable[Any], steps: int, epochs: int) -> dict[str, float]:
        """Train one epoch of so many steps, 0 where that is not known; its mean terms."""
        done = len(self.history)
        sums: dict[str, float] = {}
        seen = 0
        rate = learning_rate(self.spec, done, epochs)
        self.cohort.train()
        for step, batch in enumerate(batches):
            rate = learning_rate(self.spec, done + (step / steps if steps else 0), epochs)
            set_rate(self.optimizer, rate)
            images, targets, ids = _on_device(batch, self.cohort)
            terms = self.cohort(images, targets, ids, done + 1)
            _require_finite(terms, done + 1, step + 1)
            self.optimizer.zero_grad()
            torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]  # torch's is untyped
            self.optimizer.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) * len(images)
            seen += len(images)
        if not seen:
            raise UserError(_NO_BATCH + (f" in epoch {done + 1}: it must begin anew in every epoch" if done else ""))
        return {"epoch": done + 1, "lr": rate, **{name: total / seen for name, total in sums.items()}}

    def keep(self, row: Mapping[str, float]) -> None:
        """Write the weights of an epoch, and all that a resumed training needs."""
        score = main_measure(self.cohort.task).name
        for name, module in self.cohort.learners.items():
            reached = row.get(f"{name}/{score}")
            is_best = reached is not None and reached > self.best.get(name, float("-inf"))
            if reached is not None and is_best:
                self.best[name] = reached
            if self.folder:
                state = module.state_dict()
                _save(self.folder / name / "last.pt", state)
                if is_best:
                    _save(self.folder / name / "best.pt", state)
        if self.folder:
            state = {
                "settings": self._settings(),
                "cohort": self.cohort.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "history": self.history,
                "best": self.best,
                "random": self.own.states(),
            }
            _save(self.folder / "last.ckpt", state)

    def resume(self) -> bool:
        """Go on where the folder's checkpoint is; whether there is one.

        Raises:
            UserError: it is of another training.
        """
        if self.folder is None:
            return False
        path = self.folder / "last.ckpt"
        try:
            content, _ = read_zip(path, "Delete the folder to train anew.")
        except FileNotFoundError:
            return False
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        mine = self._settings()
        for name, value in saved["settings"].items():
            if mine.get(name) != value:
                raise UserError(
                    f"{self.folder} holds a training with {name} {value!r}, this one has {mine.get(name)!r}; "
                    "give another folder, or the same settings to go on"
                )
        self.own.restore(saved["random"], self.folder)
        self.cohort.load_state_dict(saved["cohort"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.history, self.best = saved["history"], saved["best"]
        return True

    def _settings(self) -> dict[str, Any]:
        """What must be the same where a training goes on; of a constant rate not how long it takes."""
        names = ["optimizer", "lr", "weight_decay", "schedule"]
        names += ["epochs"] if self.spec.schedule != "constant" else []
        edges = [f"{edge.weight:g} {edge.name}" for edge in self.cohort.edges]
        return {"networks": list(self.cohort.learners), "edges": edges} | {
            name: getattr(self.spec, name) for name in names
        }


def _settings(optimizer: str, lr: float, weight_decay: float, schedule: str, epochs: int) -> TrainingSpec:
    from pydantic import ValidationError

    try:
        return TrainingSpec.model_validate(
            {
                "optimizer": optimizer,
                "lr": lr,
                "weight_decay": weight_decay,
                "schedule": schedule,
                "epochs": epochs,
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(f"fit: {first['loc'][0]}={first['input']!r}: {first['msg']}") from None


_NO_BATCH = "the training loader gave no batch"


def _require_loader(name: str, loader: object) -> None:
    """Refuse what gives its batches once only.

    Raises:
        UserError: it is no loader, or one that does not begin anew.
    """
    if isinstance(loader, Iterator):
        raise UserError(
            f"fit: {name} is an iterator ({type(loader).__name__}), which gives its batches once: give what makes "
            "it, a DataLoader, a list of batches, or an object whose __iter__ begins anew in every epoch"
        )
    if not isinstance(loader, Iterable) and not hasattr(loader, "__getitem__"):
        raise UserError(f"fit: {name}: a DataLoader or a list of batches was wanted, got {type(loader).__name__}")


def _built_by_a_batch(cohort: Cohort, loader: Iterable[Any]) -> Iterable[Any]:
    """Build the cohort from the first batch of an epoch; all batches of that epoch, the first one too."""
    batches = iter(loader)
    first = next(batches, None)
    if first is None:
        raise UserError(_NO_BATCH)
    cohort.build(_parts(first)[0])
    return chain([first], batches)


def _validated(cohort: Cohort, loader: Iterable[Any]) -> dict[str, float]:
    """Scores of every network that learns, as ``A/accuracy``."""
    scorers = {name: Scorer(cohort.task) for name in cohort.learners}
    cohort.eval()
    for batch in loader:
        images, targets, _ = _on_device(batch, cohort)
        for name, logits in cohort.logits(images).items():
            scorers[name].add(logits, targets)
    cohort.train()
    return {f"{name}/{key}": score for name, scorer in scorers.items() for key, score in scorer.scores().items()}


def _parts(batch: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    if not isinstance(batch, list | tuple) or len(batch) not in (2, 3):
        raise UserError(f"a loader gives (images, targets) or (images, targets, ids), got {type(batch).__name__}")
    for part in batch:
        if not isinstance(part, Tensor):
            raise UserError(f"a loader gives tensors, got {type(part).__name__} in a batch")
    return batch[0], batch[1], batch[2] if len(batch) == 3 else None


def _on_device(batch: Any, cohort: Cohort) -> tuple[Tensor, Tensor, Tensor | None]:
    images, targets, ids = _parts(batch)
    device = next(cohort.parameters()).device
    return images.to(device), targets.to(device), ids


def _require_finite(terms: Mapping[str, Tensor], epoch: int, step: int) -> None:
    bad = [name for name, value in terms.items() if not value.isfinite()]
    if bad:
        raise NonFiniteLossError(
            f"{', '.join(bad)} no finite number in epoch {epoch}, step {step}; try a lower lr, or look at the images"
        )


def _length(loader: Iterable[Any]) -> int:
    """Batches of an epoch; 0 where the loader does not know."""
    try:
        return len(loader)  # type: ignore[arg-type]  # where it has no length, that is caught
    except TypeError:
        return 0


def _save(path: Path, state: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_sealed_zip(path, buffer.getbuffer())
