"""From a recipe's data part to packed images with a split: everything before the first batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.duplicates import with_mask_pixels
from preceptor.data.masks.observers import SecondObserver, second_observer
from preceptor.data.parts import check_parts, require_foreground
from preceptor.data.pixels.levels import Range
from preceptor.data.samples import KNOWN, PARTS, SampleTable, is_known
from preceptor.data.sources import open_source, options_of_files
from preceptor.data.splits import UNUSED, Split, fold_numbers, settle_duplicates, split
from preceptor.data.store import PackedSet, pack
from preceptor.data.stored_images import StoredImages
from preceptor.data.subsets import drawn
from preceptor.data.unlabelled import (
    as_if_labelled,
    conflicting,
    hidden,
    labelled,
    options_without_labels,
    placed,
    relabelled,
    with_more,
    without_labels,
)
from preceptor.errors import UserError
from preceptor.files import cache_root
from preceptor.notes import Note, note_aside
from preceptor.recipe import Recipe
from preceptor.specs import Colour, DataSpec, SubsetSpec

_TWO_KINDS_IGNORED = (
    "split.labels: of a hidden mask, the pixels that were filled up around an image stay ignored and those that were "
    "drawn as ignored do not, and packed masks do not tell them apart; use data.resize: squash or crop, or tiles no "
    "larger than the images"
)


def _no_rows() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Prepared:
    """Packed images with their split.

    Args:
        rows: part -> rows of the packed set, ascending, so that tiles of an image stay together.
        grouped_by: what a group is, or None where the split is by image.
        notes: what was done with duplicates, groups and parts, one sentence each.
        stored: its labelled images as their files hold them.
        second: who else has drawn masks of these images, if anybody.
        unlabelled: part -> its rows whose label is not known, ascending.
        left_out: rows of the training part that ``shots`` or ``train_fraction`` left out, ascending, where a stage
            reads no labels and so is shown them.
        labels_used: part -> how many labels are read of it; empty where that is all.
        site_of: image -> where it was made; empty where that is not known.
    """

    packed: PackedSet
    rows: dict[str, NDArray[np.int64]]
    grouped_by: str | None
    notes: tuple[str, ...]
    stored: StoredImages
    second: SecondObserver | None = None
    unlabelled: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    left_out: NDArray[np.int64] = field(default_factory=_no_rows)
    labels_used: Mapping[str, int] = field(default_factory=dict)
    site_of: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def unread(self) -> PackedSet:
        """The packed images as if none had a label."""
        return relabelled(self.packed, np.arange(len(self.packed)))

    def every(self, part: str) -> NDArray[np.int64]:
        """All rows of a part that anything is trained on, whether their labels are known, or used, or not."""
        left_out = self.left_out if part == "train" else _no_rows()
        return np.sort(np.concatenate([self.with_unlabelled(part), left_out]))

    def with_unlabelled(self, part: str) -> NDArray[np.int64]:
        """The rows of a part that take part in the run, with a label or without."""
        return np.sort(np.concatenate([self.rows[part], self.unlabelled.get(part, _no_rows())]))

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Class of each sample of some rows, None for masks."""
        if self.packed.task == "segmentation":
            return None
        return self.packed.frame["label"].to_numpy(dtype=np.int64)[rows]

    def lack_labels(self, rows: NDArray[np.int64]) -> bool:
        """Whether some of these rows have no label, a class or a mask."""
        return bool(len(np.setdiff1d(rows, np.concatenate([self.rows[part] for part in PARTS]))))

    def split_csv(self) -> str:
        """``split.csv``: id, group, label, split of every sample that takes part; and ``known``, where masks lack."""
        frames = []
        more = [KNOWN] if KNOWN in self.packed.frame.columns else []
        for part in PARTS:
            rows = self.packed.frame.iloc[self.with_unlabelled(part)]
            frames.append(rows[["id", "group", "label"]].assign(split=part, **{name: rows[name] for name in more}))
        return pd.concat(frames).to_csv(index=False)


def cache_folder(spec: DataSpec) -> Path:
    """Where packed sets are kept."""
    return cache_root(spec.cache) / "packed"


