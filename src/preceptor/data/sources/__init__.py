"""Where images come from: a layout on disk is a file here, with a function to a sample table, or a rule of paths.

Rules are in :mod:`preceptor.data.layouts`.

:data:`SOURCES` holds them by name, :func:`open_source` checks a name and its options and opens it,
:func:`recognise` finds the name and options for a folder.
"""

from collections.abc import Mapping
from typing import Any

from preceptor.data.samples import SampleTable
from preceptor.data.sources._masks import with_masks, without_mask_options
from preceptor.data.sources._options import Source, nearest_or_all, opened
from preceptor.data.sources._own import open_own
from preceptor.data.sources._pixels import separated, with_pixels
from preceptor.data.sources.breakhis import breakhis
from preceptor.data.sources.dsb2018 import dsb2018
from preceptor.data.sources.folder import folder
from preceptor.data.sources.ham10000 import ham10000
from preceptor.data.sources.histopathologic_cancer import histopathologic_cancer
from preceptor.data.sources.kather2016 import kather2016
from preceptor.data.sources.lgg import lgg
from preceptor.data.sources.medmnist import medmnist
from preceptor.data.sources.pannuke import pannuke
from preceptor.data.sources.paths import LAYOUT_SOURCES, paths
from preceptor.data.sources.pcam import pcam
from preceptor.data.sources.phantom import phantom
from preceptor.data.sources.recognise import Recognised, recognise
from preceptor.data.sources.table import table
from preceptor.errors import UserError
from preceptor.own_code import is_own
from preceptor.specs import DataSpec

SOURCES: dict[str, Source] = {
    **{
        source.__name__: source
        for source in (
            kather2016, histopathologic_cancer, pcam, breakhis, ham10000, lgg, dsb2018, pannuke, medmnist, folder,
            paths, table, phantom,
        )
    },
    **{source.layout.key: source for source in LAYOUT_SOURCES},
}  # fmt: skip


def open_source(
    key: str, path: str | None = None, options: Mapping[str, Any] | None = None, spec: DataSpec | None = None
) -> SampleTable:
    """The sample table of the data at ``path``, which may hold ``${VARIABLES}``.

    Args:
        options: of the source, and for image files those on pixels (:class:`preceptor.data.pixels.PixelRules`) and
            masks (:class:`preceptor.data.masks.rules.MaskRules`).
        spec: what a recipe wants of its images; 8-bit RGB unless given.

    Raises:
        UserError: no such source, a wrong option, a variable that is not set, or a layout that the
            source does not understand.
    """
    own, on_pixels = separated(options or {})
    own, on_masks = without_mask_options(own)
    if is_own(key):
        return with_pixels(with_masks(open_own(key, path, own), on_masks), on_pixels, spec)
    if key not in SOURCES:
        raise UserError(
            f"unknown data source {key!r}: {nearest_or_all(key, SOURCES)} Your own is named path/to/file.py:name."
        )
    return with_pixels(with_masks(opened(key, SOURCES[key], path, own), on_masks), on_pixels, spec)


__all__ = ["SOURCES", "Recognised", "Source", "open_source", "recognise"]
