"""``preceptor init``: a recipe that runs on the folder, and hints that work when pasted."""

import re
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.data.prepare import prepare
from preceptor.recipe import load_recipe

from ..command import preceptor
from ..data.trees import class_folders, pairs, save_array, save_image, truncate, write


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """No question to the hub, and a working folder of one's own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("preceptor.drafting.ask_hub", lambda: lambda: False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(kind, root):
    """A folder of 24 samples as users have them."""
    if kind == "masks":
        return pairs(root, count=24)
    class_folders(root, per_class=12, classes=("no", "yes"))
    if kind == "table":
        rows = [f"{name}/p{n // 2}_{n}.png,{name},P{n}" for name in ("no", "yes") for n in range(12)]
        write(root / "labels.csv", "image,label,patient\n" + "\n".join(rows))
    return root


def pasted(line):
    """The answer to a command as it was printed."""
    command, *arguments = shlex.split(line)
    assert command == "preceptor"
    return preceptor(*arguments)


@pytest.mark.parametrize("kind", ["folders", "table", "masks"])
def test_from_a_folder_to_a_recipe_that_is_prepared(here, kind):
    """What `data inspect` prints is pasted, and what that writes reads every image; nothing is trained."""
    root = made(kind, Path("my data #2"))
    seen = preceptor("data", "inspect", str(root))
    answer = pasted(seen.out.rpartition("\nnext\n")[2].strip())
    assert answer.code == 0, answer.error
    *train, file = shlex.split(answer.out.rpartition("next: ")[2])
    assert train == ["preceptor", "train"]
    recipe, notes = load_recipe(Path(file), [f"data.cache={here / 'cache'}"])
    assert not notes
    assert recipe.data.path == str(root)
    assert recipe.task == ("segmentation" if kind == "masks" else "classification")
    assert sum(map(len, prepare(recipe, note=lambda line: None).rows.values())) == 24
    text = Path(file).read_text()
    for key in ("task:", "split:", "image_size:", "augment:", "teacher:", "technique:", "epochs:"):
        before = text[: text.index(key) + len(key) + 60]
        assert "#" in before.splitlines()[-2] or "# " in before, f"no reason for {key}"


def test_a_given_source_and_its_options_are_passed_on():
    root = made("folders", Path("tiles"))
    seen = preceptor("data", "inspect", "tiles", "--source", "folder", "--option", "group=^p(\\d+)_")
    answer = pasted(seen.out.rpartition("\nnext\n")[2].strip())
    assert answer.code == 0, answer.error
    recipe, _ = load_recipe(Path("tiles.yaml"))
    assert recipe.data.options == {"group": "^p(\\d+)_"}
    assert root.is_dir()


def test_a_recipe_that_is_there_is_not_overwritten():
    made("folders", Path("tiles"))
    write(Path("tiles.yaml"), "mine")
    answer = preceptor("init", "tiles")
    assert answer.code == 2
    assert Path("tiles.yaml").read_text() == "mine"
    again = pasted(answer.error.rpartition("overwrite it by ")[2].strip())
    assert again.code == 0
    assert load_recipe(Path("tiles.yaml"))[0].name == "tiles"


@pytest.mark.parametrize("out", ["recipe.txt", "."])
def test_a_recipe_is_a_yaml_file(out):
    made("folders", Path("tiles"))
    answer = preceptor("init", "tiles", "--out", out)
    assert answer.code == 2
    assert "--out" in answer.error


def test_too_few_patients_are_said_and_divided_by_image():
    for number in range(40):
        save_image(Path("tiles") / "ab"[number % 2] / f"p{number // 20}_{number}.png", seed=number)
    answer = preceptor("init", "tiles", "--source", "folder", "--option", "group=^p(\\d+)_")
    assert answer.code == 0, answer.error
    assert "since by group it cannot be done: only 2 groups" in answer.out
    assert load_recipe(Path("tiles.yaml"))[0].split.by == "image"


def test_damage_is_said_and_refused_where_nothing_can_be_read():
    root = made("folders", Path("tiles"))
    truncate(root / "no" / "p0_0.png")
    assert "damaged  " in preceptor("init", "tiles").out
    for file in root.rglob("*.png"):
        file.write_bytes(b"")
    answer = preceptor("init", "tiles", "--force")
    assert answer.code == 2
    assert "none of 8 images that were tried can be read" in answer.error


def test_bits_that_a_run_would_lose_become_an_option():
    import numpy as np

    for number in range(24):
        values = np.random.default_rng(number).integers(0, 4096, (8, 8), dtype=np.uint16)
        save_array(Path("scans") / "ab"[number % 2] / f"{number}.png", values)
    assert preceptor("init", "scans").code == 0
    recipe, _ = load_recipe(Path("scans.yaml"))
    assert recipe.data.options["bits"] == 12
    assert not recipe.augment.flip_vertical


@pytest.mark.slow
def test_ten_thousand_files_take_less_than_three_seconds(here):
    """Processor time: the machine may be busy. Nothing is asked of the hub."""
    image = save_image(here / "one.png", size=(64, 64))
    for number in range(10_000):
        file = here / "many" / f"class{number % 5}" / f"{number}.png"
        if number < 5:
            file.parent.mkdir(parents=True)
        shutil.copyfile(image, file)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "preceptor", "init", "many"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


def test_parts_of_a_folder_that_share_patients_are_divided_anew_by_patient(here):
    """As in published chest X-rays, where names of one patient are in several parts: the recipe can be trained."""
    for at, part in enumerate(("train", "val", "test")):
        for number in range(12):
            for shift, name in enumerate(("NORMAL", "PNEUMONIA")):
                file = here / "xray" / part / name / f"{name[:2]}-{number:04d}-{at}.png"
                save_image(file, seed=1000 * shift + 100 * at + number)
    option = ("--option", r"group=^([A-Z]+-\d+)")
    assert "leak: 24" in preceptor("data", "inspect", "xray", *option).out
    answer = preceptor("init", "xray", *option, "--out", "x.yaml")
    assert answer.code == 0, answer.error
    recipe, _ = load_recipe(Path("x.yaml"), [f"data.cache={here / 'cache'}"])
    assert recipe.split.by == "group"
    assert "in more than one part" in Path("x.yaml").read_text().replace("\n  # ", " ")
    assert "in more than one part" in answer.out
    prepare(recipe, note=lambda line: None)


def test_names_that_begin_alike_are_offered_as_groups_and_the_offer_works(here):
    for number in range(24):
        save_image(here / "mine" / "ab"[number % 2] / f"pat{number // 4:03d}_{number}.png", seed=number)
    answer = preceptor("init", "mine", "--out", "first.yaml")
    offered = re.search(r"`preceptor init FOLDER (--option '[^`]+')`", answer.out)
    assert offered
    again = preceptor("init", "mine", *shlex.split(offered[1]), "--out", "second.yaml")
    assert again.code == 0, again.error
    assert "(6 groups)" in again.out
