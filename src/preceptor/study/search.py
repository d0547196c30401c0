"""Searching a recipe's settings on validation: grid, random and TPE by Optuna, with hopeless trials cut short.

The test part is never opened: trials stop at validation, and the best recipe is only written down.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from preceptor.errors import InterruptedRunError, UserError
from preceptor.extras import install_command
from preceptor.files import write_text
from preceptor.recipe import Recipe, changed_recipe
from preceptor.stopping import stop_requests
from preceptor.study.crew import Crew, Death
from preceptor.study.space import Over
from preceptor.study.trial import score_of, trial_request
from preceptor.study.work import Epoch, JobOutcome, JobRequest

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

SAMPLERS = ("grid", "random", "tpe")

RETRIES = 2
"""How often a trial is taken up again whose worker died."""


@dataclass
class Search:
    """A search in the folder ``out``; the same search again goes on where it was.

    Args:
        raw: the recipe as it is written, unchecked.
        trials: how many to try in all; a grid has its own number.
        prune: stop trials whose validation score is below the median of the others' at the same epoch.
    """

    raw: Mapping[str, Any]
    overs: Sequence[Over]
    out: Path
    sampler: str = "tpe"
    trials: int = 20
    seed: int = 0
    prune: bool = True

    def __post_init__(self) -> None:
        if not self.overs:
            raise UserError(
                "what is searched over? Give --over key=a,b,c, for example --over training.lr=1e-4..1e-2:log"
            )
        keys = [over.key for over in self.overs]
        if len(set(keys)) < len(keys):
            raise UserError(f"--over: {', '.join(keys)} names a setting twice")
        self.base, _ = changed_recipe(self.raw, [])
        if self.sampler == "grid":
            ranges = [over.key for over in self.overs if not over.choices]
            if ranges:
                raise UserError(
                    f"--sampler grid wants lists; {ranges[0]} is a range: write {ranges[0]}=a,b,c, or take tpe"
                )
            self.trials = len(self.grid())
        ends = [list(map(over.value, over.choices)) or [over.low, over.high] for over in self.overs]
        for settings in product(*ends):  # what makes no recipe is refused now
            self.recipe(dict(zip(keys, settings, strict=True)))

    def grid(self) -> list[dict[str, str]]:
        """All combinations of the listed values, by how they are written."""
        return [
            dict(zip([over.key for over in self.overs], choices, strict=True))
            for choices in product(*(over.choices for over in self.overs))
        ]

    def recipe(self, settings: Mapping[str, Any]) -> Recipe:
        """The recipe of a trial.

        Raises:
            UserError: these settings make no recipe.
        """
        words = ", ".join(f"{key}={value}" for key, value in settings.items())
        return changed_recipe(self.raw, settings.items(), origin=f"search: the recipe with {words}")[0]

    @property
    def name(self) -> str:
        """Of the search in the journal: another recipe or other settings are another search."""
        content = [
            self.base.model_dump(mode="json", exclude_defaults=True, exclude={"name"}),
            list(map(str, self.overs)),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def run_search(search: Search, crew: Crew, console: Console, *, device: str = "auto") -> "FrozenTrial":
    """Try settings until there are enough trials, write ``trials.csv`` and ``best.yaml``, and return the best.

    Raises:
        UserError: Optuna is not installed, or no trial could be finished.
        InterruptedRunError: SIGINT or SIGTERM came; the same search goes on.
    """
    study = open_study(search)
    _take_up_what_was_left(study, search)
    trials = _Trials(search, study, crew, console, device)
    with stop_requests() as asked:
        try:
            while not asked.count and (trials.running or trials.over < search.trials):
                trials.begin()
                trials.listen()
            crew.stop()
            while crew.busy and asked.count < 2:
                trials.listen(stopping=True)
        finally:
            crew.close()
    if trials.over < search.trials:
        raise InterruptedRunError(
            f"stopped; {trials.over} of {search.trials} trials are done. The same command again does the others."
        )
    best = _best(study)
    if best is None:
        raise UserError(f"no trial could be finished; {search.out / 'trials.csv'} says why of each")
    _write(search, study)
    return best


class _Trials:
    """The trials that are running, and how they end."""

    def __init__(self, search: Search, study: "Study", crew: Crew, console: Console, device: str) -> None:
        self.search, self.study, self.crew, self.console, self.device = search, study, crew, console, device
        self.running: dict[str, Trial] = {}
        self._requests: dict[str, JobRequest] = {}
        self._attempts: Counter[str] = Counter()
        self._hopeless: set[str] = set()
        self._waiting: list[str] = []  # whose worker died
        self._failed = 0

    @property
    def over(self) -> int:
        """Trials that have told something, in this command or before, or that this one saw fail."""
        states = _optuna().trial.TrialState
        return len(self.study.get_trials(deepcopy=False, states=[states.COMPLETE, states.PRUNED])) + self._failed

    def begin(self) -> None:
        """Give work to everyone free, as long as there is any."""
        while self.crew.free and (self._waiting or self.over + len(self.running) < self.search.trials):
            if not self._waiting:
                self._ask()
            id = self._waiting.pop()
            self._attempts[id] += 1
            self.crew.give(self._requests[id])

    def _ask(self) -> None:
        trial = self.study.ask()
        id = str(trial.number)
        recipe = self.search.recipe({over.key: over.suggest(trial) for over in self.search.overs})
        self._requests[id] = trial_request(id, recipe, self.search.out, self.device)
        trial.set_user_attr("folder", self._requests[id].folder.name)
        self.running[id] = trial
        self._waiting.append(id)

    def listen(self, *, stopping: bool = False) -> None:
        """Note what has happened to the trials; when ``stopping``, what is stopped is taken up another time."""
        states, monitor = _optuna().trial.TrialState, self.search.base.monitor
        for id, event in self.crew.events(0.5):
            if isinstance(event, Epoch):
                self.running[id].report(event.score, event.number)
                if self.search.prune and not stopping and self.running[id].should_prune():
                    self._hopeless.add(id)
                self.crew.reply(id, id not in self._hopeless)
            elif isinstance(event, JobOutcome) and event.outcome == "done" and id in self._hopeless:
                self._end(id, "cut short", state=states.PRUNED)
            elif isinstance(event, JobOutcome) and event.outcome == "done":
                value = score_of(self._requests[id].folder, monitor)
                self._end(id, f"{monitor} {value:.4f} on validation", values=value)
            elif isinstance(event, JobOutcome) and event.outcome == "failed":
                self._fail(id, event.error or "")
            elif self._attempts[id] <= RETRIES:
                self._waiting.append(id)
            elif not stopping:
                self._fail(id, f"its worker {event.words if isinstance(event, Death) else 'was stopped from outside'}")

    def _fail(self, id: str, error: str) -> None:
        self.running[id].set_user_attr("error", error)
        self._failed += 1
        self._end(id, f"FAILED: {error}", state=_optuna().trial.TrialState.FAIL)

    def _end(self, id: str, outcome: str, **told: Any) -> None:
        trial = self.running.pop(id)
        self.study.tell(trial, **told)
        _write(self.search, self.study)
        settings = " ".join(f"{key}={value}" for key, value in trial.params.items())
        words = f"trial {id}: {settings}: {outcome}; {self.over} of {self.search.trials}"
        self.console.print(words, highlight=False, soft_wrap=True)


def open_study(search: Search) -> "Study":
    """The search's trials so far, from ``journal.log`` in its folder, which one process at a time may write."""
    optuna = _optuna()
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    optuna.logging.set_verbosity(logging.WARNING)
    journal = search.out / "journal.log"
    if journal.exists():  # a line that was being written when the process was killed
        written = journal.read_bytes()
        journal.write_bytes(written[: written.rfind(b"\n") + 1])
    storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=_HeldAnyway()))
    study = optuna.create_study(
        storage=storage,
        study_name=search.name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
    )
    seed = search.seed + len(study.trials)  # a search that goes on must not draw the first settings again
    study.sampler = (
        optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        if search.sampler == "tpe"
        else optuna.samplers.RandomSampler(seed=seed)
    )
    return study


