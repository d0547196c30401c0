"""Folders of images and masks that are damaged, odd, hostile, or say nothing."""

import os
import struct

import numpy as np
import tifffile
from PIL import Image

from .make import Table, class_folders, command, mask_folders, picture, png_of_zeros, recipe, train

TABLE = Table()
case = TABLE.case


def with_data(folder, **circumstances):
    return train(folder, recipe(data=class_folders(folder)), **circumstances)


def with_option(folder, **options):
    return train(folder, recipe(data={**class_folders(folder), "options": options}))


def ant(folder, name):
    """Where an image of the first class would be."""
    place = folder / "data" / "ant"
    place.mkdir(parents=True, exist_ok=True)
    return place / name


def masked(folder, change):
    data = mask_folders(folder)
    change(folder / "data" / "masks")
    return train(folder, recipe("segmentation", data=data))


@case(2, "needs a path")
def data_path_none(folder):
    return train(folder, recipe(data={"source": "folder", "options": {}}))


@case(2, "")
def data_path_empty_string(folder):
    return train(folder, recipe(data={"source": "folder", "options": {}, "path": ""}))


@case(2, "saw: nothing")
def data_empty_folder(folder):
    (folder / "d").mkdir()
    return train(folder, recipe(data={"source": "folder", "options": {}, "path": str(folder / "d")}))


@case(2, r"p1\.png")
def data_zero_bytes_png(folder):
    call = with_data(folder)
    ant(folder, "p1.png").write_bytes(b"")
    return call


@case(2, r"p1\.png")
def data_text_as_png(folder):
    call = with_data(folder)
    ant(folder, "p1.png").write_text("hello")
    return call


@case(2, r"zz\.jpg.*(damaged|truncated)")
def data_trunc_jpg(folder):
    file = picture(ant(folder, "zz.jpg"), (64, 64))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    return with_data(folder)


