"""Images are known again by what they are, wherever they lie and whatever they are called."""

import shutil

import numpy as np
import pytest

from preceptor.data.prepare import prepare
from preceptor.errors import UserError
from preceptor.recipe import parse_recipe
from preceptor.runs.names import PIXELS
from preceptor.training.pixel_keys import PixelKeys, no_keys, read_pixel_keys, row_keys
from preceptor.training.same_data import SeenImages, require_unseen, write_pixel_keys

from ..data.trees import save_image, write
from ..own_technique import OWN

NETWORK = {"architecture": "test_resnet", "weights": "none"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def images(root, names=range(20), first_seed=0):
    """Two classes of random pictures; a seed is a picture."""
    for place, label in enumerate("ab"):
        for number, name in enumerate(names):
            save_image(root / label / f"{name}.png", seed=first_seed + 100 * place + number)
    return root


def recipe_on(path, *, seed=0, technique=None, size=16, teacher=NETWORK, student=NETWORK, **more):
    return parse_recipe(
        {
            "task": "classification",
            "data": {"source": "folder", "path": str(path), "image_size": size, **more},
            "split": {"seed": seed},
            "networks": {"teacher": teacher, "student": student, "count": 1},
            "technique": technique or {"name": "baseline", "network": "teacher"},
        }
    )


def left_by(recipe, run, seen=None):
    """A run folder as far as it tells what its networks have seen."""
    write(run / "networks" / "T" / "config.json", "{}")
    write(run / "recipe.yaml", recipe.to_yaml())
    prepared = prepare(recipe)
    write(run / "split.csv", prepared.split_csv())
    write_pixel_keys(run, prepared, seen or SeenImages())
    return run


def taught_by(teacher, path, **more):
    return recipe_on(path, technique={"name": "kd_offline", "teacher": str(teacher)}, **more)


def checked(recipe):
    return require_unseen(recipe.plan(), recipe.data, prepare(recipe))


REFUSED = r"was trained on \d+ images that are validation or test here, for example [ab]/"


def test_the_same_split_is_taken_without_a_word(tmp_path):
    data = images(tmp_path / "data")
    assert checked(taught_by(left_by(recipe_on(data), tmp_path / "run"), data)).notes == ()


@pytest.mark.parametrize("spelling", ["{0}", "{0}/", "./data", "data", "../{1}/data", "{0}/a/..", "link"])
def test_however_the_folder_is_spelled(tmp_path, spelling):
    data = images(tmp_path / "data")
    (tmp_path / "link").symlink_to(data)
    run = left_by(recipe_on(data, seed=1), tmp_path / "run")
    with pytest.raises(UserError, match=rf"technique\.teacher: .*{REFUSED}"):
        checked(taught_by(run, spelling.format(data, tmp_path.name)))


def test_wherever_they_lie_and_whatever_they_are_called(tmp_path):
    data = images(tmp_path / "data")
    other = images(tmp_path / "elsewhere", names=[f"renamed{n}" for n in reversed(range(20))])
    run = left_by(recipe_on(data, seed=1), tmp_path / "run")
    with pytest.raises(UserError, match=rf"{REFUSED}renamed"):
        checked(taught_by(run, other))


@pytest.mark.parametrize("change", [{"size": 24}, {"resize": "pad"}, {"tile": {"size": 4}}])
def test_however_they_are_resized_or_cut(tmp_path, change):
    data = images(tmp_path / "data")
    run = left_by(recipe_on(data, seed=1, **change), tmp_path / "run")
    with pytest.raises(UserError, match=REFUSED):
        checked(taught_by(run, data))
    with pytest.raises(UserError, match=REFUSED):
        checked(taught_by(left_by(recipe_on(data, seed=1), tmp_path / "plain"), data, **change))


def test_other_images_of_the_same_names_are_no_leak(tmp_path):
    run = left_by(recipe_on(images(tmp_path / "data"), seed=1), tmp_path / "run")
    assert checked(taught_by(run, images(tmp_path / "other", first_seed=1000))).notes == ()


def ways(run):
    """Every way in which trained weights come into a recipe."""
    folder = run / "networks" / "T"
    by_path = {**NETWORK, "weights": str(folder)}
    by_architecture = {"architecture": f"local-dir:{folder}"}
    offline = {"name": "kd_offline"}
    return {
        "teacher": {"technique": {**offline, "teacher": str(run)}},
        "network folder": {"technique": {**offline, "teacher": str(folder)}},
        "file": {"technique": {**offline, "teacher": str(write(folder / "model.safetensors", ""))}},
        "checkpoint": {
            "technique": {**offline, "teacher": str(write(run / "checkpoints" / "main" / "T.best.ckpt", ""))}
        },
        "teachers": {"technique": {"name": "multi_teacher", "teachers": [str(run)]}},
        "snapshots": {"technique": {"name": "multi_part", "anchors": "last", "snapshots": [str(run)]}},
        "networks.teacher": {"technique": offline, "teacher": by_path},
        "local-dir teacher": {"technique": offline, "teacher": by_architecture},
        "student": {"technique": offline, "student": by_path},
        "local-dir student": {"technique": {"name": "baseline"}, "student": by_architecture},
        "own technique": {"technique": {"name": f"{write(run.parent / 'own.py', OWN)}:Mine", "teacher": str(run)}},
    }


WAYS = [
    "teacher",
    "network folder",
    "file",
    "checkpoint",
    "teachers",
    "snapshots",
    "networks.teacher",
    "local-dir teacher",
    "student",
    "local-dir student",
    "own technique",
]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_is_guarded(tmp_path, way):
    data = images(tmp_path / "data")
    run = left_by(recipe_on(data, seed=1), tmp_path / "run")
    with pytest.raises(UserError, match=REFUSED):
        checked(recipe_on(data, **ways(run)[way]))
    for file in (PIXELS, "split.csv"):
        (run / file).unlink()
    (note,) = checked(recipe_on(data, **ways(run)[way])).notes
    assert "so it cannot be checked whether it has seen images" in note


def test_a_link_to_the_weights_does_not_hide_their_run(tmp_path):
    data = images(tmp_path / "data")
    run = left_by(recipe_on(data, seed=1), tmp_path / "run")
    (tmp_path / "mine").symlink_to(run / "networks" / "T")
    with pytest.raises(UserError, match=REFUSED):
        checked(taught_by(tmp_path / "mine", data))


def test_what_a_teacher_was_taught_by_those_who_know_them_counts_too(tmp_path):
    """Trained elsewhere, from weights that were trained on what is tested here."""
    data, other = images(tmp_path / "data"), images(tmp_path / "other", first_seed=1000)
    first = left_by(recipe_on(data, seed=1), tmp_path / "first")
    student = recipe_on(other, technique={"name": "kd_offline", "teacher": str(first)})
    second = left_by(student, tmp_path / "second", checked(student))
    with pytest.raises(UserError, match=REFUSED):
        checked(taught_by(second, data))


def test_held_out_images_without_a_label_must_not_be_known_either(tmp_path):
    """A run that reads no labels at first chooses its weights by all images of the validation part."""
    images(tmp_path / "data")
    rows = [f"{label}/{n}.png,{label if n % 2 else ''}" for label in "ab" for n in range(20)]
    write(tmp_path / "data" / "table.csv", "\n".join(["image,label", *rows]))
    technique = {"name": "distil_features", "teacher": str(tmp_path / "run")}
    options = {"csv": "table.csv", "label": "label"}
    recipe = recipe_on(tmp_path / "data", technique=technique, source="table", options=options)
    left_by(recipe_on(images(tmp_path / "other", first_seed=1000)), tmp_path / "run")
    assert checked(recipe).notes == ()
    prepared = prepare(recipe)
    leaked = row_keys(prepared)[prepared.unlabelled["validation"]]
    PixelKeys({"train": np.unique(leaked), "validation": no_keys(), "test": no_keys()}).write(tmp_path / "run")
    with pytest.raises(UserError, match=REFUSED):
        checked(recipe)


def test_runs_of_older_versions_are_compared_by_name_which_is_said(tmp_path):
    data = images(tmp_path / "data")
    for name, seed in (("alike", 0), ("unlike", 1)):
        (left_by(recipe_on(data, seed=seed), tmp_path / name) / PIXELS).unlink()
    with pytest.raises(UserError, match=REFUSED):
        checked(taught_by(tmp_path / "unlike", "./data/"))
    (note,) = checked(taught_by(tmp_path / "alike", "./data/")).notes
    assert f"there is no {PIXELS}, so images were compared by their names alone" in note
    (note,) = checked(taught_by(tmp_path / "unlike", images(tmp_path / "elsewhere"))).notes
    assert "its data is not known to be the same, so it cannot be checked" in note


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00garbage", b"id,split\na,learn\n", b"a,b\n1,2\n"])
def test_a_damaged_split_is_said(tmp_path, content):
    data = images(tmp_path / "data")
    run = left_by(recipe_on(data), tmp_path / "run")
    (run / "split.csv").write_bytes(content)
    (note,) = checked(taught_by(run, data)).notes
    assert f"split.csv is damaged; {PIXELS} alone was compared" in note
    (run / PIXELS).unlink()
    (note,) = checked(taught_by(run, data)).notes
    assert "split.csv is damaged, so it cannot be checked" in note


def test_damaged_keys_are_said_and_names_compared(tmp_path):
    data = images(tmp_path / "data")
    run = left_by(recipe_on(data, seed=1), tmp_path / "run")
    flipped(run / PIXELS)
    with pytest.raises(UserError, match=REFUSED):
        checked(taught_by(run, data))
    run = left_by(recipe_on(data), tmp_path / "alike")
    flipped(run / PIXELS)
    (note,) = checked(taught_by(run, data)).notes
    assert f"{PIXELS} is damaged, so images were compared by their names alone" in note


def flipped(path):
    """One bit of the keys of the training part."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="damaged"):
        read_pixel_keys(path.parent)


def test_weights_that_lie_alone_are_said_to_be_unknown(tmp_path):
    data = images(tmp_path / "data")
    run = left_by(recipe_on(data, seed=1), tmp_path / "run")
    alone = shutil.copytree(run / "networks" / "T", tmp_path / "copied")
    (note,) = checked(taught_by(alone, data)).notes
    assert "lies in no run folder" in note


def test_the_file_is_small_and_plain_numpy(tmp_path):
    recipe = recipe_on(images(tmp_path / "data"), tile={"size": 4})
    run = left_by(recipe, tmp_path / "run")
    with np.load(run / PIXELS) as stored:
        found = {name: stored[name].shape for name in stored.files}
    assert sum(rows for rows, _ in found.values()) == 40  # whole images, not their four tiles
    assert {width for _, width in found.values()} == {16}


def test_a_flipped_bit_anywhere_in_the_keys_is_noticed_or_changes_nothing(tmp_path):
    recipe = recipe_on(images(tmp_path / "data"))
    file = left_by(recipe, tmp_path / "run") / PIXELS
    content, draw, noticed = file.read_bytes(), np.random.default_rng(0), 0
    wanted = read_pixel_keys(file.parent).parts["train"].tolist()
    for place in draw.integers(8 * len(content), size=200).tolist():
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        file.write_bytes(bytes(changed))
        try:
            assert read_pixel_keys(file.parent).parts["train"].tolist() == wanted
        except ValueError as error:
            noticed += "damaged" in str(error)
    assert noticed > 180  # the rest is in the words before the seal
