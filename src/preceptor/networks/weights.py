"""Weights from files and folders, read without ever running what they hold."""

import io
import json
import os
import pickle
import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from preceptor.errors import DamagedFileError, UserError
from preceptor.files import expand
from preceptor.networks.export import CONFIG, OWN_KEY, WEIGHTS
from preceptor.networks.layouts import in_timm_names
from preceptor.networks.not_weights import require_room, require_weights
from preceptor.networks.state_dicts import harmless_types, state_in
from preceptor.networks.torchvision_names import in_timms_names
from preceptor.networks.verify import REMEDY, require_whole_config, verified_weights
from preceptor.opening import read_text, require_file
from preceptor.sealed import is_zip, verify_zip

_UNSAFE = re.compile(r"weights_only|allow_pickle|safe_globals|allowlist")
_IN_FOLDERS = (WEIGHTS, "pytorch_model.bin", "model.pth")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedWeights:
    """A state dict with what its file claims about itself.

    Args:
        path: where it came from, as the user gave it.
        classes: class names by label, or None where the file names none.
        config: the folder's ``config.json``, empty for a lone file.
        notes: what the user should know of where they came from, one sentence each.
    """

    path: str
    state: dict[str, Tensor]
    classes: tuple[str, ...] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def own(self) -> Mapping[str, Any]:
        """What preceptor wrote into the config, empty for foreign folders."""
        own: Mapping[str, Any] = self.config.get(OWN_KEY, {})
        return own

    @property
    def adapter(self) -> int | None:
        """Channels of the teacher-side adapter that these weights hold."""
        kernel = self.state.get("adapter.0.weight")
        return None if kernel is None else kernel.shape[0]

    def require_plain(self) -> None:
        """Refuse networks that no library's model can hold: built on others, cut short, or grafted."""
        refuse_built(self.path, self.own)
        if self.own.get("chain"):
            raise UserError(
                f"weights {self.path!r}: a network that was grafted has layers between its blocks and starts no "
                "other; use it as it is (preceptor.composed.load_network), or give other weights"
            )

    def require_classes(self, classes: Sequence[str]) -> None:
        """Refuse weights that name other classes than the data, or the same in another order.

        Where either side knows no classes, only features are taken.
        """
        if not self.classes or not classes or self.classes == tuple(classes):
            return
        same = sorted(self.classes) == sorted(classes)
        raise UserError(
            f"weights {self.path!r}: trained on {len(self.classes)} classes, the data has {len(classes)}"
            + (", the same ones in another order" if same else "")
            + f".\n  weights: {', '.join(self.classes)}\n  data:    {', '.join(classes)}\n"
            "Logits would be compared class against wrong class. Use weights trained on these classes in this "
            "order, or `weights: imagenet` or `weights: none` and train here."
        )


def read_weights(
    given: str,
    names: Callable[[], Collection[str]] | None = None,
    architecture: str | None = None,
    *,
    published_as: str | None = None,
) -> SavedWeights:
    """Weights from a folder with ``config.json``, or a ``.safetensors`` or PyTorch file.

    Args:
        given: the folder or file.
        published_as: what the file is called where it was published, if that is known: a folder may hold it alone.
        names: gives the names of the network's tensors, which tell what is meant in files that hold several things;
            not asked for what preceptor exported.
        architecture: of timm, whose tensors torchvision may call otherwise.

    Raises:
        UserError: nothing there, damaged, no state dict, or a pickle that holds more than tensors.
        DamagedFileError: a network that preceptor exported, and not what it was.
    """
    path = expand(given)
    config: dict[str, Any] = {}
    exported: Mapping[str, Any] | None = None  # our part of the config that speaks of this file
    if path.is_dir():
        config = read_config(path) if published_as is None or (path / CONFIG).exists() else {}
        path, exported = _file_in(path, config, published_as), config.get(OWN_KEY)
    elif path.name == WEIGHTS and (path.parent / CONFIG).is_file():
        exported = read_config(path.parent).get(OWN_KEY)
    if path.exists():
        require_file(path, "weights")
    if not path.is_file():
        raise UserError(
            f"weights {given!r}: no such file or folder.\n"
            "Give a folder with config.json and model.safetensors, a .safetensors file, `imagenet` or `none`."
        )
    note = None if exported is None else verified_weights(path, exported)
    require_weights(path)
    require_room(path)
    read, classes = _read_safetensors(path) if path.suffix == ".safetensors" else (_read_torch(path), None)
    found, library = in_timm_names(read) if exported is None else (read, "")
    taken = in_timms_names(found, architecture) if architecture is not None and exported is None else None
    taken = taken or state_in(found, names() if names is not None and exported is None else ())
    if taken is None:
        raise UserError(f"weights {str(path)!r}: holds no state dict (names with tensors)")
    _require_finite(taken.state, path)
    said = f"weights {given}: took {taken.said}" if taken.said else None
    halved = _halves_said(taken.state)
    renamed = f"weights {given}: named as {library} names them, taken by timm's names" if library else None
    return SavedWeights(
        path=given,
        state=taken.state,
        classes=_claimed(config) or classes,
        config=config,
        notes=tuple(filter(None, (note, renamed, said, f"weights {given}: {halved}" if halved else None))),
    )