def prepare(recipe: Recipe, note: Note = note_aside) -> Prepared:
    """Open the source, pack it or reuse the packed set, settle duplicates, and split.

    Args:
        note: says a line to the user, about what was wrong with a packed set.

    Raises:
        UserError: whatever is wrong with the data, by name.
    """
    own = _opened(recipe, recipe.data.path, recipe.data.subset)
    table = own if recipe.data.unlabelled is None else with_more(own, recipe.data.unlabelled, recipe.data)
    packed, second = _packed(recipe, table, note), second_observer(own)
    unread = recipe.technique.leaves_labels_unread
    whole = with_mask_pixels(packed.frame, packed)
    blind = as_if_labelled(packed.frame, packed.task) if unread else whole
    kept, settled = _settled(blind, recipe.data.duplicates)
    frame = packed.frame.loc[kept.index]
    divided = _divided(recipe, packed, frame)
    unclear = packed.frame.index[conflicting(whole, kept.index)] if unread else frame.index[:0]
    known = frame.index[is_known(frame)].difference(unclear).to_numpy(dtype=np.int64)
    parts = {part: np.sort(divided.rows(part)) for part in PARTS}
    rows = {part: np.intersect1d(of_part, known) for part, of_part in parts.items()}
    hides = recipe.split.labels if not recipe.is_label_free else None
    if hides and table.ignores and packed.has_border:
        raise UserError(_TWO_KINDS_IGNORED)
    lost = hidden(frame, rows["train"], hides, _seed_of(recipe), packed.classes) if hides else _no_rows()
    rows["train"] = np.setdiff1d(rows["train"], lost)
    unlabelled = {part: found for part in PARTS if len(found := np.setdiff1d(parts[part], rows[part]))}
    check_parts(recipe, packed, rows)
    empty = require_foreground(packed, rows)
    used = _labels_used(packed, rows) if unread or unlabelled else {}
    return Prepared(
        packed=relabelled(packed, np.concatenate([*unlabelled.values(), unclear.to_numpy(dtype=np.int64)])),
        rows=rows,
        grouped_by=packed.grouping if divided.by != "image" else None,
        notes=(*packed.notes, *settled, *divided.notes, *_conflicts(len(unclear)), *empty, *_used_in_words(used)),
        stored=StoredImages(own),
        second=second,
        unlabelled=unlabelled,
        left_out=np.sort(divided.rows(UNUSED)) if unread else _no_rows(),
        labels_used=used,
        site_of=table.site_of,
    )


def _divided(recipe: Recipe, packed: PackedSet, frame: pd.DataFrame) -> Split:
    """The part of each row; where labels decide on the split, those without one only follow it."""
    stratified = recipe.split.stratify and not recipe.technique.leaves_labels_unread
    labelled = frame[is_known(frame)] if stratified else frame
    found = split(
        labelled,
        by=recipe.split.by,
        fractions=recipe.split.fractions,
        seed=_seed_of(recipe),
        fold=(recipe.split.fold, recipe.split.folds) if recipe.split.folds else None,
        train_fraction=recipe.split.train_fraction,
        shots=recipe.split.shots,
        shots_seed=recipe.split.shots_seed,
        classes=packed.classes if packed.task == "classification" else (),
        grouping=packed.grouping,
        stratified=stratified,
    )
    if len(labelled) == len(frame):
        return found
    parts, note = placed(frame, found.parts, by_group=found.by != "image")
    return Split(parts, found.by, (*found.notes, note))


def _seed_of(recipe: Recipe) -> int:
    """What the split is drawn with."""
    return recipe.seed if recipe.split.seed is None else recipe.split.seed


def _labels_used(packed: PackedSet, rows: Mapping[str, NDArray[np.int64]]) -> dict[str, int]:
    """Part -> how many labels a run reads of it."""
    has_none = packed.task == "classification" and not packed.classes
    return {part: 0 if has_none else len(of_part) for part, of_part in rows.items()}


def _used_in_words(used: Mapping[str, int]) -> tuple[str, ...]:
    """How many labels a run uses that does not use all."""
    if not used:
        return ()
    if not any(used.values()):
        return ("No label was read: nothing is known of how well the networks tell any classes or diagnoses.",)
    return (
        f"Labels used: {used['train']} of the training part to learn from, {used['validation']} of the "
        "validation part to choose weights by.",
    )


def _conflicts(count: int) -> tuple[str, ...]:
    """What becomes of images whose equals have another label, where labels decide on nothing before the split."""
    said = f"{count} images are equal to others that have another label: they are shown, their labels are not used."
    return (said,) if count else ()


