"""Where images were made: the site of each, by a column, by a rule for their places, or by published names."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from preceptor.data.name_rules import sites_by_name
from preceptor.data.patterns import found_in_all
from preceptor.data.pixels.endings import parted
from preceptor.data.samples import SampleTable
from preceptor.data.sources._options import Source, has_option

OPTION = "site"


def without_site_option(source: Source, options: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """A source's other options, and the rule for sites where it has no such option of its own."""
    if OPTION not in options or has_option(source, OPTION):
        return dict(options), None
    return {name: value for name, value in options.items() if name != OPTION}, str(options[OPTION])


def with_sites(table: SampleTable, rule: str | None) -> SampleTable:
    """``table`` with a column ``site`` in its frame, where something tells it.

    Args:
        rule: regular expression searched in the place of each image; its first bracket, or all that it matches, is the
            site. Without, the source's own column counts, then names that follow a published scheme.

    Raises:
        UserError: the rule finds nothing in the place of an image.
    """
    if rule is None and OPTION in table.frame:
        return table
    places = table.frame["image"].tolist()
    if rule is not None:
        found = found_in_all(rule, places, table.source, OPTION)
    else:
        found = sites_by_name([parted(os.path.basename(place))[0] for place in places])
    if not found:
        return table
    return replace(table, frame=table.frame.assign(site=np.array(found, dtype=object)))
