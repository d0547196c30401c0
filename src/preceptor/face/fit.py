"""The training loop for a cohort of one's own modules and loaders."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from preceptor.errors import NonFiniteLossError, UserError
from preceptor.face import randoms
from preceptor.face.cohort import Cohort
from preceptor.face.scores import Scorer
from preceptor.measures.table import main_measure
from preceptor.notes import Note, note_aside
from preceptor.sealed import read_zip, write_sealed_zip
from preceptor.specs import TrainingSpec
from preceptor.training.optim import Group, learning_rate, make_optimizer, set_rate

History = list[dict[str, float]]
"""A row for each epoch: its number, the learning rate, mean loss terms, and validation scores as ``A/accuracy``."""


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
    interrupted training goes on: with weights, optimiser, and the random generators of Python, numpy, torch and the
    loader. What else your data draws from, and how far it is, is yours to keep.

    Args:
        train_loader, valid_loader: give batches (images, targets), or (images, targets, ids) for losses that remember
            samples. Without validation the last weights are all there is.
        schedule: of the learning rate over the epochs, as in recipes.
        note: is told, a sentence at a time, what should be known.

    Returns:
        the history, also of the epochs before a resumption.

    Raises:
        UserError: the loader gives something else, or the folder is of another training.
        NonFiniteLossError: a loss is no finite number.
    """
    spec = _settings(optimizer, lr, weight_decay, schedule, epochs)
    own = _generators(train_loader, valid_loader)
    if not cohort.is_built:
        _show_a_batch(cohort, train_loader, own)
    groups = [Group(list(cohort.parameters()))]
    training = _Training(cohort, make_optimizer(groups, spec), spec, own, None if folder is None else Path(folder))
    training.resume()
    if training.folder and _has_lasting_workers(train_loader):
        note(
            "the loader's workers persist, with random generators of their own: a resumed training draws other numbers"
        )
    while len(training.history) < epochs:
        row = training.epoch(train_loader, epochs)
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
    own: Sequence[torch.Generator]
    folder: Path | None
    history: History = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)

    def epoch(self, loader: Iterable[Any], epochs: int) -> dict[str, float]:
        """Train one epoch; its mean terms."""
        done = len(self.history)
        sums: dict[str, float] = {}
        steps, seen = _length(loader), 0
        rate = learning_rate(self.spec, done, epochs)
        self.cohort.train()
        for step, batch in enumerate(loader):
            rate = learning_rate(self.spec, done + (step / steps if steps else 0), epochs)
            set_rate(self.optimizer, rate)
            images, targets, ids = _on_device(batch, self.cohort)
            terms = self.cohort(images, targets, ids, done + 1)
            _require_finite(terms, done + 1, step + 1)
            self.optimizer.zero_grad()
            torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) * len(images)
            seen += len(images)
        if not seen:
            raise UserError("the training loader gave no batch")
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
                "random": randoms.states(self.own),
            }
            _save(self.folder / "last.ckpt", state)

    def resume(self) -> None:
        """Go on where the folder's checkpoint is.

        Raises:
            UserError: it is of another training.
        """
        if self.folder is None:
            return
        path = self.folder / "last.ckpt"
        try:
            content, _ = read_zip(path, "Delete the folder to train anew.")
        except FileNotFoundError:
            return
        saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        mine = self._settings()
        for name, value in saved["settings"].items():
            if mine.get(name) != value:
                raise UserError(
                    f"{self.folder} holds a training with {name} {value!r}, this one has {mine.get(name)!r}; "
                    "give another folder, or the same settings to go on"
                )
        if len(saved["random"]["own"]) != len(self.own):
            raise UserError(
                f"{self.folder}: the loaders had {len(saved['random']['own'])} generators, these have {len(self.own)}"
            )
        self.cohort.load_state_dict(saved["cohort"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.history, self.best = saved["history"], saved["best"]
        randoms.restore(saved["random"], self.own)

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


def _show_a_batch(cohort: Cohort, loader: Iterable[Any], own: Sequence[torch.Generator]) -> None:
    """Build the cohort from the first batch; the generators go on as if nobody had looked."""
    before = randoms.states(own)
    batch = next(iter(loader), None)
    if batch is None:
        raise UserError("the training loader gave no batch")
    cohort.build(_parts(batch)[0])
    randoms.restore(before, own)


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


def _generators(*loaders: object) -> list[torch.Generator]:
    """The generators of loaders and of what samples for them, each once."""
    found: dict[int, torch.Generator] = {}
    for loader in loaders:
        sampler = getattr(loader, "batch_sampler", None)
        for owner in (loader, getattr(loader, "sampler", None), sampler, getattr(sampler, "sampler", None)):
            one = getattr(owner, "generator", None)
            if isinstance(one, torch.Generator):
                found[id(one)] = one
    return list(found.values())


def _has_lasting_workers(loader: object) -> bool:
    return bool(getattr(loader, "num_workers", 0)) and bool(getattr(loader, "persistent_workers", False))


def _length(loader: Iterable[Any]) -> int:
    """Batches of an epoch; 0 where the loader does not know."""
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:
        return 0


def _save(path: Path, state: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_sealed_zip(path, buffer.getbuffer())
