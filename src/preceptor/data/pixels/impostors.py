"""Files that are not what their names say: what they are instead, from their first bytes, and what to do."""

_HTML = (b"<!doctype html", b"<html", b"<head")
_GZIP = b"\x1f\x8b"
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "it is a pointer of Git LFS: fetch the file itself with `git lfs pull`"),
    (b"/annex/objects/", "it is a pointer of git-annex: fetch the file itself with `git annex get`"),
    (b"%PDF", "it is a PDF: save its pages as PNG"),
    (b"PK\x03\x04", "it is a zip archive or a spreadsheet of Excel: unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "it is a spreadsheet of Excel: save it as CSV"),
    (_GZIP, "it is compressed with gzip: unpack it"),
    (b"<?xml", "it is XML"),
    (b"<svg", "it is a drawing (SVG): save it as PNG"),
    (b'{"', "it is JSON"),
)
_ISO_MEDIA = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"avif": "AVIF"}


def what_it_is(head: bytes, name: str = "") -> str | None:
    """What a file is that begins with ``head``, its first hundred bytes or more.

    None where nothing is known of it, or where its ``name`` says so, as ``.nii.gz`` does of gzip.
    """
    if not head:
        return "it is empty"
    if not any(head):
        return "it begins with nothing but zeros, as where a copy was broken off: copy it again"
    if head.startswith(_GZIP) and name.lower().endswith(".gz"):
        return None
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:20].lower().startswith(_HTML):
        return "it is a web page (HTML), as where a download needs a login: download it again"
    if head[4:8] == b"ftyp" and head[8:12] in _ISO_MEDIA:
        return f"it is a picture in the format {_ISO_MEDIA[head[8:12]]}: save it as PNG or JPEG"
    return next((what for begins, what in _BEGINNINGS if start.startswith(begins)), None)
