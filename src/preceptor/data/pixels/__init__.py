"""From a file to pixels: one format a file, and what its values mean decided in one place.

``pillow``, ``tiff``, ``dicom`` and ``nifti`` give what a file holds (:class:`StoredImage`): values, what is white,
which channels are colours. :func:`to_pixels` makes levels of brightness of it, by the rules of a data set
(:class:`PixelRules`).
"""

from preceptor.data.pixels.levels import to_pixels
from preceptor.data.pixels.rules import OPTIONS, USUAL, PixelRules
from preceptor.data.pixels.stored import StoredImage

__all__ = ["OPTIONS", "USUAL", "PixelRules", "StoredImage", "to_pixels"]
