"""A student that answers in its teacher's dimensions."""

import numpy as np
import pytest
import torch

from preceptor.data.augment import as_tensor, to_float
from preceptor.data.images import read_image
from preceptor.deploy.embed import embed_images
from preceptor.deploy.images import find_images
from preceptor.deploy.open_embedder import open_embedder
from preceptor.deploy.pieces import pieces_of
from preceptor.deploy.wanted import Wanted
from preceptor.errors import UserError

from .conftest import RESNET, trained

TEACHER = {"architecture": "vit_tiny_patch16_224", "weights": "none", "input_size": 32}
TEACHER |= {"options": {"embed_dim": 24, "depth": 1, "num_heads": 2}}


@pytest.fixture(scope="module")
def run(tmp_path_factory, class_data):
    losses = [{"loss": "cosine"}, {"loss": "feature_smooth_l1"}]
    return trained(
        tmp_path_factory.mktemp("space") / "run",
        class_data,
        RESNET,
        networks={"teacher": TEACHER, "student": RESNET, "count": 1},
        technique={"name": "distil_features", "losses": losses, "epochs": 1},
    )


def test_what_is_written_is_the_projector_of_what_the_student_said_when_it_was_learned(run, class_data, tmp_path):
    kept = torch.load(run / "checkpoints" / "features" / "last.ckpt", weights_only=True)["cohort"]
    student = open_embedder(Wanted(str(run), device="cpu")).network
    student.load_state_dict({key[12:]: value for key, value in kept.items() if key.startswith("learners.S1.")})
    embedder = open_embedder(Wanted(str(run), device="cpu"))
    items = find_images([class_data])
    pixels = [pieces_of(item.name, read_image(item.path), embedder.contract).pixels[0] for item in items]
    with torch.no_grad():
        said = student(to_float(as_tensor(np.stack(pixels)))).embedding

    def wanted(loss):
        edge = f"losses.T->S1/{loss}"
        found = said @ kept[f"{edge}.projector.weight"].T + kept[f"{edge}.projector.bias"]
        return found if loss == "cosine" else found * kept[f"{edge}.deviation"] + kept[f"{edge}.mean"]

    for loss in ("cosine", "feature_smooth_l1"):
        space = Wanted(str(run), stored="float32", device="cpu", space=f"T/{loss}")
        found = embed_images(space, [class_data], tmp_path / loss)
        assert found.shape == (24,)
        torch.testing.assert_close(torch.from_numpy(found[:]), wanted(loss), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"space": "T"}, r"--space T: S1 has several: T/cosine, T/feature_smooth_l1"),
        ({"space": "T2"}, r"--space T2: S1 of .* has no such space; it has T/cosine, T/feature_smooth_l1"),
        ({"space": "T/cosine", "what": "grid"}, "--space T/cosine: is of vectors; give --what embedding"),
    ],
)
def test_what_is_no_space_of_the_student_is_named(run, given, says):
    with pytest.raises(UserError, match=says):
        open_embedder(Wanted(str(run), device="cpu", **given))


def test_a_space_is_a_runs():
    with pytest.raises(UserError, match="--space T: is for a student of a finished run"):
        Wanted("resnet10t", space="T")
