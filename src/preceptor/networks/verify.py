"""Checksums of exported networks: made when they are written, asked for when they are read.

Our part of ``config.json`` holds the SHA-256 of the weights and the seal of the whole config (see
:mod:`preceptor.sealed`), so that what a network is told of sizes, classes and normalisation is what was exported.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError
from preceptor.sealed import file_sha256, seal_of

OWN_KEY, WEIGHTS_KEY, SEAL_KEY = "_preceptor", "weights_sha256", "sha256"

REMEDY = (
    "Bring the folder back from a copy, or let its run export it again: delete result.json in the run folder and give "
    "the same `preceptor train` command."
)


def sealed_config(config: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """``config`` with the SHA-256 of the ``weights`` and the seal of both in our part."""
    plain: dict[str, Any] = json.loads(json.dumps(config))  # as a reader will see it
    plain[OWN_KEY][WEIGHTS_KEY] = weights
    seal = seal_of(plain)
    plain[OWN_KEY][SEAL_KEY] = seal
    return plain


def require_whole_config(path: Path, config: Mapping[str, Any]) -> None:
    """Refuse a ``config`` read from ``path`` that is not what was written; others' and older ones have no seal.

    Raises:
        DamagedFileError: with what to do.
    """
    own = config.get(OWN_KEY)
    if own is None and not any(isinstance(value, dict) and WEIGHTS_KEY in value for value in config.values()):
        return
    if not isinstance(own, dict):
        raise DamagedFileError(path, "was changed or damaged after it was written", REMEDY)
    rest = {key: value for key, value in own.items() if key != SEAL_KEY}
    is_sealed = SEAL_KEY in own or WEIGHTS_KEY in own or "preprocessing" in own
    if is_sealed and not _bears(own.get(SEAL_KEY), {**config, OWN_KEY: rest}):
        raise DamagedFileError(path, "was changed or damaged after it was written", REMEDY)


def verified_weights(path: Path, own: Mapping[str, Any]) -> str | None:
    """Compare the weights file ``path`` with what our part ``own`` of its config says.

    Returns:
        None, or a note for the user where there is no checksum to compare with.

    Raises:
        DamagedFileError: it is another file.
    """
    if WEIGHTS_KEY not in own:
        return f"{path.parent}: exported before there were checksums, so its weights and settings are used unverified"
    if file_sha256(path) != own[WEIGHTS_KEY]:
        raise DamagedFileError(path, "is not the file that was exported: changed or damaged", REMEDY)
    return None


def _bears(seal: object, config: Mapping[str, Any]) -> bool:
    """Whether ``seal`` is that of ``config``."""
    try:
        return seal == seal_of(config)
    except ValueError:  # a number that JSON does not know, which was not written
        return False
