"""Images without a label: which part they are in, which labels are hidden, what is left of equal images."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from preceptor.data.duplicates import settle_duplicates
from preceptor.data.order import SampleOrder
from preceptor.data.prepare import prepare
from preceptor.data.samples import sample_frame
from preceptor.data.sources import open_source
from preceptor.data.unlabelled import hidden, placed
from preceptor.errors import UserError
from preceptor.recipe import parse_recipe
from preceptor.specs import LabelsSpec


@pytest.fixture
def folder(tmp_path):
    """Twelve images in folders of three patients, and a table in which every other one has no class."""
    rows = []
    draw = np.random.default_rng(0)
    for number in range(48):
        place = f"p{number // 4:02}/i{number:02}.png"
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / place)
        label = "" if number % 4 == 3 else "ab"[number % 2]
        rows.append({"image": place, "kind": label, "patient": place[:3]})
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


def recipe_of(folder, **changes):
    options = {"label": "kind", "group": "patient"}
    raw = {
        "task": "classification",
        "data": {"source": "table", "path": str(folder), "options": options, "image_size": 8},
        "split": {"fractions": [0.5, 0.25, 0.25]},
        "networks": {"student": {"architecture": "test_resnet", "weights": "none"}, "count": 2},
        "technique": {"name": "ml"},
    }
    raw["data"]["cache"] = str(folder / "cache")
    return parse_recipe(raw).with_(changes)


@pytest.mark.parametrize(
    ("options", "grouping"),
    [
        ({"group_from": "folder", "grouping": "patient"}, "patient"),
        ({"csv": "table.csv", "group": "patient"}, "patient"),
        ({"group": "i(.)"}, "group"),
        ({}, None),
    ],
)
def test_images_come_from_a_folder_or_a_table_and_have_no_label(folder, options, grouping):
    table = open_source("images", str(folder), options)
    assert (len(table), table.classes, table.grouping) == (48, (), grouping)
    assert set(table.frame["label"]) == {-1}
    assert table.frame["group"].nunique() == {"patient": 12, "group": 5, None: 0}[grouping]
    assert table.read(3)[0].shape == (8, 8, 3)


def test_options_of_a_table_are_refused_for_a_folder(folder):
    with pytest.raises(UserError, match="the option split names a column of a table"):
        open_source("images", str(folder), {"split": "part"})
    with pytest.raises(UserError, match="group_from is for folders"):
        open_source("images", str(folder), {"csv": "table.csv", "group_from": "folder"})


def test_empty_cells_are_images_without_a_label_in_the_training_part_alone(folder):
    prepared = prepare(recipe_of(folder))
    frame = prepared.packed.frame
    assert (frame["label"] < 0).sum() == 12
    assert list(prepared.unlabelled) == ["train"]
    held = set(frame["group"].iloc[np.concatenate([prepared.rows["validation"], prepared.rows["test"]])])
    assert not held & set(frame["group"].iloc[prepared.every("train")])
    trained = len(prepared.unlabelled["train"])
    assert trained == len(set(frame["group"]) - held)
    assert prepared.labels_used == {part: len(rows) for part, rows in prepared.rows.items()}
    assert all((frame["label"].iloc[rows] >= 0).all() for rows in prepared.rows.values())
    said = (
        f"{trained} images without a label are in the training part; {12 - trained} more are left out, being of a group"
    )
    assert any(note.startswith(said) for note in prepared.notes)
    assert set(pd.read_csv(pd.io.common.StringIO(prepared.split_csv()))["label"]) == {-1, 0, 1}


def test_more_images_come_from_another_folder(folder, tmp_path_factory):
    more = tmp_path_factory.mktemp("more")
    for number in range(5):
        Image.fromarray(np.full((8, 8, 3), 40 * number, dtype=np.uint8)).save(more / f"{number}.png")
    prepared = prepare(recipe_of(folder, **{"data.unlabelled": str(more)}))
    names = prepared.packed.frame["id"].iloc[prepared.unlabelled["train"]]
    assert sum(name.startswith("unlabelled/") for name in names) == 5
    assert len(prepared.packed.frame) == 53
    assert prepared.stored.size("p00/i00") == (8, 8)


def test_hidden_labels_are_of_the_training_part_and_fewer_are_part_of_more(folder):
    every, half, none = (
        prepare(recipe_of(folder, **{"split.labels": {"fraction": share}} if share else {})) for share in (0, 0.5, 0.1)
    )
    assert set(none.rows["train"]) < set(half.rows["train"]) < set(every.rows["train"])
    assert len(none.rows["train"]) == 2
    for some in (half, none):
        assert some.rows["test"].tolist() == every.rows["test"].tolist()
        assert some.with_unlabelled("train").tolist() == every.with_unlabelled("train").tolist()
        assert (some.packed.frame["label"].iloc[some.unlabelled["train"]] == -1).all()
    few = prepare(recipe_of(folder, **{"split.labels": {"per_class": 2}}))
    assert np.bincount(few.labels(few.rows["train"])).tolist() == [2, 2]
    with pytest.raises(UserError, match=r"split\.labels\.per_class: 40 images per class were asked for"):
        prepare(recipe_of(folder, **{"split.labels": {"per_class": 40}}))


def test_hiding_is_a_function_of_ids_and_seed():
    frame = sample_frame([f"i{n}" for n in range(20)], ["x"] * 20, labels=np.arange(20) % 2)
    rows = np.arange(20)
    first, again, other = (
        hidden(frame, rows, LabelsSpec(fraction=0.5, seed=own), seed, ("a", "b"))
        for own, seed in ((1, 0), (1, 5), (2, 0))
    )
    assert first.tolist() == again.tolist() != other.tolist()


def test_an_unlabelled_copy_of_a_test_image_is_left_out():
    frame = sample_frame(["a", "b", "c", "d"], ["x"] * 4, labels=[0, 1, -1, -1]).assign(pixels=[1, 2, 2, 3])
    parts, note = placed(frame, pd.Series(["train", "test"], index=[0, 1], dtype=object), by_group=False)
    assert parts.tolist() == ["train", "test", "left out", "train"]
    assert note.startswith("1 images without a label are in the training part; 1 more are left out")


def test_of_equal_images_the_labelled_one_is_kept():
    frame = sample_frame(["a", "b"], ["x"] * 2, labels=[-1, 1]).assign(pixels=[7, 7])
    assert settle_duplicates(frame, "drop")[0]["id"].tolist() == ["b"]
    assert settle_duplicates(frame.assign(label=-1), "drop")[0]["id"].tolist() == ["a"]


def test_equal_images_with_other_labels_are_shown_and_teach_no_class(folder):
    """Which of them stays may not depend on the labels where these are unread, and none of the labels is believed."""
    table = pd.read_csv(folder / "table.csv").assign(kind=lambda rows: ["ab"[n % 2] for n in range(len(rows))])
    (folder / "p00/i01.png").write_bytes((folder / "p00/i00.png").read_bytes())
    recipe = recipe_of(folder).with_(
        {
            "technique": {"name": "distil_features"},
            "networks.teacher": {"architecture": "test_vit", "weights": "none"},
        }
    )
    kept = []
    for labels in ("ab", "ba", "aa"):
        table.assign(kind=[*labels, *table["kind"].iloc[2:]]).to_csv(folder / "table.csv", index=False)
        prepared = prepare(recipe)
        shown = np.concatenate([prepared.every(part) for part in ("train", "validation", "test")])
        used = np.concatenate(list(prepared.rows.values()))
        ids = prepared.packed.frame["id"]
        kept.append(sorted(ids.iloc[shown]))
        assert ("p00/i00" in set(ids.iloc[used])) == (labels == "aa")
        assert any("have another label" in note for note in prepared.notes) == (labels != "aa")
    assert kept[0] == kept[1] == kept[2]
    assert "p00/i00" in kept[0]
    assert "p00/i01" not in kept[0]


def test_balance_counts_labelled_images_and_shows_the_others_once():
    labels = np.array([0, 0, 0, 1, -1, -1])
    order = SampleOrder(shuffle=True, balance="over")
    shown = np.bincount(order.positions(labels, 0), minlength=6)
    assert shown[labels == 0].tolist() == [1, 1, 1]
    assert shown[3:].tolist() == [3, 1, 1]
    assert order.positions(labels[:4], 0).tolist() == replace(order).positions(labels[:4], 0).tolist()
