"""What a run reads back is what it wrote: single flipped bits, lost and changed files, moved and changed data."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from preceptor.errors import UserError
from preceptor.training import run
from preceptor.training.fit import InterruptedRunError

from .phantoms import exported, recipe_for, stopping_fit, train

PARTS = {"name": "multi_part", "every": 1, "anchors": "greedy"}
FILES = {
    "last": "checkpoints/main-2/last.ckpt",
    "weights": "checkpoints/teacher/T.best.ckpt",
    "choices": "checkpoints/main-2/choices.json",
    "metrics": "metrics.csv",
    "split": "split.csv",
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory, packed):
    """Recipe, folder of a run that was stopped in its last part, folder of the same run undisturbed."""
    folder = tmp_path_factory.mktemp("verified")
    small = {"architecture": "test_resnet", "weights": "none"}
    recipe = recipe_for(
        "classification", PARTS, packed, training={"epochs": 3}, networks={"teacher": small, "student": small}
    )
    train(recipe, folder / "straight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "train_stage", stopping_fit("main-2", 1, 2))
        with pytest.raises(InterruptedRunError):
            train(recipe, folder / "killed")
    return recipe, folder / "killed", folder / "straight"


def left(folder):
    """Weights, metrics, predictions and split of a finished run, and the seal of its result."""
    files = [*folder.glob("networks/*/model.safetensors"), *folder.glob("predictions/*.csv")]
    files += [folder / "metrics.csv", folder / "split.csv"]
    found = {file.relative_to(folder): file.read_bytes() for file in files}
    return found, json.loads((folder / "result.json").read_text())["sha256"]


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def goes_on(killed, tmp_path, damage):
    """A copy of the run, damaged and trained on; what was printed."""
    recipe, begun, straight = killed
    shutil.copytree(begun, tmp_path / "run", dirs_exist_ok=True)
    damage(tmp_path / "run")
    _, text = train(recipe, tmp_path / "run")
    assert left(tmp_path / "run") == left(straight)
    return text


def test_an_undamaged_run_goes_on_without_a_word(killed, tmp_path):
    text = goes_on(killed, tmp_path, lambda folder: None)
    assert not [word for word in ("checksum", "damaged", "anew", "verified") if word in text]


def flips(killed, tmp_path, name, count):
    """Flip single bits of a file of the stopped run and go on: refused with the file's name, or equal at the end."""
    _, begun, _ = killed
    bits = np.random.default_rng(len(name)).integers(8 * (begun / FILES[name]).stat().st_size, size=count)
    refused = 0
    for number, bit in enumerate(map(int, bits)):
        try:
            goes_on(killed, tmp_path / str(number), lambda folder, bit=bit: flip(folder / FILES[name], bit))
        except UserError as error:
            if FILES[name] not in str(error):
                raise
            refused += 1
        shutil.rmtree(tmp_path / str(number))
    return refused


@pytest.mark.parametrize(("name", "count"), [("last", 4), ("weights", 2), ("choices", 2), ("metrics", 3)])
def test_flipped_bits_are_noticed(killed, tmp_path, name, count):
    assert flips(killed, tmp_path, name, count)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FILES if name != "split"])
def test_a_hundred_flipped_bits_are_noticed(killed, tmp_path, name):
    assert flips(killed, tmp_path, name, 100) > 80


@pytest.mark.slow
def test_a_hundred_flipped_bits_of_the_split_are_mended(killed, tmp_path, monkeypatch):
    """Before anything is trained."""

    class BegunError(Exception):
        pass

    def begun(self):
        raise BegunError

    recipe, stopped, straight = killed
    shutil.copytree(stopped, tmp_path / "run")
    split = tmp_path / "run" / "split.csv"
    monkeypatch.setattr(run.TrainingRun, "train", begun)
    for bit in map(int, np.random.default_rng(2).integers(8 * split.stat().st_size, size=100)):
        flip(split, bit)
        with pytest.raises(BegunError):
            train(recipe, tmp_path / "run")
        assert split.read_bytes() == (straight / "split.csv").read_bytes()


def result_flips(killed, tmp_path, count):
    recipe, _, straight = killed
    whole, _ = train(recipe, straight)
    shutil.copytree(straight, tmp_path / "run")
    path = tmp_path / "run" / "result.json"
    content = path.read_bytes()
    refused = 0
    for bit in map(int, np.random.default_rng(1).integers(8 * len(content), size=count)):
        path.write_bytes(content)
        flip(path, bit)
        try:
            found, _ = train(recipe, tmp_path / "run")
        except UserError as error:
            if "result.json" not in str(error):
                raise
            refused += 1
        else:
            scores = ("status", "test", "validation", "fidelity", "chosen")
            assert {key: found[key] for key in scores} == {key: whole[key] for key in scores}
    return refused


def test_flipped_bits_of_the_result_are_noticed(killed, tmp_path):
    assert result_flips(killed, tmp_path, 20) > 15


@pytest.mark.slow
def test_a_hundred_flipped_bits_of_the_result_are_noticed(killed, tmp_path):
    assert result_flips(killed, tmp_path, 100) > 90


@pytest.mark.parametrize("content", [None, b"", b"stage,epoch"])
def test_lost_metrics_are_refused(killed, tmp_path, content):
    def damage(folder):
        (folder / "metrics.csv").unlink()
        if content is not None:
            (folder / "metrics.csv").write_bytes(content)

    with pytest.raises(UserError, match=r"metrics\.csv: (is missing|was cut short)(.|\n)*Bring the file back"):
        goes_on(killed, tmp_path, damage)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfebad"])
