"""Where ImageNet weights can be had, asked without torch and without waiting long: in a folder, or on the hub."""

import os
import threading
import time
from collections.abc import Callable

from preceptor.files import expand

WEIGHTS_FOLDER = "PRECEPTOR_WEIGHTS"
"""The environment variable that names a folder of ImageNet weights, for machines without a network."""
FILES = ("model.safetensors", "pytorch_model.bin")
"""What weights are called there."""


def file_at_hand(name: str) -> str | None:
    """The file ``${PRECEPTOR_WEIGHTS}/NAME.safetensors`` as a recipe writes it, where it lies there, else None.

    Args:
        name: of the network, as timm gives it; a tag behind a point is part of the file's name.
    """
    given = f"${{{WEIGHTS_FOLDER}}}/{name}.safetensors"
    return given if os.environ.get(WEIGHTS_FOLDER) and expand(given).is_file() else None


def is_cached(repository: str, revision: str | None = None, files: tuple[str, ...] = FILES) -> bool:
    """Whether one of a repository's ``files`` lies in the cache of this machine."""
    import huggingface_hub

    return any(
        isinstance(huggingface_hub.try_to_load_from_cache(repository, file, revision=revision), str) for file in files
    )


def ask(repository: str, seconds: float = 1.5) -> Callable[[], bool]:
    """Begin to ask the hub whether it has weights of ``repository``; a proxy is asked as it is set.

    Returns:
        what waits for the answer, at most ``seconds`` after the question.
    """
    found: list[bool] = []
    until = time.monotonic() + seconds

    def work() -> None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        try:
            get_hf_file_metadata(hf_hub_url(repository, FILES[0]), timeout=seconds)
        except Exception:  # whatever its client's transport raises: it does not answer
            return
        found.append(True)

    asking = threading.Thread(target=work, daemon=True)  # looking up a name cannot be given a limit of its own
    asking.start()

    def answer() -> bool:
        asking.join(max(0.0, until - time.monotonic()))
        return bool(found)

    return answer