def _halves_said(state: Mapping[str, Tensor]) -> str | None:
    """That a file holds numbers of half precision, and what becomes of them; None where it holds none."""
    found = {tensor.dtype for tensor in state.values()} & {torch.float16, torch.bfloat16}
    names = " and ".join(sorted(str(one).removeprefix("torch.") for one in found))
    return f"holds {names} numbers, which are used as float32" if found else None


def refuse_built(path: str, own: Mapping[str, Any]) -> None:
    """Refuse a folder ``path`` with a network that is built on others or ends early; ``own`` is our part of its config.

    Raises:
        UserError: with what to give instead.
    """
    built = own.get("built")
    if built is None:
        return
    instead = (
        f"give one of the networks in {Path(path) / 'sources'}"
        if built["sources"]
        else "give the whole network that stands beside it in its run"
    )
    raise UserError(
        f"{path!r} is {built['note'].partition(':')[0]}: it stands in no other network's place, neither as a teacher "
        f"nor as weights to start from.\nUse it as it is (preceptor.composed.load_network), or {instead}."
    )


def weights_do_not_fit(weights: SavedWeights, architecture: str, error: Exception) -> UserError:
    """The error for weights of another architecture."""
    reason = "\n".join(map(_shortened, str(error).splitlines()[:4]))
    return UserError(
        f"weights {weights.path!r}: do not fit architecture {architecture}.\n{reason}\n"
        "Name the architecture that they are of, of a teacher as `networks.teacher.architecture`; for torchvision's, "
        "of which some layers have other names in timm, `architecture: torchvision.models:NAME` takes them as they are."
    )


def _shortened(line: str) -> str:
    """A list of names, cut after the fourth."""
    names = line.split(", ")
    return line if len(names) <= 5 else f"{', '.join(names[:4])} and {len(names) - 4} more"


def reason_of(error: Exception) -> str:
    """The first line of a library's message, or the error's name where it says nothing.

    Advice to read a file in a way that runs what it holds, which torch and numpy give, is left out.
    """
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line if not _UNSAFE.search(line) else "it holds code, of which nothing was run"


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's ``config.json``.

    Raises:
        UserError: there is none, or it cannot be read.
        DamagedFileError: preceptor wrote it, and it is not what was written.
    """
    path = folder / CONFIG
    try:
        if not os.path.lexists(path):
            raise UserError(f"{folder}: holds no {CONFIG}, so it is no saved network; give one, or a weights file")
        config = json.loads(read_text(path, "config"))
    except UserError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read, it is damaged or no JSON: {error}.\n{REMEDY}") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: is no network's config; it should hold one JSON object")
    require_whole_config(path, config)
    return config


def _file_in(folder: Path, config: Mapping[str, Any], published_as: str | None = None) -> Path:
    usual = _IN_FOLDERS if published_as is None else (published_as, *_IN_FOLDERS)
    for name in (WEIGHTS,) if OWN_KEY in config else usual:
        if (folder / name).is_file():
            return folder / name
    if OWN_KEY in config:
        raise UserError(f"weights {str(folder)!r}: its {WEIGHTS} is missing.\n{REMEDY}")
    raise UserError(f"weights {str(folder)!r}: holds none of {', '.join(dict.fromkeys(usual))}")


def _claimed(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    own: Mapping[str, Any] = config.get(OWN_KEY, {})
    library: Mapping[str, Any] = config.get("pretrained_cfg", {})
    names = own.get("classes") or config.get("label_names") or library.get("label_names")
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=int)]
    return tuple(str(name) for name in names) if names else None


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        classes = tuple(json.loads(metadata["classes"])) if "classes" in metadata else None
        return load_file(path), classes
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"weights {str(path)!r}: damaged or no safetensors file: {error}") from None


def _read_torch(path: Path) -> object:
    try:
        content = path.read_bytes()
        if is_zip(content):  # else it was written by an old version of torch
            verify_zip(content, path, "Bring the file back, or give other weights.")
        # torch warns of unusual pickles before it refuses them
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(harmless_types()):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except DamagedFileError as error:
        raise UserError(f"weights {error}") from None
    except pickle.UnpicklingError as error:
        # torch's own message advises loading it unsafely; only the line that names what was refused is shown.
        lines = (line.strip() for line in str(error).splitlines() if not _UNSAFE.search(line))
        refused = next((line for line in lines if "unsupported" in line.lower()), "")
        raise UserError(
            f"weights {str(path)!r}: refused. The file is damaged, or a pickle that holds more than tensors and could "
            f"run code when opened. Nothing in it was run. {refused}\n"
            "Ask for a .safetensors file, or a plain state dict: torch.save(model.state_dict(), file)."
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"weights {str(path)!r}: damaged or no PyTorch file: {reason_of(error)}") from None


def _require_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that would turn every answer into NaN."""
    bad = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        raise UserError(
            f"weights {str(path)!r}: {len(bad)} of {len(state)} tensors hold NaN or infinity, for example {bad[0]!r}: "
            "the training that they come from diverged, or the file is damaged.\nGive other weights, or train here."
        )
