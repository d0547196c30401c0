"""Files that people have beside their images, or instead of them, and that are not read: what to do with them."""

UNREAD: dict[str, tuple[tuple[str, ...], str]] = {
    "archives": ((".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"), "unpack them first"),
    "spreadsheets": ((".xlsx", ".xls", ".ods", ".numbers"), "save the sheet with the labels as CSV"),
    "whole slides": (
        (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".isyntax"),
        "cut them into tiles, as PNG or TIFF",
    ),
    "microscopes' own files": (
        (".czi", ".lif", ".nd2", ".oib", ".oif", ".vsi", ".lsm", ".ims", ".zarr", ".dv"),
        "save single images as TIFF, for example with Fiji",
    ),
    "volumes": ((".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".hdr", ".img"), "save them as NIfTI (.nii.gz)"),
    "newer picture formats": ((".heic", ".heif", ".avif", ".jxl"), "save them as PNG or JPEG"),
    "drawings": ((".svg", ".pdf", ".eps", ".ai", ".psd"), "save them as PNG"),
    "arrays": (
        (".npy", ".mat", ".h5", ".hdf5", ".pkl", ".pt"),
        "save each image as PNG or TIFF, or write a source of your own",
    ),
    "annotations": (
        (".json", ".xml", ".geojson", ".txt"),
        "labels belong into a table (CSV) of images and classes, outlines into masks",
    ),
}  # fmt: skip
"""What they are -> how their names end, and what to do."""
