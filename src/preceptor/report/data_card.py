"""What the data was: parts, groups, class balance, duplicates, and what was noted about it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from preceptor.groupings import units_of
from preceptor.measures import MEASURES
from preceptor.report.drawing.grid import Datum, Grid, label, number_datum
from preceptor.report.drift import drift_table
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import StudyRecord

PARTS = ("train", "validation", "test")
_DUPLICATES = {
    "drop": "one of each set is kept where labels agree, none where they differ",
    "keep": "all are kept, each set on one side of the split",
    "error": "none: they would have been refused",
}


@dataclass(frozen=True, slots=True)
class DataCard:
    """Facts in short sentences, the parts, and the classes where there are any."""

    facts: tuple[tuple[str, str], ...]
    parts: Grid
    classes: Grid | None
    drift: Grid | None
    notes: tuple[str, ...]


def data_card(study: StudyRecord) -> DataCard | None:
    """The card of the study's first split; it says so where seeds or cells are split differently."""
    begun = [job.run for job in study.jobs if job.run is not None]
    runs = [run for run in begun if run.split is not None]
    if not runs:
        return None
    first = next((run for run in runs if run.result is not None), runs[0])
    split = first.split
    assert split is not None
    others = {_split_key(run.split) for run in runs if run.split is not None}
    notes = list(dict.fromkeys(note for run in runs for note in run.notes))
    if len(others) > 1:
        notes.append(f"The runs have {len(others)} different splits; the tables here show that of {first.name}.")
    return DataCard(
        facts=tuple(_facts(first, split, runs)),
        parts=_parts(first, split),
        classes=_classes(first, split),
        drift=drift_table(first),
        notes=tuple(notes),
    )


def _split_key(split: pd.DataFrame) -> int:
    return hash(tuple(zip(split["id"], split["split"], strict=True)))


def _facts(run: RunRecord, split: pd.DataFrame, runs: Sequence[RunRecord]) -> list[tuple[str, str]]:
    data = run.recipe.get("data") or {}
    size = data.get("image_size")
    height, width = (size, size) if isinstance(size, int) else tuple(size or ("?", "?"))
    tile = data.get("tile")
    # The last part of a path names the data; the rest says only where one machine keeps it.
    where = str(data.get("path") or "generated").rstrip("/").split("/")[-1]
    facts = [
        ("data", f"{where}, read as {data.get('source')}"),
        (
            "images",
            f"{height} × {width} pixels" + (f", tiles of {tile['size']}" if tile else f", {data.get('resize')}"),
        ),
        ("split by", str(run.grouped_by or _asked_split(run))),
    ]
    groups = split["group"].notna().all()
    if groups:
        shared = split.groupby("group")["split"].nunique()
        leaks = int((shared > 1).sum())
        facts.append((f"{units_of(run.grouped_by)} on two sides", f"{leaks}" if leaks else "none"))
    policy = _DUPLICATES.get(str(data.get("duplicates")), "not stated")
    found = [note for note in run.notes if "equal pixels" in note or "equal images" in note]
    is_clean = run.result is not None and not found
    facts.append(("images of equal pixels", f"none found; of such, {policy}" if is_clean else policy))
    if masks := run.masks_known:
        facts.append(("masks known", f"{masks[0]:,} of {masks[1]:,} training images"))
    observer = _second_observer(run)
    if observer:
        facts.append(("second observer", observer))
    prints = {run.environment["data_fingerprint"] for run in runs if run.environment.get("data_fingerprint")}
    if prints:
        facts.append(("fingerprint", ", ".join(sorted(prints))))
    return facts


def _second_observer(run: RunRecord) -> str:
    """How far another observer agrees with the one from whom networks learn; empty without one."""
    scores = run.result.second_observer if run.result else {}
    if not scores:
        return ""
    of_masks = [one for one in MEASURES["segmentation"].values() if one.key in scores]
    said = ", ".join(f"{one.label} {100 * scores[one.name]:.1f} %" for one in of_masks)
    return f"{said} against the first, on {scores['images']:.0f} test images as large as their files"


def _asked_split(run: RunRecord) -> str:
    return str((run.recipe.get("split") or {}).get("by")) if run.result is None else "image: no groups are used"


def _parts(run: RunRecord, split: pd.DataFrame) -> Grid:
    rows = []
    for part in PARTS:
        mine = split[split["split"] == part]
        groups = mine["group"].nunique() if split["group"].notna().all() else None
        share = Datum(f"{100 * len(mine) / len(split):.1f}", len(mine) / len(split))
        rows.append((label(part), number_datum(len(mine)), share, number_datum(groups)))
    whole = split["group"].nunique() if split["group"].notna().all() else None
    rows.append((label("all"), number_datum(len(split)), Datum("100.0", 1.0), number_datum(whole)))
    heads = ("part", "samples", "%", units_of(run.grouped_by))
    keep = 4 if whole is not None else 3
    caption = "Weights learn from training, are chosen by validation, and are scored on test."
    return Grid("parts", "Parts", (heads[:keep],), tuple(row[:keep] for row in rows), 1, caption)


def _pixels(run: RunRecord) -> Grid | None:
    """Shares of the test pixels by class, from the counts of a network's predictions; None before these are there."""
    if run.predictions is None:
        return None
    counts = next(iter(run.predictions.networks.values()))  # (N, K, 4): tp, fp, fn, tn
    labelled = counts[..., 0] + counts[..., 2]
    shares = [1 - labelled.sum() / counts[:, 0].sum(), *(labelled.sum(axis=0) / counts[:, 0].sum())]
    shown = [int((labelled.sum(axis=1) < counts[:, 0].sum(axis=1)).sum()), *(labelled > 0).sum(axis=0).tolist()]
    names = run.classes
    if len(names) != len(shares):
        rest = ("foreground",) if len(shares) == 2 else tuple(f"class {place}" for place in range(1, len(shares)))
        names = ("background", *rest)
    rows = tuple(
        (label(name), Datum(f"{100 * share:.1f}", float(share)), number_datum(images))
        for name, share, images in zip(names, shares, shown, strict=True)
    )
    heads = ("class", "% of the test pixels", "test images with it")
    return Grid("classes", "Class balance", (heads,), rows, 1, "By the truth, of whole images.")


def _classes(run: RunRecord, split: pd.DataFrame) -> Grid | None:
    if run.task == "segmentation":
        return _pixels(run)
    if split["label"].isna().all():
        return None
    counts = split.groupby(["label", "split"]).size().unstack(fill_value=0).reindex(columns=PARTS, fill_value=0)
    counts = counts.loc[sorted(counts.index, key=lambda text: int(text) if text.lstrip("-").isdigit() else 0)]
    rows = []
    for name, row in counts.iterrows():
        place = int(str(name)) if str(name).isdigit() else -1
        called = run.classes[place] if 0 <= place < len(run.classes) else "no label" if str(name) == "-1" else str(name)
        data: list[Datum] = [label(called)]
        for part in PARTS:
            share = row[part] / max(1, counts[part].sum())
            data.append(Datum(f"{row[part]:,}", float(row[part]), beside=(f"{100 * share:.1f} %",),
                              numbers={"": float(row[part])}))  # fmt: skip
        rows.append(tuple(data))
    caption = "Samples of each class, and their share of the part."
    return Grid("classes", "Class balance", (("class", *PARTS),), tuple(rows), 1, caption)