def prepare_whole(
    recipe: Recipe,
    path: str,
    source: str | None = None,
    options: Mapping[str, Any] | None = None,
    note: Note = note_aside,
    *,
    found_range: Range | None = None,
) -> Prepared:
    """Other data at ``path``, all of it as the test part, its images read and brought to size as the recipe's.

    Args:
        source: how they lie, where that is not as the recipe's do.
        options: of that source, or some that differ from the recipe's.
        found_range: the values that the recipe's percentiles were in the run's own images; other images are read by
            these too, as a network knows no others.

    Raises:
        UserError: whatever is wrong with the data; or the recipe wants percentiles, and nobody knows what they were.
    """
    usual = recipe.data.options if source is None else options_of_files(recipe.data.options)
    kept = _without_percentiles(usual, options or {}, found_range)
    changed = {"source": source or recipe.data.source, "options": {**kept, **(options or {})}}
    other = recipe.model_copy(update={"data": recipe.data.model_copy(update=changed)})
    try:
        own = labelled(_opened(other, path))
    except UserError as error:
        if source is not None:
            raise
        raise UserError(
            f"{error}\nIf these data lie otherwise than the run's own, give --source and --option: `preceptor data "
            f"inspect {path}` finds out which."
        ) from None
    packed = _packed(other, own, note)
    nothing = np.empty(0, dtype=np.int64)
    rows = {"train": nothing, "validation": nothing, "test": np.arange(len(packed.frame))}
    return Prepared(
        packed=packed,
        rows=rows,
        grouped_by=packed.grouping,
        notes=packed.notes,
        stored=StoredImages(own),
        second=second_observer(own),
    )


def _without_percentiles(
    kept: Mapping[str, Any], given: Mapping[str, Any], found_range: Range | None
) -> Mapping[str, Any]:
    """``kept`` with the range that its percentiles were; those of other images would be another brightness."""
    others = {name: value for name, value in kept.items() if name not in ("percentiles", "range", "bits")}
    if given.keys() & {"percentiles", "range", "bits"}:
        return others
    if kept.get("percentiles") is None:
        return kept
    if found_range is None:
        raise UserError(
            "the run's recipe takes percentiles of its images for black and white, and its networks do not say which "
            "values these were; give --option range=[black, white]"
        )
    return {**others, "range": list(found_range)}


def training_folds(recipe: Recipe, prepared: Prepared, count: int) -> NDArray[np.int64]:
    """Fold of each row of the training part, 0 to ``count`` - 1.

    Folds are grouped as the split is, stratified, and a function of the table and the split's seed.
    """
    frame = prepared.packed.frame.iloc[prepared.rows["train"]]
    return fold_numbers(
        frame,
        count,
        seed=_seed_of(recipe),
        by_group=prepared.grouped_by is not None and bool(frame["group"].notna().any()),
        classes=prepared.packed.classes if prepared.packed.task == "classification" else (),
        grouping=prepared.grouped_by,
    )


def _opened(recipe: Recipe, path: str | None, subset: SubsetSpec | None = None) -> SampleTable:
    spec = recipe.data
    is_free = recipe.is_label_free
    options = options_without_labels(spec.source, spec.options) if is_free else spec.options
    table = open_source(spec.source, path, options, spec)
    table = without_labels(table) if is_free else table
    table = table if subset is None else drawn(table, subset)
    if not table.classes and not is_free:
        raise UserError(
            f"source {spec.source}: these images have no labels, and the recipe learns some.\nSay where labels are, or "
            "learn without: split.labels=none, technique.name=distil_features"
        )
    if table.classes and not is_free and not is_known(table.frame).any():
        raise UserError(f"source {spec.source}: none of these images has a mask, and the recipe learns some")
    if table.task != recipe.task:
        raise UserError(
            f"source {spec.source} yields {table.task} samples, the recipe's task is {recipe.task}; "
            f"change `task`, or give data.options what makes {spec.source} yield the other"
        )
    return table


def _packed(recipe: Recipe, table: SampleTable, note: Note) -> PackedSet:
    spec = recipe.data
    padding = padding_of(recipe) or (0,) * spec.channels
    folder = cache_folder(spec)
    return pack(table, size=spec.size, resize=spec.resize, padding=padding, tile=spec.tile, folder=folder, note=note)


def padding_of(recipe: Recipe) -> Colour | None:
    """The colour with which ``resize: pad`` fills: the first student's mean, as timm's ``border`` takes a model's own.

    None where nothing is filled. Every network of a run sees the same pixels.
    """
    if recipe.data.tile or recipe.data.resize != "pad":
        return None
    from preceptor.networks.build import mean_of
    from preceptor.networks.normalisation import in_channels, padding_for

    first = next(iter(recipe.networks.peers.values()))
    return padding_for(in_channels(mean_of(first, recipe.task), recipe.data.channels))


def _settled(frame: pd.DataFrame, policy: Literal["drop", "keep", "error"]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Settle equal images; tiles bear their image's hash, so they are settled by image."""
    if "parent" not in frame:
        return settle_duplicates(frame, policy)
    kept, notes = settle_duplicates(frame.drop_duplicates("parent"), policy)
    return frame[frame["parent"].isin(kept["parent"])], notes
