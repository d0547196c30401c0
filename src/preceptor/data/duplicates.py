"""What happens to images with equal pixels."""

from typing import Literal

import numpy as np
import pandas as pd

from preceptor.data.decoded import pixel_hash
from preceptor.data.packed import PackedSet
from preceptor.data.samples import PARTS, is_known
from preceptor.errors import UserError

Duplicates = Literal["drop", "keep", "error"]


def with_mask_pixels(frame: pd.DataFrame, packed: PackedSet) -> pd.DataFrame:
    """``frame`` with a column ``mask_pixels`` that tells different packed masks of equal images apart.

    Args:
        frame: rows of ``packed``; tiles (column ``parent``) have those of their whole image.
    """
    if packed.masks is None or "pixels" not in frame.columns:
        return frame
    image = frame["parent" if "parent" in frame.columns else "id"]
    repeated = frame["pixels"].notna() & (image.groupby(frame["pixels"]).transform("nunique") > 1)
    hashes = {
        name: pixel_hash(packed.masks.read(rows.to_numpy(dtype=np.int64)))
        for name, rows in frame.index[repeated].to_series().groupby(image[repeated])
    }
    return frame.assign(mask_pixels=image.map(hashes))


def settle_duplicates(frame: pd.DataFrame, policy: Duplicates) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """What is left after the policy on images with equal ``pixels``, and a note for each thing done.

    ``drop`` keeps one where the labels (for masks: the column ``mask_pixels`` where there is one) agree
    and none where they differ. Of images in several official parts the test one is kept, then the
    validation one; otherwise the one with the first id; one with a label before those without. ``keep``
    leaves all, and :func:`split` puts equal ones on one side. ``error`` refuses. The index of the frame is left as it
    is.
    """
    if "pixels" not in frame.columns:
        return frame, ()
    repeated = frame[frame["pixels"].duplicated(keep=False) & frame["pixels"].notna()]
    if not len(repeated):
        return frame, ()
    sets = [rows for _, rows in sorted(repeated.groupby("pixels"), key=lambda item: str(item[1]["id"].min()))]
    if policy == "error":
        raise UserError(
            f"{len(sets)} sets of images have equal pixels: {_listed(sets)}.\n"
            "Remove them, or set data.duplicates to drop or keep."
        )
    if policy == "keep":
        return frame, (f"{len(sets)} sets of equal images are kept on one side of the split ({_listed(sets)}).",)
    dropped: list[int] = []
    notes = []
    agreeing = [rows for rows in sets if _agree(rows)]
    differing = [rows for rows in sets if not _agree(rows)]
    for rows in agreeing:
        order = rows["split"].map({part: number for number, part in enumerate(reversed(PARTS))}).fillna(3)
        lacking = ~is_known(rows)
        first = rows.assign(order=order, lacking=lacking).sort_values(["lacking", "order", "id"]).index[0]
        dropped += [row for row in rows.index if row != first]
    for rows in differing:
        dropped += list(rows.index)
    for some, done in (
        (agreeing, "the same label: one of each is kept"),
        (differing, "different labels: none is kept"),
    ):
        if some:
            notes.append(f"{len(some)} sets of images have equal pixels and {done} ({_listed(some)}).")
    return frame.drop(index=dropped), tuple(notes)


def _agree(rows: pd.DataFrame) -> bool:
    masks = rows["mask_pixels"][is_known(rows)].nunique(dropna=False) if "mask_pixels" in rows.columns else 1
    return rows["label"].where(rows["label"] >= 0).nunique() <= 1 and masks <= 1


def _listed(sets: list[pd.DataFrame]) -> str:
    more = f"; and {len(sets) - 5} more" if len(sets) > 5 else ""
    return "; ".join(_named(rows) for rows in sets[:5]) + more


def _named(rows: pd.DataFrame) -> str:
    names = sorted(rows["id"])
    return " = ".join(names[:4]) + (f" = … ({len(names)} in all)" if len(names) > 4 else "")