def test_a_lost_split_is_written_anew(killed, tmp_path, content):
    def damage(folder):
        (folder / "split.csv").unlink()
        if content is not None:
            (folder / "split.csv").write_bytes(content)

    assert "written anew" in goes_on(killed, tmp_path, damage)


def test_a_damaged_recipe_is_written_anew(killed, tmp_path):
    text = goes_on(killed, tmp_path, lambda folder: flip(folder / "recipe.yaml", 77))
    assert "recipe.yaml was changed or damaged" in text
    assert (tmp_path / "run" / "recipe.yaml").read_bytes() == (killed[2] / "recipe.yaml").read_bytes()


def unseal(folder):
    """As a version without checksums would have left it."""
    for path in folder.rglob("*.ckpt"):
        state = torch.load(path, weights_only=True)
        if "at" in state:
            del state["at"]["metrics_sha256"]
        torch.save(state, path)
    choices = folder / FILES["choices"]
    made = json.loads(choices.read_text())
    choices.write_text(json.dumps({key: value for key, value in made.items() if key != "sha256"}))
    (folder / "begun.json").unlink()


def test_an_older_run_goes_on_and_says_once_that_it_is_not_verified(killed, tmp_path):
    text = goes_on(killed, tmp_path, unseal)
    assert text.count("was written before there were checksums") == 1

    def damage(folder):
        unseal(folder)
        last = folder / FILES["last"]
        with zipfile.ZipFile(last) as archive:
            biggest = max(archive.infolist(), key=lambda one: one.file_size)
        flip(last, 8 * (biggest.header_offset + biggest.file_size // 2 + 200))

    shutil.rmtree(tmp_path / "run")
    with pytest.raises(UserError, match=r"last\.ckpt"):
        goes_on(killed, tmp_path, damage)


def test_a_damaged_snapshot_teaches_nobody(killed, tmp_path, packed):
    snapshot = tmp_path / "T.epoch-0001.ckpt"
    shutil.copy(killed[2] / "checkpoints" / "teacher" / snapshot.name, snapshot)
    flip(snapshot, 8 * (snapshot.stat().st_size // 2))
    technique = {"name": "kd_offline", "teacher": str(snapshot)}
    with pytest.raises(UserError, match=r"weights .*T\.epoch-0001\.ckpt: was changed or damaged"):
        train(recipe_for("classification", technique, packed), tmp_path / "run")


@pytest.mark.parametrize("content", ["", '{"status": "comp', "[]", "{}"])
def test_a_damaged_result_is_named_wherever_it_is_read(killed, tmp_path, packed, content):
    recipe, _, straight = killed
    shutil.copytree(straight, tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text(content)
    with pytest.raises(UserError, match=r"result\.json: (.|\n)*Delete it"):
        train(recipe, tmp_path / "run")
    alone = {"name": "kd_offline", "student_alone": str(tmp_path / "run")}
    with pytest.raises(UserError, match=r"result\.json: (.|\n)*Delete it"):
        train(recipe_for("classification", alone, packed), tmp_path / "other")
    (tmp_path / "run" / "result.json").unlink()
    train(recipe, tmp_path / "run")
    assert left(tmp_path / "run") == left(straight)


@pytest.fixture
def images(tmp_path):
    """A folder of three classes of small images."""
    for number, name in enumerate("abc"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for k in range(8):
            pixels = np.random.default_rng(100 * number + k).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{name}{k}.png")
    return tmp_path / "data"


def recipe_of(images, packed):
    own = {"source": "folder", "path": str(images), "options": {}}
    return recipe_for("classification", {"name": "baseline"}, packed, data=own, split={"by": "image"})


def test_data_that_change_between_kill_and_resume_are_refused(images, tmp_path, packed, interrupted):
    recipe = recipe_of(images, packed)
    interrupted(recipe, tmp_path / "run", epoch=1, step=1)
    Image.new("RGB", (32, 32), (9, 9, 9)).save(images / "a" / "a1.png")
    with pytest.raises(UserError, match=r"the data has changed since this run began: the packed images are others"):
        train(recipe, tmp_path / "run")


def test_a_moved_data_folder_goes_on(images, tmp_path, packed, interrupted):
    recipe = recipe_of(images, packed)
    train(recipe, tmp_path / "straight")
    interrupted(recipe, tmp_path / "run", epoch=1, step=1)
    moved = recipe_of(images.rename(tmp_path / "elsewhere"), packed)
    moved = moved.model_copy(update={"name": "elsewhere"})  # as the command line calls it, after the folder
    _, text = train(moved, tmp_path / "run")
    assert f"the data were in {images} when this run began" in text
    assert exported(tmp_path / "run", "S1") == exported(tmp_path / "straight", "S1")
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "others")
    Image.new("RGB", (32, 32), (9, 9, 9)).save(tmp_path / "others" / "a" / "a1.png")
    with pytest.raises(UserError, match=r"holds a run on the data in .*, and those that the recipe names now are"):
        train(recipe_of(tmp_path / "others", packed), tmp_path / "run")


def test_the_folder_of_the_data_is_no_run_folder(images, tmp_path, packed):
    for out in (images, images / "run", tmp_path):
        with pytest.raises(UserError, match=f"--out {out} .*data"):
            train(recipe_of(images, packed), out)
    assert not list(tmp_path.rglob("begun.json"))
    assert not (images / ".lock").exists()
