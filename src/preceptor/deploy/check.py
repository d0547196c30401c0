"""``preceptor bundle check``: whether a bundle is what was exported, and computes here what it computed then."""

from dataclasses import dataclass
from pathlib import Path

from preceptor.deploy.bundle import SCRIPTS, read_bundle
from preceptor.deploy.golden import require_golden
from preceptor.deploy.predictor import of_bundle
from preceptor.errors import UserError


@dataclass(frozen=True, slots=True)
class Checked:
    """A bundle that is whole.

    Args:
        files, golden: how many files and golden images were compared.
        serves: the model that answers.
    """

    files: int
    golden: int
    serves: str


def check_bundle(folder: Path) -> Checked:
    """Look at everything in a bundle; nothing that it brings is run but its models.

    Raises:
        UserError: what is wrong.
    """
    bundle = read_bundle(folder)
    names = list(bundle.facts["files"])
    for name in names:
        bundle.require(name)
    if lost := set(SCRIPTS) - set(names):
        raise UserError(f"{folder} has no {min(lost)}; export it anew")
    return Checked(len(names), require_golden(bundle, of_bundle(folder)), bundle.serves)