@case(2, r"p1\.png")
def data_bad_crc_png(folder):
    call = with_data(folder)
    content = bytearray(ant(folder, "p1.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    ant(folder, "p1.png").write_bytes(content)
    return call


@case(2, r"p1\.png")
def data_gif_as_png(folder):
    call = with_data(folder)
    frames = [Image.new("L", (8, 8), 80 * number) for number in range(3)]
    frames[0].save(ant(folder, "p1.png"), format="GIF", save_all=True, append_images=frames[1:])
    return call


@case(2, r"p1\.png")
def data_eps_as_png(folder):
    call = with_data(folder)
    ant(folder, "p1.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    return call


@case(2, r"m\.tif.* 2 pages")
def data_multipage_tiff(folder):
    Image.new("L", (8, 8)).save(ant(folder, "m.tif"), save_all=True, append_images=[Image.new("L", (8, 8))])
    return with_data(folder)


@case(2, r"n\.tif.*NaN")
def data_nan_tiff(folder):
    values = np.full((8, 8, 3), 0.5, dtype=np.float32)
    values[0, 0, 0] = np.nan
    tifffile.imwrite(ant(folder, "n.tif"), values, photometric="rgb")
    return with_data(folder)


@case(2, r"n\.tif.*5 channels")
def data_5ch_tiff(folder):
    tifffile.imwrite(
        ant(folder, "n.tif"), np.zeros((8, 8, 5), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    return with_data(folder)


@case(2, r"n\.tif.*int32")
def data_int32_tiff(folder):
    tifffile.imwrite(ant(folder, "n.tif"), np.zeros((8, 8), np.int32))
    return with_data(folder)


@case(2, r"bomb\.png.*too large")
def data_bomb_png(folder):
    png_of_zeros(ant(folder, "bomb.png"), 20_000, 20_000)
    return with_data(folder, gib=6)


@case(2, r"bomb\.png|memory", slow=True)
def data_bomb_png_below_limit(folder):
    png_of_zeros(ant(folder, "bomb.png"), 13_000, 13_000)
    return with_data(folder, gib=3)


@case(2, r"b\.tif")
def data_bomb_tiff_float(folder):
    """A small compressed TIFF that says it is 200,000 pixels wide and high."""
    file = ant(folder, "b.tif")
    values = np.zeros((300, 300, 5), np.float32)
    tifffile.imwrite(file, values, compression="zlib", photometric="minisblack", planarconfig="contig")
    content = bytearray(file.read_bytes())
    start = struct.unpack("<I", content[4:8])[0]
    for entry in range(struct.unpack("<H", content[start : start + 2])[0]):
        at = start + 2 + 12 * entry
        if struct.unpack("<H", content[at : at + 2])[0] in (256, 257, 278):  # width, length, rows in a strip
            content[at + 2 : at + 4] = struct.pack("<H", 4)
            content[at + 8 : at + 12] = struct.pack("<I", 200_000)
    file.write_bytes(content)
    return with_data(folder, gib=6)


@case(2, r"fifo\.png.*named pipe")
def data_fifo(folder):
    os.mkfifo(ant(folder, "fifo.png"))
    return with_data(folder, seconds=25)


@case(2, r"zero\.png.*is a device")
def data_link_to_zero(folder):
    ant(folder, "zero.png").symlink_to("/dev/zero")
    return with_data(folder, seconds=25, gib=6)


@case(2, r"zero\.tif.*is a device")
def data_link_to_zero_tif(folder):
    ant(folder, "zero.tif").symlink_to("/dev/zero")
    return with_data(folder, seconds=25, gib=6)


@case(0, r"fifo\.png")
def inspect_fifo(folder):
    class_folders(folder)
    os.mkfifo(ant(folder, "fifo.png"))
    return command("data", "inspect", folder / "data", seconds=25)


@case(2, r"l\.png")
def data_dangling_link(folder):
    ant(folder, "l.png").symlink_to("/nonexistent")
    return with_data(folder)


@case(2, r"loop\.png")
def data_link_loop(folder):
    ant(folder, "loop.png").symlink_to("loop.png")
    return with_data(folder)


@case(2, "holds itself, by a link")
def data_dir_loop(folder):
    ant(folder, "up").symlink_to("..")
    return with_data(folder, seconds=25)


@case(2, "loop")
def data_class_dir_loop(folder):
    call = with_data(folder)
    (folder / "data" / "loop").symlink_to("loop")
    return call


@case(2, "holds itself, by a link")
def inspect_dir_loop(folder):
    class_folders(folder)
    (folder / "data" / "self").symlink_to(".")
    return command("data", "inspect", folder / "data", seconds=25)


@case(2, r"x\.png")
def data_dir_named_png(folder):
    call = with_data(folder)
    ant(folder, "x.png").mkdir()
    return call


def rename(folder, old, new):
    os.rename(os.fsencode(folder / "data") + old, os.fsencode(folder / "data") + new)


@case(2, r"UTF-8.*\\xff\\xfe\.png")
def data_non_utf8_name(folder):
    call = with_data(folder)
    rename(folder, b"/ant/p1.png", b"/ant/\xff\xfe.png")
    return call


@case(2, r"UTF-8.*\\xe9t\\xe9(.|\n)*convmv")
def data_non_utf8_class(folder):
    call = with_data(folder)
    rename(folder, b"/cat", b"/\xe9t\xe9")
    return call


@case(2, r"UTF-8.*\\xe9t\\xe9(.|\n)*convmv")
def inspect_non_utf8_class(folder):
    class_folders(folder)
    rename(folder, b"/cat", b"/\xe9t\xe9")
    return command("data", "inspect", folder / "data")


@case(2, r"\\x1b\[2J")
def data_escape_name(folder):
    call = with_data(folder)
    ant(folder, "p1.png").rename(ant(folder, "\x1b[2J\x1b]0;TITLE\x07.png"))
    ant(folder, "\x1b[2J\x1b]0;TITLE\x07.png").write_text("bad")
    return call


@case(2, "control characters")
def data_newline_name(folder):
    call = with_data(folder)
    ant(folder, "p1.png").rename(ant(folder, "a\nb.png"))
    return call


@case(2, "one class")
def data_one_class(folder):
    return train(folder, recipe(data=class_folders(folder, ("only",))))


@case(2, "too small|need")
def data_two_images(folder):
    return train(folder, recipe(data=class_folders(folder, ("a", "b"), 1)))


@case(2, r"p1\.jpg.*which is it")
def data_png_and_jpg_same_stem(folder):
    call = with_data(folder)
    picture(ant(folder, "p1.jpg"))
    return call


@case(0, "run folder", slow=True)
def data_1px_images(folder):
    for number, name in enumerate("ab"):
        for image in range(12):
            picture(folder / "data" / name / f"{image}.png", (1, 1), image + 50 * number)
    return train(folder, recipe(data={"source": "folder", "path": str(folder / "data"), "options": {}}))


@case(0, "run folder", slow=True)
def data_long_ratio(folder):
    picture(ant(folder, "zz.png"), (1, 30_000))
    return with_data(folder)


@case(2, "no regular expression")
def data_group_regex_invalid(folder):
    return with_option(folder, group="([")


@case(2, "finds nothing in")
def data_group_regex_no_match(folder):
    return with_option(folder, group=r"^patient(\d+)")


@case(2, "group")
def data_group_regex_redos(folder):
    picture(ant(folder, "a" * 60 + "!.png"), seed=7)
    return with_option(folder, group="^(a+)+$")


@case(2, r"i1\.png.* 8 x 8 .*must be equal")
def mask_size(folder):
    return masked(folder, lambda masks: Image.new("L", (8, 8)).save(masks / "i1.png"))


@case(2, r"i1\.png.*unexpected values 0, 7")
def mask_values(folder):
    return masked(folder, lambda masks: Image.new("L", (32, 32), 7).save(masks / "i1.png"))


@case(2, r"i1\.png.*colours")
def mask_colour(folder):
    return masked(folder, lambda masks: Image.new("RGB", (32, 32), (255, 0, 0)).save(masks / "i1.png"))


@case(2, "without a mask.*i1")
def mask_missing(folder):
    return masked(folder, lambda masks: (masks / "i1.png").unlink())


@case(2, "every mask is empty")
def masks_all_background(folder):
    return masked(folder, lambda masks: [Image.new("L", (32, 32)).save(file) for file in masks.iterdir()])


@case(2, "yields classification samples")
def seg_recipe_class_data(folder):
    return train(folder, recipe("segmentation", data=class_folders(folder)))


@case(2, "40")
def seg_size_not_32(folder):
    return train(folder, recipe("segmentation", data={**mask_folders(folder), "image_size": 40}))
