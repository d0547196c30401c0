"""Reading what submodules of a model return, while a block runs."""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from preceptor.calls import plainly
from preceptor.errors import UserError


class Taps(Mapping[str, Tensor]):
    """What the tapped submodules returned in the model's last forward pass, by name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._said: dict[str, tuple[Tensor, int]] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise UserError(f"no tap {name!r}: this block reads {', '.join(self._names)}")
        if name not in self._said:
            raise UserError(f"tap {name!r} has nothing yet: call the model first, inside the block")
        tensor, version = self._said[name]
        if _version(tensor) != version:
            raise UserError(
                f"tap {name!r} was overwritten by the module after it (inplace=True): tap that one, "
                "or set inplace=False"
            )
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def note(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep what the submodule ``name`` returned."""
        if not isinstance(output, Tensor):
            raise UserError(f"tap {name!r} returns {type(output).__name__}; tap a module that returns one tensor")
        self._said[name] = output, _version(output)

    def clear(self) -> None:
        """Keep nothing any more."""
        self._said.clear()


@plainly
@contextmanager
def taps(model: nn.Module, names: Sequence[str]) -> Iterator[Taps]:
    """Read the outputs of submodules: ``with pc.taps(model, ["layer3"]) as t: model(images); t["layer3"]``.

    The model is as it was when the block ends, however it ends.

    Args:
        names: as in ``model.named_modules()``.

    Raises:
        UserError: a name that the model does not have, with those that are near.
    """
    if isinstance(names, str):
        raise UserError(f'taps: a list of names was wanted, as in taps(model, ["{names}"])')
    if not isinstance(model, nn.Module):
        raise UserError(f"taps: a torch module was wanted, got {type(model).__name__}")
    modules = dict(model.named_modules())
    for name in names:
        require_module(name, modules, type(model).__name__)
    found = Taps(names)
    handles = [modules[name].register_forward_hook(partial(found.note, name)) for name in names]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
        found.clear()


def require_module(name: str, modules: Collection[str], called: str) -> None:
    """Refuse the name of a submodule that is not there.

    Raises:
        UserError: with the nearest names that there are.
    """
    if name and name in modules:
        return
    known = [one for one in modules if one]
    near = difflib.get_close_matches(name, known, n=6, cutoff=0.5)
    tops = [one for one in known if "." not in one]
    raise UserError(
        f"{called} has no module {name!r}; "
        + (f"near are {', '.join(near)}" if near else f"it has {', '.join(tops[:20])}{' …' if len(tops) > 20 else ''}")
    )


def _version(tensor: Tensor) -> int:
    """How often it was written to; 0 where torch does not count."""
    return 0 if tensor.is_inference() else tensor._version
