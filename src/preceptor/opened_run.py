"""A finished run, opened: its result, its networks and its data, each loaded when it is asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.errors import UserError
from preceptor.measures.own import of_a_run
from preceptor.measures.table import with_own
from preceptor.recipe import Recipe, load_recipe
from preceptor.runs.files import RunFiles
from preceptor.runs.finished import FinishedRun, finished_run, unverified
from preceptor.runs.result import RunResult, ScoresByNetwork

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from preceptor.cohort.cohort import Cohort
    from preceptor.data.batches import Batches
    from preceptor.data.class_map import ClassMap
    from preceptor.data.prepare import Prepared
    from preceptor.networks.network import Network
    from preceptor.plan.stage import Stage
    from preceptor.training.evaluate import Evaluation


def open_run(folder: Path, *, with_test: bool = False, instead: str = "", trust: bool = False) -> "OpenedRun":
    """The finished run in ``folder``, of whatever technique; its recipe and networks are verified.

    Args:
        with_test: whether its test part must have been opened.
        instead: what else can be done where it has not been, for the error.
        trust: run the Python code that came with it: of networks and measures of somebody's own.

    Raises:
        UserError: it is not finished, or damaged.
    """
    found = finished_run(folder, with_test=with_test, instead=instead)
    found.verify(found.files.recipe, found.files.networks, found.files.own)
    return OpenedRun(found, load_recipe(found.files.recipe)[0], trust)


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A finished run. Nothing in its folder changes."""

    finished: FinishedRun
    recipe: Recipe
    trust: bool = False

    @property
    def files(self) -> RunFiles:
        """The paths of its files."""
        return self.finished.files

    @property
    def result(self) -> RunResult:
        """What it came to."""
        return self.finished.result

    @property
    def test(self) -> ScoresByNetwork:
        """Scores on the test part by network; empty while that is sealed."""
        return self.result.test

    @property
    def validation(self) -> ScoresByNetwork:
        """Scores on the validation part by network."""
        return self.result.validation

    def require_classes(self, wanted: str) -> None:
        """Refuse a run that read no label.

        Args:
            wanted: what cannot be done without classes, in words.

        Raises:
            UserError: it read none.
        """
        if self.result.has_no_labels:
            folder, network = self.files.folder, self.files.network(self.result.chosen)
            raise UserError(
                f"{folder} read no label, so its networks tell no classes apart: {wanted}.\n`preceptor embed {folder} "
                f"IMAGES` makes their embeddings; a recipe with `weights: {network}` goes on from there with labels."
            )

    @property
    def notes(self) -> Iterator[str]:
        """What should be known of its files, a sentence each."""
        if not self.finished.is_sealed:
            yield unverified(self.files.folder)
        for path in self.finished.gone(self.files.networks):
            yield f"{path} is gone: that network is not looked at"

    @property
    def names(self) -> tuple[str, ...]:
        """Its exported networks."""
        return tuple(path.name for path in self.files.exported())

    def network(self, name: str) -> "Network":
        """An exported network, loaded anew, in eval mode.

        Raises:
            UserError: there is none of this name, or it is damaged.
        """
        if name not in self.names:
            raise UserError(f"no network {name!r} in {self.files.folder}; it has {', '.join(self.names) or 'none'}")
        from preceptor.composed import load_network

        return load_network(self.files.network(name), trust=self.trust)

    def networks(self, note: Callable[[str], object] = lambda note: None) -> dict[str, "Network"]:
        """Every exported network, by name.

        Args:
            note: called with what the user should know of them, one sentence each.

        Raises:
            UserError: there are none, or one is damaged.
        """
        found = {name: self.network(name) for name in self.names}
        if not found:
            raise UserError(f"{self.files.networks} holds no exported networks")
        for line in dict.fromkeys(line for network in found.values() for line in network.notes):
            note(line)
        return found

    def data(self) -> "Prepared":
        """Its images and their parts, which are those with which it began.

        Raises:
            UserError: they have changed since.
        """
        from preceptor.data.prepare import prepare
        from preceptor.training.same_data import require_same_split

        prepared = prepare(self.recipe)
        require_same_split(self.files.folder, prepared)
        return prepared

    def last_stage(self, prepared: "Prepared", fabric: "Fabric") -> tuple["Stage", "Cohort", "Batches"]:
        """The last stage with its networks, edges and batches as training left them.

        Networks have their last weights, which need not be those that were chosen by validation, and compute in
        float32.

        Raises:
            UserError: the stage's last checkpoint is not in the run folder.
        """
        from preceptor.training.build import reading_builder
        from preceptor.training.last_stage import last_stage
        from preceptor.training.planning import settled_plan

        builder = reading_builder(self.recipe, prepared, fabric, self.files.folder)
        return last_stage(builder, settled_plan(self.recipe, builder.workshop))

    def evaluate(
        self,
        *,
        data: str | None = None,
        source: str | None = None,
        options: Mapping[str, Any] | None = None,
        device: str = "auto",
        masks: Path | None = None,
        names: "ClassMap | None" = None,
        note: Callable[[str], object] = lambda note: None,
    ) -> "Evaluation":
        """What its networks say of its test part, or of all of other ``data``, and how well.

        Args:
            source: how other data lie, where that is not as the recipe's do.
            options: of that source, or some that differ from the recipe's.
            masks: where every network's mask of every image is written, for segmentation.
            names: what the classes of other data are called here.
            note: called with what the user should know of the networks, one sentence each.

        Raises:
            UserError: no networks, or data with other classes.
        """
        from preceptor.data.class_map import with_classes
        from preceptor.data.repair import on_sound_pixels
        from preceptor.training.exported import evaluate_networks

        self.require_classes("there is nothing to evaluate but what its result says")
        own = of_a_run(self.files.folder, self.result.measures, said_by=self.files.result, trust=self.trust)
        if own and not self.trust:
            left_out = ", ".join(one.key for one in own)
            note(f"left out is {left_out}, of Python files in {self.files.own}; give --trust to run them")

        def evaluation() -> "Evaluation":
            prepared = self.data() if data is None else self._other_data(data, source, options, note)
            measures = with_own(self.recipe.task, own if self.trust else (), prepared.packed.classes)
            batch_size = self.recipe.training.batch_size
            networks = self.networks(note)
            if names is not None:
                prepared = with_classes(prepared, next(iter(networks.values())).blueprint.classes, names)
            return evaluate_networks(
                networks,
                prepared,
                batch_size,
                measures=measures,
                device=device,
                masks=masks,
                tolerance=self.recipe.surface_tolerance,
            )

        return on_sound_pixels(evaluation)

    def _other_data(
        self, data: str, source: str | None, options: Mapping[str, Any] | None, note: Callable[[str], object]
    ) -> "Prepared":
        from preceptor.data.prepare import prepare_whole
        from preceptor.training.pixel_keys import row_keys, trained_on

        prepared = prepare_whole(self.recipe, data, source, options, found_range=self._range_found())
        if words := trained_on(self.files.folder, str(self.files.folder), row_keys(prepared)):
            note(words)
        return prepared

    def _range_found(self) -> tuple[float, float] | None:
        """The values that became black and white in training, as its networks say it; None where they do not."""
        from preceptor.networks.export import OWN_KEY
        from preceptor.networks.weights import read_config

        for name in self.names:
            steps = read_config(self.files.network(name))[OWN_KEY].get("preprocessing", [])
            for step in steps:
                if "range" in step.get("options", {}):
                    low, high = step["options"]["range"]
                    return float(low), float(high)
        return None
