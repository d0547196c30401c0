"""Masks of DICOM images as DICOM segmentations (SEG), which viewers and archives lay over them."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from preceptor import __version__
from preceptor.data.pixels.endings import DICOM_SUFFIXES, ending_of
from preceptor.data.samples import Pixels
from preceptor.deploy.contract import Contract
from preceptor.deploy.images import Item, file_for
from preceptor.errors import UserError
from preceptor.extras import install_command
from preceptor.files import write_with

FOLDER = "segmentations"
_MAKER = "preceptor"
_PRIVATE = "99PRECEPTOR"  # names of classes are the data's own words, and in no public list of codes
_CATEGORY = ("309825002", "SCT", "Spatial and Relational Concept")  # what a class is, anatomy or disease, is not known
_LONGEST = 64  # letters in a DICOM name


@dataclass(frozen=True, slots=True)
class _Source:
    """The images of one segmentation: those of a series, in the order of its files, or the frames of one file."""

    items: tuple[Item, ...]
    headers: tuple[Any, ...]
    name: str


def require_dicom(items: Sequence[Item], contract: Contract) -> None:
    """Refuse segmentations where there can be none.

    Raises:
        UserError: the network classifies, no image is DICOM, or the extra is missing.
    """
    if not contract.has_masks:
        raise UserError("--dicom-seg writes masks, and this network classifies; leave it out")
    if not any(_is_dicom(item) for item in items):
        raise UserError("--dicom-seg is for DICOM images, and none of these is one; leave it out")
    if find_spec("highdicom") is None:
        raise UserError(f"--dicom-seg wants highdicom, which is not installed: {install_command('dicom')}")


def write_segmentations(
    out: Path, items: Sequence[Item], contract: Contract, identity: str, note: Callable[[str], object]
) -> None:
    """Write ``out/segmentations`` from the masks in ``out/masks``; what is there already is left alone.

    Slices of one series that lie in one frame of reference become one object, every other file its own.

    Args:
        identity: of the network: the same masks bear the same UIDs.
        note: told of images of which no segmentation can be made, and why.
    """
    for source in _sources([item for item in items if _is_dicom(item)]):
        place = file_for(out / FOLDER, source.name, ".dcm")
        if place.exists():
            continue
        masks = [_mask(out, item, contract) for item in source.items]
        if any(mask is None for mask in masks):
            note(f"{source.name}: no DICOM SEG, since not all of its images were answered")
            continue
        try:
            made = _segmentation(source, np.stack([mask for mask in masks if mask is not None]), contract, identity)
        except Exception as error:  # highdicom names what a file lacks by errors of many kinds
            first = (str(error) or type(error).__name__).splitlines()[0]
            note(f"{source.name}: no DICOM SEG, since the image lacks what one must refer to: {first}")
            continue
        write_with(place, made.save_as)


def _is_dicom(item: Item) -> bool:
    return ending_of(item.path) in DICOM_SUFFIXES


def _mask(out: Path, item: Item, contract: Contract) -> Pixels | None:
    path = file_for(out / "masks", item.name)
    if not path.exists():
        return None
    with Image.open(path) as image:
        found: Pixels = np.array(image) // np.uint8(contract.grey_step)
    return found


def _sources(items: Sequence[Item]) -> list[_Source]:
    import pydicom

    headers: dict[str, Any] = {}
    found: dict[tuple[object, ...], list[Item]] = {}
    for item in items:
        if item.path not in headers:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # remarks on odd values of tags that are not used
                try:
                    headers[item.path] = pydicom.dcmread(item.path, stop_before_pixels=True)
                except Exception:  # of many kinds; the row of the image says what is wrong
                    continue
        found.setdefault(_key(item, headers[item.path]), []).append(item)
    sources = []
    for some in found.values():
        of = tuple(headers[path] for path in dict.fromkeys(item.path for item in some))
        name = some[0].name.split("#")[0] if len(of) == 1 else f"series-{of[0].SeriesInstanceUID}"
        sources.append(_Source(tuple(some), of, name))
    return sources


def _key(item: Item, header: Any) -> tuple[object, ...]:
    """What the images of one segmentation have in common."""
    series, frame = header.get("SeriesInstanceUID"), header.get("FrameOfReferenceUID")
    if item.place is not None or not series or not frame or "ImagePositionPatient" not in header:
        return (item.path,)
    return str(series), str(frame), int(header.Rows), int(header.Columns)


def _segmentation(source: _Source, masks: Pixels, contract: Contract, identity: str) -> Any:
    import highdicom
    from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    of = [str(header.SOPInstanceUID) for header in source.headers]
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=_MAKER, family=codes.DCM.ArtificialIntelligence, version=identity[:16]
    )
    names = [name.replace("\\", "/")[:_LONGEST] for name in contract.classes[1:]]
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=CodedConcept(*_CATEGORY),
            segmented_property_type=CodedConcept(f"class{number}", _PRIVATE, name),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number, name in enumerate(names, start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on odd values of tags of the source
        made = Segmentation(
            source_images=list(source.headers),
            pixel_array=masks,
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=described,
            series_instance_uid=generate_uid(entropy_srcs=[identity, "series", *of]),
            series_number=1000,
            sop_instance_uid=generate_uid(entropy_srcs=[identity, "object", *of]),
            instance_number=1,
            manufacturer=_MAKER,
            manufacturer_model_name="preceptor predict",
            software_versions=__version__,
            device_serial_number=identity[:16],
            omit_empty_frames=False,
            specific_character_set="ISO_IR 192",
        )
    dimensions = generate_uid(entropy_srcs=[identity, "dimensions", *of])  # which highdicom draws anew each time
    for one in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        one.DimensionOrganizationUID = dimensions
    return made
