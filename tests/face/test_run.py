"""A run from Python: typed scores, networks for use, and nothing of the process is changed."""

import numpy as np
import pytest
import torch
from PIL import Image

import preceptor as pc
from preceptor.deploy.predictor import open_predictor
from preceptor.errors import UserError

from .nets import stands


@pytest.fixture(params=["classification", "segmentation"])
def trained(request, teachers):
    """A run of each task."""
    return pc.load_run(teachers[request.param])


@pytest.fixture
def image(tmp_path):
    """A file, its pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 52, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png", pixels


def test_scores_are_read_by_name_and_have_intervals(trained):
    before = stands()
    run = pc.load_run(trained.folder)
    scores = run.test[run.chosen]
    main = "accuracy" if run.recipe.task == "classification" else "iou"
    interval = scores.interval(main)
    assert getattr(scores, main) == scores[main] == run.result.test[run.chosen][main]
    assert interval.low <= interval.value <= interval.high
    assert interval.value == pytest.approx(scores[main])
    assert interval.units <= 2  # patients, not images
    with pytest.raises(AttributeError, match=f"no score 'acuracy'; it has .*{main}"):
        scores.acuracy  # noqa: B018  # asking for it is the test
    with pytest.raises(UserError, match=f"no score 'acuracy'.*{main}"):
        scores.interval("acuracy")
    assert stands() == before


def test_a_network_answers_as_the_command_line_does(trained, image):
    path, _ = image
    before = stands()
    student = pc.load_run(str(trained.folder)).network(trained.chosen, device="cpu")
    asked = open_predictor(trained.folder, device="cpu")
    assert student.predict([path]).equals(asked.predict([path]))
    assert student.predict(path)["file"].tolist() == ["a.png"]
    assert stands() == before
    assert not student.training
    if trained.recipe.task == "segmentation":
        assert np.array_equal(student.masks([path])["a.png"], asked.masks([path])["a.png"])
    else:
        with pytest.raises(UserError, match="classifies"):
            student.masks([path])


def test_preprocess_takes_paths_pictures_and_arrays(trained, image):
    path, pixels = image
    student = trained.network(device="cpu")
    ready = student.preprocess(path)
    assert ready.shape == (3, *student.image_size)
    assert torch.equal(ready, student.preprocess(Image.open(path)))
    assert torch.equal(ready, student.preprocess(pixels))
    with torch.no_grad():
        logits = student(ready[None])
    if trained.recipe.task == "classification":
        table = student.predict([path])
        expected = [table[f"p_{name}"][0] for name in student.classes]
        np.testing.assert_allclose(logits.softmax(1)[0], expected, atol=1e-6)
    for wrong, words in [(pixels / 255.0, "uint8"), (3, "got int")]:
        with pytest.raises(UserError, match=words):
            student.preprocess(wrong)


def test_what_is_not_there(trained, tmp_path):
    with pytest.raises(UserError, match="no network 'S9'"):
        trained.network("S9")
    with pytest.raises(UserError):
        pc.load_run(tmp_path)
    with pytest.raises(UserError, match="a recipe was wanted"):
        pc.train("mine.yaml", tmp_path / "run")
