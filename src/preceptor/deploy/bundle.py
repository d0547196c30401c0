"""A bundle on disk: what ``bundle.json`` says, verified before anything of it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.data.names import check_names
from preceptor.deploy.contract import Contract
from preceptor.deploy.looks import Ranges
from preceptor.deploy.points import Points
from preceptor.errors import DamagedFileError, UserError
from preceptor.inside import inside
from preceptor.sealed import CHANGED, file_sha256, read_sealed, seal_of, write_sealed

SCHEMA = 1
BUNDLE, MODEL, INT8, CARD = "bundle.json", "model.onnx", "model.int8.onnx", "README.md"
SCRIPTS = ("predict.py", "pixels.py")
GOLDEN, NETWORKS = "golden", "networks"
TIMES = ("timing",)
"""What the seal leaves out: it is another in every export."""

REMEDY = "Bring the file back from where the bundle came from, or export it anew with `preceptor export`."


@dataclass(frozen=True, slots=True)
class Bundle:
    """What ``bundle.json`` says.

    Args:
        facts: all of it.
        identity: its seal, which names the checksum of every other file.
    """

    folder: Path
    facts: Mapping[str, Any]
    contract: Contract
    identity: str

    @property
    def serves(self) -> str:
        """The model that answers."""
        return str(self.facts["serves"]["file"])

    @property
    def graph_size(self) -> tuple[int, int]:
        """(height, width) at which the graph is asked."""
        height, width = self.facts["input"]["size"]
        return int(height), int(width)

    @property
    def points(self) -> Points:
        """How classes are decided."""
        return Points.from_json(self.facts)

    @property
    def ranges(self) -> Ranges | None:
        """What images of training look like; None where it does not say."""
        said = self.facts["outside"]
        return None if said is None else Ranges.from_json(said)

    def require(self, name: str) -> None:
        """Compare a file with its checksum.

        Raises:
            DamagedFileError: it is gone, or not what was exported.
        """
        path = inside(self.folder, name, said_by=self.folder / BUNDLE)
        if not path.is_file():
            raise DamagedFileError(path, "is missing from the bundle", REMEDY)
        if file_sha256(path) != self.facts["files"].get(name):
            raise DamagedFileError(path, CHANGED, REMEDY)


def is_bundle(folder: Path) -> bool:
    """Whether somebody calls it one."""
    return (folder / BUNDLE).exists()


def read_bundle(folder: Path) -> Bundle:
    """The bundle in ``folder``, its model verified.

    Raises:
        UserError: none, of a newer version, or with classes that do not fit its model.
        DamagedFileError: a file is not what was exported.
    """
    path = folder / BUNDLE
    try:
        facts, is_sealed = read_sealed(path, REMEDY, but=TIMES)
    except FileNotFoundError:
        raise UserError(
            f"{folder} is no bundle: it has no {BUNDLE}; `preceptor export RUN --out {folder}` makes one"
        ) from None
    schema = facts.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise UserError(
            f"{path} has schema version {schema}, and this preceptor knows {SCHEMA}: it was made by a newer one.\n"
            "Upgrade preceptor, or export it anew with this version."
        )
    if not is_sealed or schema != SCHEMA:
        raise DamagedFileError(path, "has lost its seal or its schema version", REMEDY)
    bundle = _read(folder, facts)
    bundle.require(bundle.serves)
    return bundle


def write_bundle(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write ``bundle.json``, last of all, with the checksum of every file that is there."""
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    files = {name: file_sha256(folder / name) for name in names if name != BUNDLE}
    write_sealed(folder / BUNDLE, {"schema": SCHEMA, **facts, "files": files}, but=TIMES)


def _read(folder: Path, facts: Mapping[str, Any]) -> Bundle:
    path = folder / BUNDLE
    try:
        classes = tuple(str(one["name"]) for one in facts["classes"])
        _require_classes(path, facts, classes)
        contract = Contract.from_json(facts["images"], facts["task"], classes)
        bundle = Bundle(folder, facts, contract, _seal(facts))
        _ = bundle.serves, bundle.graph_size, bundle.points, bundle.ranges, facts["files"][bundle.serves]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise DamagedFileError(path, f"is no bundle's: {type(error).__name__} at {error}", REMEDY) from None
    return bundle


def _require_classes(path: Path, facts: Mapping[str, Any], classes: tuple[str, ...]) -> None:
    check_names(f"classes of {path}", classes)
    if len(set(classes)) != len(classes) or "" in classes:
        raise UserError(
            f"{path} names a class twice, or not at all: {', '.join(classes)}; each wants a name of its own"
        )
    colourless = [one["name"] for one in facts["classes"] if not _is_colour(one.get("colour"))]
    if colourless:
        raise UserError(f"{path}: class {colourless[0]!r} has no colour [red, green, blue] from 0 to 255; give it one")
    channels = facts["output"]["channels"]
    wanted = {len(classes)} | ({1} if facts["task"] == "segmentation" and len(classes) == 2 else set())
    if channels not in wanted:
        raise UserError(
            f"{path} names {len(classes)} classes ({', '.join(classes)}), and its model has {channels} outputs; "
            "export it anew"
        )


def _is_colour(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(part, int) and 0 <= part <= 255 for part in value)
    )


def _seal(facts: Mapping[str, Any]) -> str:
    return seal_of({key: value for key, value in facts.items() if key not in TIMES})
