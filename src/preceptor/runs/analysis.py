"""``analysis/`` of a run or study: figures with their captions, and the numbers behind them.

One damaged file takes nothing from the others: what is read says which it is.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from preceptor.errors import DamagedFileError, UserError
from preceptor.inside import inside
from preceptor.opening import read_text
from preceptor.runs.files import RunFiles
from preceptor.sealed import read_sealed, write_sealed

LARGEST = 64 * 2**20
"""Bytes of a picture or text that goes into a page."""

_INDEX, _LATENCY, _GRADIENTS, _ALIGNMENT = "index.json", "latency.json", "gradients.json", "cka.json"
_ROBUSTNESS = "robustness.json"
_FIGURES = "figures"
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture or table to show.

    Args:
        file: in the folder of the analysis.
    """

    title: str
    file: Path
    caption: str


@dataclass(frozen=True, slots=True)
class Pull:
    """What one loss term does to one network.

    Args:
        norm: Euclidean norm of the weighted term's gradient at the network's parameters; the mean over batches.
        share: of the sum of all terms' norms.
        cosine: with the gradient of the network's own task loss, mean over batches; None where it has none.
    """

    norm: float
    share: float
    cosine: float | None


@dataclass(frozen=True, slots=True)
class Gradients:
    """Of what each network's gradient is made.

    Args:
        stage: in which it was measured; empty where it was not.
        networks: pulls by network and loss term.
        left_out: why it was not measured, by network.
    """

    stage: str = ""
    networks: Mapping[str, Mapping[str, Pull]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What lies in the folder.

    Args:
        latency: milliseconds for one image by network, the median; empty where they were not measured.
        gradients: None where they were not measured.
        damaged: what is wrong with the files that could not be read, of which nothing is here.
    """

    figures: tuple[Figure, ...] = ()
    latency: Mapping[str, float] = field(default_factory=dict)
    gradients: Gradients | None = None
    damaged: tuple[DamagedFileError, ...] = ()


def figure_path(folder: Path, name: str) -> Path:
    """Where the figure ``name`` of the run or study in ``folder`` lies."""
    return RunFiles(folder).analysis / f"{name}.png"


def write_index(folder: Path, entries: Sequence[Mapping[str, str]]) -> None:
    """List figures as title, file and caption."""
    _write(folder, _INDEX, {_FIGURES: list(entries)})


def write_latency(folder: Path, found: Mapping[str, Mapping[str, float]]) -> None:
    """Keep how long one image takes, by network: ``median_ms`` and what else was measured."""
    _write(folder, _LATENCY, found)


def write_gradients(folder: Path, found: Gradients) -> None:
    """Keep of what each network's gradient is made."""
    _write(folder, _GRADIENTS, asdict(found))


def write_alignment(folder: Path, found: Mapping[str, Any]) -> None:
    """Keep how alike the taps of two networks arrange images, by pair."""
    _write(folder, _ALIGNMENT, found)


def write_robustness(folder: Path, found: Mapping[str, Any]) -> None:
    """Keep what another stain and another scanner change, by network."""
    _write(folder, _ROBUSTNESS, found)


def _write(folder: Path, name: str, values: Mapping[str, Any]) -> None:
    """Write sealed JSON, which has null where a number is not finite."""
    write_sealed(RunFiles(folder).analysis / name, {key: _finite(value) for key, value in values.items()})


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_analysis(folder: Path) -> Analysis:
    """What lies in ``analysis/`` of the run or study in ``folder``.

    Raises:
        UserError: an entry names a file that does not lie there, which a page would show to whoever it is passed to,
            or one that is too large for a page.
    """
    where, damaged = RunFiles(folder).analysis, []
    if not where.exists():
        return Analysis()
    inside(folder, where.name, said_by=folder)

    def read(name: str, understand: Callable[[Any], _Read], default: _Read) -> _Read:
        path = where / name
        remedy = f"Delete it; `preceptor analyse {folder}` makes it anew."
        try:
            return understand(_json(path, remedy))
        except FileNotFoundError:
            return default
        except DamagedFileError as error:
            damaged.append(error)
        except UserError as error:
            damaged.append(DamagedFileError(path, str(error), remedy))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            damaged.append(DamagedFileError(path, f"is not as it is written ({type(error).__name__}: {error})", remedy))
        return default

    none: tuple[tuple[str, object, str], ...] = ()
    entries = read(_INDEX, _entries, none)
    return Analysis(
        figures=tuple(_figures(where, entries)),
        latency=read(_LATENCY, _latency, {}),
        gradients=read(_GRADIENTS, _gradients, None),
        damaged=tuple(damaged),
    )


def _json(path: Path, remedy: str) -> Any:
    """The JSON in a file, verified where it is sealed; older versions listed figures without anything around them."""
    if path.is_file() and (content := read_text(path, "file of a run")).lstrip().startswith("["):
        return {_FIGURES: json.loads(content)}
    return read_sealed(path, remedy)[0]


def _entries(found: Mapping[str, Any]) -> tuple[tuple[str, object, str], ...]:
    return tuple((str(one["title"]), one["file"], str(one.get("caption", ""))) for one in found[_FIGURES])


def _figures(where: Path, entries: Sequence[tuple[str, object, str]]) -> list[Figure]:
    """What is listed and there."""
    index = where / _INDEX
    figures = [Figure(title, inside(where, file, said_by=index), caption) for title, file, caption in entries]
    found = [figure for figure in figures if figure.file.is_file()]
    for figure in found:
        if figure.file.stat().st_size > LARGEST:
            raise UserError(
                f"{figure.file} is larger than {LARGEST >> 20} MiB, too much for a page; remove it or its entry"
            )
    return found


def _latency(found: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(one["median_ms"]) for name, one in found.items() if one.get("median_ms") is not None}


def _gradients(found: Mapping[str, Any]) -> Gradients:
    return Gradients(
        stage=str(found.get("stage", "")),
        networks={
            str(network): {str(term): _pull(one) for term, one in terms.items()}
            for network, terms in found["networks"].items()
        },
        left_out={str(network): str(why) for network, why in (found.get("left_out") or {}).items()},
    )


def _pull(found: Mapping[str, Any]) -> Pull:
    """``norm`` and ``share`` are null where the gradient was not finite."""
    numbers = {key: math.nan if found[key] is None else float(found[key]) for key in ("norm", "share")}
    cosine = found["cosine"]
    return Pull(**numbers, cosine=None if cosine is None else float(cosine))
