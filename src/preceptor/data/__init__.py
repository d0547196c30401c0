"""What is learned from: sources and their sample tables, splits, packed images, batches."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.data.batches import Batch, Batches
    from preceptor.data.images import FileReader, image_in, read_image, read_mask
    from preceptor.data.inspect import Inspection
    from preceptor.data.order import SampleOrder
    from preceptor.data.packed import PackedSet, open_packed
    from preceptor.data.pixels import PixelRules
    from preceptor.data.prepare import Prepared
    from preceptor.data.samples import SampleTable
    from preceptor.data.sources import open_source
    from preceptor.data.splits import Split, split

__all__ = [
    "Batch",
    "Batches",
    "FileReader",
    "Inspection",
    "PackedSet",
    "PixelRules",
    "Prepared",
    "SampleOrder",
    "SampleTable",
    "Split",
    "image_in",
    "open_packed",
    "open_source",
    "read_image",
    "read_mask",
    "split",
]

__getattr__ = lazy_names(
    __name__,
    {
        "batches": ["Batch", "Batches"],
        "images": ["FileReader", "image_in", "read_image", "read_mask"],
        "inspect": ["Inspection"],
        "order": ["SampleOrder"],
        "packed": ["PackedSet", "open_packed"],
        "pixels": ["PixelRules"],
        "prepare": ["Prepared"],
        "samples": ["SampleTable"],
        "sources": ["open_source"],
        "splits": ["Split", "split"],
    },
)