class _HeldAnyway:
    """A lock for the journal: the whole folder is held by one process already."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _take_up_what_was_left(study: "Study", search: Search) -> None:
    """Try once more what was running when the search was stopped, and what failed; a grid is tried in its order."""
    states = _optuna().trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=[states.RUNNING]):
        study.tell(trial.number, state=states.FAIL)
    there = [
        trial.params or trial.system_attrs.get("fixed_params")
        for trial in study.get_trials(deepcopy=False, states=[states.COMPLETE, states.PRUNED, states.WAITING])
    ]
    left = [trial.params for trial in study.get_trials(deepcopy=False, states=[states.FAIL])]
    for settings in (*left, *(search.grid() if search.sampler == "grid" else ())):
        if settings and settings not in there:
            study.enqueue_trial(settings)
            there.append(settings)


def _write(search: Search, study: "Study") -> None:
    """``trials.csv``, and the best recipe so far as ``best.yaml``."""
    rows = [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            search.base.monitor: trial.value,
            **trial.params,
            "folder": trial.user_attrs.get("folder"),
            "error": trial.user_attrs.get("error"),
        }
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished()
    ]
    write_text(search.out / "trials.csv", pd.DataFrame(rows).to_csv(index=False))
    if best := _best(study):
        write_text(search.out / "best.yaml", search.recipe(settings_of(search, best.params)).to_yaml())


def _best(study: "Study") -> "FrozenTrial | None":
    """The complete trial with the highest score, the first of equals."""
    complete = study.get_trials(deepcopy=False, states=[_optuna().trial.TrialState.COMPLETE])
    return max(complete, key=lambda trial: trial.value or 0.0, default=None)


def settings_of(search: Search, params: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's values of a trial's parameters."""
    return {over.key: over.value(params[over.key]) if over.choices else params[over.key] for over in search.overs}


def require_optuna() -> None:
    """UserError where Optuna is not installed."""
    _optuna()


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UserError(f"preceptor search wants Optuna, which is not installed: {install_command('search')}") from None
    return optuna
