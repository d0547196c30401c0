"""Following a name that a folder's own files give, without leaving the folder."""

from pathlib import Path, PurePosixPath

from preceptor.errors import UserError


def inside(folder: Path, name: object, *, said_by: Path) -> Path:
    """The path of ``name`` in ``folder``, which may come from anybody and so may say anything.

    Args:
        said_by: the file in which the name stands, for errors.

    Raises:
        UserError: the name is none, leads out of the folder, by itself or by a link on its way, or is a device.
    """
    wrong = None
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or "\0" in str(name):
        wrong = "that is no name of a file"
    elif parts[0] == "/" or ".." in parts:
        wrong = "that leads out of it"
    if wrong is None:
        path = folder.joinpath(*parts)
        try:
            if not path.resolve().is_relative_to(folder.resolve()):
                wrong = "a link there leads out of it"
            elif path.exists() and not (path.is_file() or path.is_dir()):
                wrong = "that is a pipe or device"
        except (OSError, RuntimeError) as error:  # too long, or links in a circle
            wrong = f"that cannot be followed ({error.__class__.__name__})"
    if wrong:
        raise UserError(f"{said_by} names {name!r} in {folder}: {wrong}. Remove the entry, or have the file made anew")
    return path
