"""Training, validation and test: grouped, stratified, checked for leaks.

Every function here is pure in (table, seed): random numbers belong to ids, so the order of the rows
does not matter. A *unit* is what must stay on one side: a group, or rows joined by equal pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.assign import parts_of_rows
from preceptor.data.duplicates import Duplicates, settle_duplicates
from preceptor.data.samples import PARTS
from preceptor.data.subsets import class_name, few_shot, subset
from preceptor.errors import UserError
from preceptor.groupings import unit_of, units_of
from preceptor.randomness import key

By = Literal["auto", "group", "image", "official"]
Fractions = tuple[float, float, float]

UNUSED = "unused"

__all__ = ["Duplicates", "Split", "check_leaks", "fold_numbers", "settle_duplicates", "split"]


@dataclass(frozen=True)
class Split:
    """Which part each row belongs to.

    Args:
        parts: ``train``, ``validation``, ``test`` or ``unused`` per row, indexed as the frame.
        by: what was kept apart: ``group``, ``image`` or ``official``.
        notes: what the user should know, one sentence each.
    """

    parts: "pd.Series[str]"
    by: Literal["group", "image", "official"]
    notes: tuple[str, ...] = ()

    def rows(self, part: str) -> NDArray[np.int64]:
        """Index labels of the rows of ``part``, in the order of the frame."""
        return self.parts.index[self.parts == part].to_numpy(dtype=np.int64)


def split(
    frame: pd.DataFrame,
    *,
    by: By = "auto",
    fractions: Fractions = (0.75, 0.10, 0.15),
    seed: int = 0,
    fold: tuple[int, int] | None = None,
    train_fraction: float = 1.0,
    shots: int | None = None,
    shots_seed: int | None = None,
    classes: Sequence[str] = (),
    grouping: str | None = None,
    stratified: bool = True,
) -> Split:
    """Part of each row of ``frame``.

    Classes are spread as the fractions ask, as well as whole groups allow; masks (label -1) are one
    class. ``official`` carves a missing validation or test part out of the training part. Rows with
    equal ``pixels`` (where the frame has that column) stay together.

    Args:
        frame: columns id, label, group, split, and ``pixels`` where known; see :class:`SampleTable`. Rows without a
            label are for ``stratified=False`` alone; ``train_fraction`` and ``shots`` leave none of them out.
        by: ``auto`` takes official parts where there are any, then groups, then single images.
        fractions: of training, validation and test; the last two may be 0.
        fold: (k, K) tests the k-th of K folds, k counting from 0, so that every row is in the test part of one k. The
            others are shared by training and validation in the proportion of their fractions.
        train_fraction: share of the training part to use; a smaller share is part of a larger one.
        shots: images per class of the training part to use, see :func:`few_shot`.
        shots_seed: which images the fraction or the shots are; ``seed`` by default.
        classes: class names by label: each must have samples, and messages use them.
        grouping: what a group is, for messages.
        stratified: False spreads samples by group alone, whatever their labels, which then decide on no part; what a
            part lacks of the classes is only said.

    Raises:
        UserError: no such column, an empty class, too few samples or groups, or a leak.
    """
    _check_fractions(fractions)
    has_official, has_groups = bool(frame["split"].notna().any()), bool(frame["group"].notna().any())
    chosen = by if by != "auto" else "official" if has_official else "group" if has_groups else "image"
    what = grouping or "group"
    if chosen == "official" and not has_official:
        raise UserError("split by official: this data set has no official parts; use by: group or by: image")
    if chosen == "group" and not has_groups:
        raise UserError(
            "split by group: this data set knows no groups; use by: image, or tell the source what a group is"
        )
    if has_groups and chosen != "image" and frame["group"].isna().any():
        raise UserError(
            f"{int(frame['group'].isna().sum())} samples have no {what} and others have: give all or none one"
        )
    _check_classes(frame, classes)
    labelled = frame
    if not stratified:
        frame = frame.assign(label=0)

    notes: list[str] = []
    units = _units(frame, by_group=has_groups and chosen != "image")
    if chosen == "official" and fold:
        raise UserError(
            "split.folds: this data set has official parts, and its test part is no fold; use by: group or by: image"
        )
    if chosen == "official":
        parts, notes = _official(frame, units, fractions, seed, what if has_groups else "image")
    elif fold:
        _check_counts(frame, units, fractions, classes, what if chosen == "group" else "image")
        fractions = (fractions[0] / (1 - fractions[2]), fractions[1] / (1 - fractions[2]), 0.0)
        by_group = chosen == "group"
        tested = fold_numbers(frame, fold[1], seed=seed, by_group=by_group, classes=classes, grouping=what) == fold[0]
        parts = np.full(len(frame), "test", dtype=object)
        others, own = frame[~tested], np.unique(units[~tested], return_inverse=True)[1].astype(np.int64)
        _check_counts(others, own, fractions, classes, what if by_group else "image")
        parts[~tested] = _place(others, own, fractions, key(seed, "fold", fold[0]) % 2**63)
    else:
        _check_counts(frame, units, fractions, classes, what if chosen == "group" else "image")
        parts = _place(frame, units, fractions, seed)
    if chosen == "image":
        notes.append(_image_note(frame, parts, what, has_groups))
    check_leaks(frame, parts, by_group=chosen != "image", what=what)
    frame = labelled
    known = (frame["label"] >= 0).to_numpy() | bool((frame["label"] < 0).all())
    may_lack = PARTS if not stratified else ("validation", "test") if fold else ("validation",)
    notes += _missing_classes(frame[known], parts[known], classes, may_lack=may_lack)
    if not stratified:
        notes.append(f"Split by {chosen} alone, without a look at the labels.")
    drawn_by = seed if shots_seed is None else shots_seed
    if train_fraction < 1:
        train = np.flatnonzero((parts == "train") & known)
        kept = subset(frame.iloc[train], train_fraction, seed=drawn_by)
        parts[np.setdiff1d(train, train[kept])] = UNUSED
        notes.append(f"{len(kept)} of {len(train)} training samples are used (train_fraction {train_fraction:g}).")
    if shots is not None:
        train = np.flatnonzero((parts == "train") & known)
        kept = few_shot(frame.iloc[train], shots, seed=drawn_by, classes=classes)
        parts[np.setdiff1d(train, train[kept])] = UNUSED
        notes.append(f"{len(kept)} of {len(train)} training samples are used (shots {shots}).")
    return Split(pd.Series(parts, index=frame.index, dtype=object), chosen, tuple(notes))


def fold_numbers(
    frame: pd.DataFrame,
    count: int,
    *,
    seed: int,
    by_group: bool,
    classes: Sequence[str] = (),
    grouping: str | None = None,
) -> NDArray[np.int64]:
    """Fold of each row, 0 to ``count`` - 1: whole groups and equal pixels stay in one, classes are spread over all.

    Raises:
        UserError: fewer groups than folds, or a class that is all in one fold, so that one part lacks it.
    """
    what = (grouping or "group") if by_group else "image"
    units = _units(frame, by_group=by_group)
    have = int(units.max()) + 1
    if have < count:
        raise UserError(f"{count} folds of {have} {units_of(what)}: ask for at most {have}")
    labels = frame["label"].to_numpy(dtype=np.int64)
    share = np.full(count, 1 / count)
    folds = parts_of_rows(frame["id"].to_numpy(dtype=object), labels, units, share, key(seed, "folds") % 2**63)
    for label in np.unique(labels):
        own = np.unique(units[labels == label])
        if len(np.unique(folds[labels == label])) < 2:
            raise UserError(
                f"class {class_name(int(label), classes)!r} has {len(own)} {what}(s), all in one of {count} folds: "
                "what is trained without it would never see the class; collect more, or use no folds"
            )
    return folds


def check_leaks(frame: pd.DataFrame, parts: NDArray[np.object_], *, by_group: bool, what: str = "group") -> None:
    """UserError where one group (with ``by_group``), or the same pixels, are in two parts."""
    used = parts != UNUSED
    for column, name in (("group", units_of(what)), ("pixels", "sets of equal images")):
        if column not in frame.columns or (column == "group" and not by_group):
            continue
        known = frame[column].notna().to_numpy() & used
        pairs = pd.DataFrame({"value": frame[column].to_numpy()[known], "part": parts[known]}).drop_duplicates()
        leaked = pairs[pairs["value"].duplicated(keep=False)]
        if not len(leaked):
            continue
        value = sorted(leaked["value"], key=str)[0]
        where = " and ".join(sorted(leaked.loc[leaked["value"] == value, "part"]))
        rows = frame[(frame[column] == value).to_numpy() & known]
        example = repr(value) if column == "group" else ", ".join(rows["id"].head(4))
        advice = (
            "use by: group, which keeps them together, or by: image to accept it"
            if column == "group"
            else "set data.duplicates to drop, or use by: group"
        )
        raise UserError(
            f"leak: {leaked['value'].nunique()} {name} are in more than one part, "
            f"for example {example} in {where}: {advice}"
        )


def _check_fractions(fractions: Fractions) -> None:
    if abs(sum(fractions) - 1) > 1e-6 or fractions[0] <= 0 or min(fractions) < 0:
        raise UserError(
            f"split fractions {tuple(fractions)}: training, validation and test must add up to 1, with some training"
        )


def _check_classes(frame: pd.DataFrame, classes: Sequence[str]) -> None:
    if (frame["label"] < 0).all():
        return
    counts = np.bincount(frame["label"][frame["label"] >= 0], minlength=len(classes))
    empty = [class_name(int(label), classes) for label in np.flatnonzero(counts == 0)]
    if empty:
        raise UserError(
            f"class {', '.join(map(repr, empty))} has no samples: add some, or leave the class out of classes"
        )


def _check_counts(
    frame: pd.DataFrame, units: NDArray[np.int64], fractions: Fractions, classes: Sequence[str], what: str
) -> None:
    """UserError where there are too few units to have one, of each class, in every part."""
    if frame.empty:
        raise UserError("no image is left to split: those there were are equal and have different labels")
    parts = int(np.count_nonzero(fractions))
    count = int(units.max()) + 1
    if count < parts:
        only = f"only one {unit_of(what)}" if count == 1 else f"only {count} {units_of(what)}"
        hint = "collect more, or use by: image and accept that sides share it" if what != "image" else "collect more"
        raise UserError(f"{only} in {len(frame)} samples: {parts} parts need at least {parts}; {hint}")
    for label in np.unique(frame["label"]):
        rows = (frame["label"] == label).to_numpy()
        have = len(np.unique(units[rows]))
        if have < parts:
            found = f"{have} {unit_of(what) if have == 1 else units_of(what)}"
            samples = "" if what == "image" else f" ({int(rows.sum())} samples)"
            shared = "" if what == "image" else f", or use by: image and accept that sides share {units_of(what)}"
            raise UserError(
                f"class {class_name(int(label), classes)!r} has {found}{samples}: too small to be in {parts} parts; "
                f"collect more, join it to another class, or leave it out{shared}"
            )


def _missing_classes(
    frame: pd.DataFrame, parts: NDArray[np.object_], classes: Sequence[str], *, may_lack: Sequence[str]
) -> list[str]:
    """A note where a part lacks a class that ``may_lack`` one; UserError for the others."""
    labels = frame["label"].to_numpy()
    notes = []
    for part in PARTS:
        if not (parts == part).any():
            continue
        absent = np.setdiff1d(labels, labels[parts == part])
        if absent.size:
            names = ", ".join(repr(class_name(int(label), classes)) for label in absent)
            if part not in may_lack:
                raise UserError(
                    f"class {names} has no sample in the {part} part: too few groups hold it; "
                    "collect more, use other fractions or another split seed, or use by: image"
                )
            notes.append(f"Class {names} has no sample in the {part} part.")
    return notes


def _official(
    frame: pd.DataFrame, units: NDArray[np.int64], fractions: Fractions, seed: int, what: str
) -> tuple[NDArray[np.object_], list[str]]:
    """The official parts; a missing validation or test part is carved out of training."""
    official = frame["split"]
    if official.isna().any():
        raise UserError(f"split by official: {int(official.isna().sum())} samples are in no official part")
    parts = official.to_numpy(dtype=object).copy()
    unknown = set(parts) - set(PARTS)
    if unknown or "train" not in parts:
        raise UserError(f"split by official: parts are {sorted(set(parts))}, expected train and {', '.join(PARTS[1:])}")
    wanted = [(part, share) for part, share in zip(PARTS, fractions, strict=True) if share > 0]
    missing = [part for part, _ in wanted if part not in parts]
    if not missing:
        return parts, []
    shares = {part: share for part, share in wanted if part in ("train", *missing)}
    total = sum(shares.values())
    carved: Fractions = (
        shares["train"] / total, shares.get("validation", 0.0) / total, shares.get("test", 0.0) / total
    )  # fmt: skip
    train = np.flatnonzero(parts == "train")
    inside = frame.iloc[train]
    own = np.unique(units[train], return_inverse=True)[1].astype(np.int64)
    _check_counts(inside, own, carved, (), what)
    parts[train] = _place(inside, own, carved, seed)
    told = " and ".join(missing)
    return parts, [f"There is no official {told} part: it was carved out of the official training part, by {what}."]


def _units(frame: pd.DataFrame, *, by_group: bool) -> NDArray[np.int64]:
    """Unit number of each row: rows share one where they share a group or pixels, also by way of others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(frame)
    columns = (["group"] if by_group else []) + (["pixels"] if "pixels" in frame.columns else [])
    rows: list[NDArray[np.int64]] = []
    links: list[NDArray[np.int64]] = []
    offset = count
    for column in columns:
        codes = pd.factorize(frame[column])[0]
        known = np.flatnonzero(codes >= 0)
        rows.append(known)
        links.append(codes[known] + offset)
        offset += int(codes.max(initial=-1)) + 1
    start, end = (np.concatenate(part) if part else np.empty(0, dtype=np.int64) for part in (rows, links))
    graph = coo_array((np.ones(len(start), dtype=bool), (start, end)), shape=(offset, offset))
    component = connected_components(graph, directed=False)[1][:count]
    return np.unique(component, return_inverse=True)[1].astype(np.int64)


def _place(frame: pd.DataFrame, units: NDArray[np.int64], fractions: Fractions, seed: int) -> NDArray[np.object_]:
    ids, labels = frame["id"].to_numpy(dtype=object), frame["label"].to_numpy(dtype=np.int64)
    return np.array(PARTS, dtype=object)[parts_of_rows(ids, labels, units, np.array(fractions), seed)]


def _image_note(frame: pd.DataFrame, parts: NDArray[np.object_], what: str, has_groups: bool) -> str:
    if not has_groups:
        return "Split by image: no groups are known, images of one patient can be on both sides."
    sides = pd.DataFrame({"group": frame["group"].to_numpy(), "part": parts}).drop_duplicates()
    shared = int((sides["group"].value_counts() > 1).sum())
    return (
        f"Split by image: {shared} of {frame['group'].nunique()} {units_of(what)} are in more than one part, "
        "so results are optimistic."
    )
