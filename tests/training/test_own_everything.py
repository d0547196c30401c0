"""One of each thing of a user's own (loss, technique, data source, network) in one recipe, trained."""

import numpy as np
import pytest
from PIL import Image

from preceptor.composed import load_network
from preceptor.errors import UserError
from preceptor.opened_run import open_run
from preceptor.own_files import own_files
from preceptor.recipe import parse_recipe

from ..own_technique import OWN
from ..own_things import MASKS, NETWORK, SOURCE
from .phantoms import DATA, recipe_for, train

LOSS = '''
from preceptor.catalogue import Setting
from preceptor.knowledge.base import Loss


class Near(Loss):
    """Near at the last map, after a change of channels.

    Source: none.
    """

    key = "near"
    settings = {"classification": Setting(weight=1.0, student_tap="logits")}

    def forward(self, student, teacher, targets):
        return (student - teacher).square().mean()
'''


@pytest.fixture
def mine(tmp_path):
    """A recipe in which everything is a user's own, in the folder's files."""
    (tmp_path / "loss.py").write_text(LOSS)
    own = OWN.replace('LossUse("kd", temperature=3.0)', f'LossUse("{tmp_path}/loss.py:Near")')
    (tmp_path / "technique.py").write_text(own)
    (tmp_path / "mynet.py").write_text(NETWORK)
    (tmp_path / "blobs.py").write_text(SOURCE)
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0)
    for number in range(24):
        name = f"{('stroma', 'tumour')[number % 2]}_p{number // 4}_{number}.png"
        Image.fromarray(noise.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "images" / name)
    network = {"architecture": f"{tmp_path}/mynet.py:MyNet", "taps": ["early", "late"]}
    return parse_recipe(
        {
            "task": "classification",
            "data": {
                "source": f"{tmp_path}/blobs.py:tissues",
                "path": str(tmp_path / "images"),
                "image_size": 16,
                "cache": str(tmp_path / "cache"),
            },
            "networks": {
                "teacher": network,
                "student": {**network, "options": {"width": 4}},
                "count": 1,
            },
            "technique": {"name": f"{tmp_path}/technique.py:Mine"},
            "training": {"epochs": 1, "batch_size": 4, "threads": 1},
        }
    )


def test_everything_is_ones_own(mine, tmp_path):
    assert [file.path.name for file in own_files(mine)] == ["technique.py", "mynet.py", "blobs.py"]
    result, _ = train(mine, tmp_path / "run")
    assert result.parameters == {"T": 448 + 32 + 4640 + 64 + 66, "S1": 112 + 8 + 296 + 16 + 18}
    terms = {line.split(",")[4] for line in (tmp_path / "run" / "metrics.csv").read_text().splitlines()}
    assert "loss:T->S1/near" in terms
    networks = tmp_path / "run" / "networks"
    assert (networks / "S1" / "mynet.py").read_text() == NETWORK
    with pytest.raises(UserError, match="give --trust"):
        open_run(tmp_path / "run").evaluate(device="cpu")
    again = open_run(tmp_path / "run", trust=True).evaluate(device="cpu")
    assert again.scores["S1"] == result.test["S1"]


@pytest.mark.parametrize(
    "technique",
    [
        {"name": "kd_ml", "strategy": "predictions"},
        {"name": "kd_offline", "losses": [{"loss": "at"}, {"loss": "fitnet", "student_tap": "late"}]},
        {"name": "kthf2"},
    ],
)
def test_one_teaches_and_learns_among_others(technique, tmp_path, packed):
    """An own teacher, or an own student of a library's teacher: predictions, maps, and heads on maps."""
    (tmp_path / "mynet.py").write_text(NETWORK)
    own = {"architecture": f"{tmp_path}/mynet.py:MyNet", "taps": ["early", "late"], "options": {"width": 8}}
    networks = {"student": own, "count": 2} | ({"teacher": own} if "losses" in technique else {})
    recipe = recipe_for("classification", technique, packed, networks=networks, training={"epochs": 1})
    result, _ = train(recipe, tmp_path / "run")
    assert result.is_complete
    assert load_network(tmp_path / "run" / "networks" / "S1", trust=True).shapes["late"][0] == 16


def test_masks_of_ones_own_network_and_its_weights_in_another_run(tmp_path, packed):
    (tmp_path / "masks.py").write_text(MASKS)
    own = {"architecture": f"{tmp_path}/masks.py:Masks", "taps": ["down", "deep"]}
    alone = recipe_for("segmentation", {"name": "baseline"}, packed, networks={"student": own}, training={"epochs": 1})
    train(alone, tmp_path / "alone")
    teacher = {**own, "weights": str(tmp_path / "alone" / "networks" / "S1")}
    technique = {"name": "kd_offline"}
    recipe = recipe_for(
        "segmentation", technique, packed, networks={"student": own, "teacher": teacher}, training={"epochs": 1}
    )
    assert DATA["segmentation"]["images"] == 12
    _, printed = train(recipe, tmp_path / "run")
    assert "as it is, frozen" in printed
    assert (tmp_path / "run" / "networks" / "T" / "model.safetensors").read_bytes() == (
        tmp_path / "alone" / "networks" / "S1" / "model.safetensors"
    ).read_bytes()
