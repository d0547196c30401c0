"""Rows for the slices and frames of volumes, and the groups that their files tell."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from preceptor.data.pixels import dicom, nifti
from preceptor.data.pixels.endings import DICOM_SUFFIXES, NIFTI_SUFFIXES, begins_as_dicom, ending_of, parted
from preceptor.data.pixels.rules import PixelRules
from preceptor.errors import UserError
from preceptor.quoting import quoted

_SUBJECT = re.compile(r"(?:^|[_/])(sub-[A-Za-z0-9]+)")  # as BIDS names files


@dataclass(frozen=True)
class Volume:
    """What a file says of itself.

    Args:
        slices: how many images it becomes.
        group: whom it shows, or None.
        is_named: that is told by the name of the file alone.
        spacing: in mm, along its axes.
        is_readable: it could be looked at; what is wrong else is said by whoever reads it.
    """

    slices: int = 1
    group: str | None = None
    is_named: bool = False
    spacing: tuple[float, ...] | None = None
    is_readable: bool = True


def volume_at(path: str, rules: PixelRules) -> Volume | None:
    """What the volume at ``path`` says of itself; None where it is a plain image.

    Raises:
        UserError: the extra that reads it is missing.
    """
    ending = ending_of(path)
    if ending not in DICOM_SUFFIXES | NIFTI_SUFFIXES and (ending or not begins_as_dicom(path)):
        return None
    try:
        if ending in NIFTI_SUFFIXES:
            slices, spacing = nifti.about(path, rules.axis)
            named = _SUBJECT.search(path)
            group = named[1] if named else parted(os.path.basename(path))[0]
            return Volume(slices, group, named is None, spacing)
        frames, patient, apart = dicom.about(path)
        whom = dicom.hashed(patient) if patient is not None and rules.patient_ids == "hashed" else patient
        return Volume(frames, whom, spacing=apart)
    except UserError:
        raise
    except Exception:  # many kinds, from pydicom and nibabel
        return Volume(is_readable=False)


def places_of(volumes: Sequence[Volume | None]) -> tuple[list[int], list[int | None]]:
    """The row and the slice of every image that some rows become; no slice where the row is one image."""
    rows: list[int] = []
    places: list[int | None] = []
    for row, volume in enumerate(volumes):
        count = volume.slices if volume is not None else 1
        rows += [row] * count
        places += list(range(count)) if count > 1 else [None]
    return rows, places


def groups_of_volumes(volumes: Sequence[Volume | None], ids: Sequence[str]) -> list[str | None]:
    """Whom each shows; a name that files of several folders have, such as ``scan.nii.gz``, tells nobody."""
    names = Counter(volume.group for volume in volumes if volume is not None and volume.is_named)
    return [
        volume if volume is None else id if volume.is_named and names[volume.group] > 1 else volume.group
        for volume, id in zip(volumes, ids, strict=True)
    ]


def unfolded_frame(
    frame: pd.DataFrame, rows: Sequence[int], places: Sequence[int | None], groups: Sequence[str | None]
) -> pd.DataFrame:
    """The table with a row for each slice, called ``<id>#<slice>``, and the groups of the files where it has none."""
    found = frame.iloc[list(rows)].reset_index(drop=True)
    found = found.astype(dict.fromkeys(("id", "image", "mask", "group", "split"), object))
    numbers = ["" if place is None else f"#{place:04d}" for place in places]
    found["id"] = found["id"] + pd.Series(numbers, dtype=object)
    if not frame["group"].notna().any() and any(group is not None for group in groups):
        own = [group if group is not None else f"file {frame['id'].iloc[row]}" for row, group in enumerate(groups)]
        found["group"] = pd.Series([own[row] for row in rows], dtype=object)
    return found.where(found.notna(), None)


def unequal_slices(image: str, mask: str, of_image: Volume | None, of_mask: Volume | None) -> str | None:
    """What is wrong where a mask has not a slice for each of its image; None where it has."""
    wanted, found = of_image or Volume(), of_mask or Volume()
    if wanted.slices == found.slices or not (wanted.is_readable and found.is_readable):
        return None
    return (
        f"mask {quoted(mask)} has {found.slices} slices, its image {quoted(image)} {wanted.slices}: one each was "
        "expected;\nmake the mask anew from this image, or leave both out"
    )


def volumes_in_words(volumes: Sequence[Volume | None], rules: PixelRules) -> tuple[str, ...]:
    """What is to be said of volumes: how they are cut, how far apart their voxels are, and what the groups are."""
    found = [volume for volume in volumes if volume is not None and volume.is_readable]
    if not found:
        return ()
    said = [
        "Networks see slices one by one (2-D)"
        + (f", each with its neighbours ({rules.stack} in all)" if rules.stack > 1 else "")
    ]
    spacings = np.array([volume.spacing[:2] for volume in found if volume.spacing is not None])
    if len(spacings):
        low, high = spacings.min(axis=0), spacings.max(axis=0)
        apart = " x ".join(f"{a:g}" if a == b else f"{a:g} to {b:g}" for a, b in zip(low, high, strict=True))
        said.append(f"voxels are {apart} mm along the first two axes, and are not resampled to one spacing")
    names = Counter(volume.group for volume in found if volume.is_named)
    if any(count > 1 for count in names.values()):
        said.append(
            "files of several folders have one name, so that each file is a group of its own unless folders tell"
        )
    without = sum(volume.group is None for volume in found)
    if without:
        said.append(f"{without} files have no PatientID: each is a group of its own")
    return ("; ".join(said) + ".",)
