"""Where images come from: a layout on disk is a file here, with a function of its name, or a rule of paths.

A file is found by itself; rules are in :mod:`preceptor.data.layouts`.

:data:`SOURCES` holds them by name, :func:`open_source` checks a name and its options and opens it,
:func:`recognise` finds the name and options for a folder.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from preceptor.data.pixels import PixelRules
from preceptor.data.samples import SampleTable
from preceptor.data.sources._masks import with_masks, without_mask_options
from preceptor.data.sources._options import Source, nearest_or_all, opened
from preceptor.data.sources._own import open_own
from preceptor.data.sources._pixels import rules_with, separated, with_pixels
from preceptor.data.sources._recognise import recognise
from preceptor.data.sources._recognised import Recognised
from preceptor.data.sources._sites import with_sites, without_site_option
from preceptor.data.sources.paths import LAYOUT_SOURCES
from preceptor.errors import UserError
from preceptor.own_code import is_own
from preceptor.specs import DataSpec


def _found() -> dict[str, Source]:
    """The function of each file that bears the file's name, then the rules of paths."""
    names = [path.stem for path in sorted(Path(__file__).parent.glob("[!_]*.py"))]
    functions = {name: getattr(import_module(f"{__name__}.{name}"), name) for name in names}
    return functions | {source.layout.key: source for source in LAYOUT_SOURCES}


SOURCES = _found()
"""Name in recipes -> function."""


def open_source(
    key: str, path: str | None = None, options: Mapping[str, Any] | None = None, spec: DataSpec | None = None
) -> SampleTable:
    """The sample table of the data at ``path``, which may hold ``${VARIABLES}``.

    Args:
        options: of the source, ``site`` (a rule for where images were made), and for image files those on pixels
            (:class:`preceptor.data.pixels.PixelRules`) and masks (:class:`preceptor.data.masks.rules.MaskRules`).
        spec: what a recipe wants of its images; 8-bit RGB unless given.

    Raises:
        UserError: no such source, a wrong option, a variable that is not set, or a layout that the
            source does not understand.
    """
    own, on_pixels = separated(options or {})
    own, on_masks = without_mask_options(own)
    if is_own(key):
        return with_pixels(with_masks(with_sites(open_own(key, path, own), None), on_masks), on_pixels, spec)
    if key not in SOURCES:
        raise UserError(
            f"unknown data source {key!r}: {nearest_or_all(key, SOURCES)} Your own is named path/to/file.py:name."
        )
    own, on_sites = without_site_option(SOURCES[key], own)
    table = with_sites(opened(key, SOURCES[key], path, own), on_sites)
    return with_pixels(with_masks(table, on_masks), on_pixels, spec)


def options_of_files(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``options`` that say how image files are read, whatever source names them."""
    return separated(options)[1]


def rules_of_files(key: str, options: Mapping[str, Any], spec: DataSpec) -> PixelRules:
    """By which image files are read, whatever source names them.

    Raises:
        UserError: a wrong option.
    """
    return rules_with(key, options_of_files(options), spec)


__all__ = ["SOURCES", "Recognised", "Source", "open_source", "options_of_files", "recognise", "rules_of_files"]
