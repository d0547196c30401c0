"""The folder in which outputs of frozen networks are kept, and keeping it small. Needs no torch.

``KEY/about.json`` says what the outputs depend on, of which the key is the hash; beside it stand the shards.
``networks/DIGEST`` is the network itself, there to compute entries again.
"""

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from preceptor.embeddings.shards import shards_of, sweep
from preceptor.errors import UserError
from preceptor.files import write_json

FOLDER, ABOUT, NETWORKS = "teachers", "about.json", "networks"
FORMAT = 2
"""Of ``about.json``; one that says nothing is of the first. What is kept in another is computed again."""


def key_of(facts: Mapping[str, Any]) -> str:
    """The name of what depends on ``facts`` and on nothing else."""
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=10).hexdigest()


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What one network says of images that are brought before it in one way.

    Args:
        facts: everything the outputs depend on beside the image: ``network``, ``pixels``, ``arithmetic``, ``dtype``.
        name: the network's, in the run that began to keep it.
        packed: folder of the packed images of that run; others may have added theirs.
    """

    root: Path
    facts: Mapping[str, Any]
    name: str
    packed: str

    @property
    def key(self) -> str:
        """See :func:`key_of`."""
        return key_of(self.facts)

    @property
    def folder(self) -> Path:
        """Where its shards are."""
        return self.root / self.key

    @property
    def network_folder(self) -> Path:
        """Where the network is saved, together with others that keep its outputs."""
        return self.root / NETWORKS / str(self.facts["network"]["weights"])

    @property
    def shards(self) -> list[Path]:
        """Every whole shard."""
        return shards_of(self.folder)

    @property
    def bytes(self) -> int:
        """On disk, without the network."""
        return size_of(self.folder)

    @property
    def unused_for(self) -> float:
        """Days since a run last opened it."""
        return (time.time() - (self.folder / ABOUT).stat().st_mtime) / 86400

    @property
    def has_begun(self) -> bool:
        """Whether something is kept already, or was about to be."""
        return self._is_told or bool(self.shards)

    @property
    def _is_told(self) -> bool:
        try:
            return self.read(self.folder).facts == self.facts
        except ValueError:
            return False

    def begin(self) -> None:
        """Make the folder, or note that it is used; drop what dead processes left unfinished."""
        about = self.folder / ABOUT
        if not self._is_told:
            write_json(about, {"format": FORMAT, "facts": self.facts, "name": self.name, "packed": self.packed})
        with suppress(OSError):  # what is kept where nothing can be written serves as well
            os.utime(about)
        sweep(self.folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The reverse of :meth:`begin`.

        Raises:
            ValueError: damaged, or another's folder.
        """
        try:
            about = json.loads((folder / ABOUT).read_text())
            if about.get("format", 1) != FORMAT:
                raise ValueError(f"{folder}: is of format {about['format']}, not {FORMAT}")
            kept = cls(folder.parent, about["facts"], about["name"], about["packed"])
        except (OSError, KeyError, TypeError) as error:
            raise ValueError(f"{folder}: {error}") from None
        if kept.key != folder.name:
            raise ValueError(f"{folder}: its {ABOUT} speaks of other outputs")
        return kept


def everything_kept(root: Path, keys: Sequence[str] = ()) -> list[CacheEntry]:
    """What is kept below ``root``, or of it those whose key begins with one of ``keys``; damaged folders are left out.

    Raises:
        UserError: a key of which nothing is kept.
    """
    found = []
    for folder in _folders(root):
        try:
            found.append(CacheEntry.read(folder))
        except ValueError:
            continue
    for key in keys:
        if not any(kept.key.startswith(key) for kept in found):
            raise UserError(f"teacher cache: nothing of key {key!r} in {root}; `preceptor cache list` shows the keys")
    return [kept for kept in found if not keys or kept.key.startswith(tuple(keys))]


def prune(root: Path, *, unused_for: float | None, down_to: int | None, keys: Sequence[str]) -> list[CacheEntry]:
    """Remove outputs by age, by key and until ``down_to`` bytes are left, the longest unused first.

    What dead processes left, folders that are damaged and networks without outputs go in any case.

    Returns:
        what was removed.
    """
    chosen = everything_kept(root, keys) if keys else []
    rest = [kept for kept in everything_kept(root) if kept not in chosen]
    rest.sort(key=lambda kept: -kept.unused_for)
    if unused_for is not None:
        chosen += [kept for kept in rest if kept.unused_for > unused_for]
    _remove(root, chosen)
    while down_to is not None and size_of(root) > down_to and (left := [kept for kept in rest if kept not in chosen]):
        chosen.append(left[0])
        _remove(root, left[:1])
    for folder in _folders(root):
        sweep(folder)
    return chosen


def _remove(root: Path, chosen: Iterable[CacheEntry]) -> None:
    for kept in chosen:
        shutil.rmtree(kept.folder, ignore_errors=True)
    left = everything_kept(root)
    whole = {kept.folder for kept in left}
    used = {kept.network_folder for kept in left}
    for folder in [folder for folder in _folders(root) if folder not in whole]:
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (root / NETWORKS).glob("*"):
        if folder not in used:
            shutil.rmtree(folder, ignore_errors=True)


def _folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.glob("*") if folder.is_dir() and folder.name != NETWORKS)


def size_of(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_size
            except OSError:  # another process has just renamed or removed it
                continue
    return total
