"""Runs that are trained as one end as they do alone."""

import json

import pytest

from preceptor.errors import InterruptedRunError, UserError
from preceptor.recipe import parse_recipe
from preceptor.techniques.kthf2 import KTHF2
from preceptor.training import run
from preceptor.training.together import train_together

from .phantoms import STUDENTS, exported, recipe_for, stopping_fit, train

CELLS = {
    "online": {"name": "kd_online", "strategy": "predictions", "adapter": "always"},
    "features": {"name": "kd_ml", "strategy": "features", "adapter": "always"},
    "diverse": {"name": "kd_ml", "strategy": "diverse", "adapter": "always"},
    "alone": {"name": "baseline"},
}


def recipes(packed, task="classification", **changes):
    student = STUDENTS[task] if task == "segmentation" else STUDENTS[task] | {"options": {"drop_rate": 0.2}}
    networks = {"count": 2, "student": student}
    return {
        name: recipe_for(task, technique, packed, networks=networks, **changes) for name, technique in CELLS.items()
    }


def together(found, out, names=tuple(CELLS)):
    return train_together({out / name: found[name] for name in names}, out / "shared", device="cpu")


@pytest.mark.parametrize("task", [pytest.param("classification", marks=pytest.mark.slow), "segmentation"])
def test_every_run_ends_as_it_does_alone(task, packed, tmp_path):
    """Weights, metrics, scores and predictions, dropout and adapters included."""
    found = recipes(packed, task)
    names = ("online", "features", "alone") if task == "classification" else ("online", "diverse")
    together(found, tmp_path, names)
    for name in names:
        train(found[name], tmp_path / f"lone-{name}")
        ours, unshared = tmp_path / name, tmp_path / f"lone-{name}"
        for network in (path.name for path in (unshared / "networks").iterdir()):
            assert exported(ours, network) == exported(unshared, network)
        for file in ("metrics.csv", "split.csv", "recipe.yaml", "predictions/test.csv"):
            assert (ours / file).read_bytes() == (unshared / file).read_bytes()
        a, b = (json.loads((folder / "result.json").read_text()) for folder in (ours, unshared))
        assert {key: a[key] for key in ("test", "validation", "fidelity", "chosen", "parameters")} == {
            key: b[key] for key in ("test", "validation", "fidelity", "chosen", "parameters")
        }


def test_the_teacher_is_there_once(packed, tmp_path, monkeypatch):
    """Three runs with an online teacher: one update of it per step, and one forward pass."""
    seen = []
    fit = run.train_stage

    def noting(fabric, stage, cohort, *more, **options):
        seen.append(tuple(stage.members))
        return fit(fabric, stage, cohort, *more, **options)

    monkeypatch.setattr(run, "train_stage", noting)
    together(recipes(packed, training={"epochs": 1}), tmp_path)
    assert [name for name in seen[0] if name.startswith("T")] == ["T#0"]
    assert len(seen[0]) == 1 + 4 * 2


def test_a_killed_training_goes_on(packed, tmp_path, monkeypatch):
    found = recipes(packed)
    together(found, tmp_path / "straight", ("online", "diverse"))
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_stage", stopping_fit("main", 1, 2))
        with pytest.raises(InterruptedRunError):
            together(found, tmp_path / "killed", ("online", "diverse"))
    together(found, tmp_path / "killed", ("online", "diverse"))
    for name in ("online", "diverse"):
        for network in ("T", "S1", "S2"):
            assert exported(tmp_path / "killed" / name, network) == exported(tmp_path / "straight" / name, network)


def test_finished_runs_are_left_alone(packed, tmp_path):
    found = recipes(packed, training={"epochs": 1})
    first = together(found, tmp_path, ("online", "alone"))
    assert together(found, tmp_path, ("online", "alone")) == first


def test_a_teacher_that_learns_from_students_is_their_own(packed, tmp_path):
    found = recipes(packed, training={"epochs": 1})
    found["taught"] = found["online"].model_copy(
        update={"technique": found["online"].technique.model_copy(update={"teacher_learns": 0.1})}
    )
    together(found, tmp_path, ("online", "taught"))
    teachers = (tmp_path / "shared" / "checkpoints" / "main").glob("T#*.best.ckpt")
    assert {path.name for path in teachers} == {"T#0.best.ckpt", "T#1.best.ckpt"}


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("training", {"lr": 1e-4}, "differ in training"),
        ("technique", {"sequential": True}, "in turn"),
        ("technique", {"name": "kd_offline"}, "2 stages"),
    ],
)
def test_what_cannot_be_shared(part, changes, message, packed, tmp_path):
    found = recipes(packed)
    raw = found["online"].model_dump(mode="json")
    found["other"] = parse_recipe(raw | {part: raw[part] | changes})
    with pytest.raises(UserError, match=message):
        together(found, tmp_path, ("online", "other"))


@pytest.mark.parametrize("changes", [{"patience": 3}, {"precision": "16-mixed"}])
def test_what_acts_on_all_networks_at_once(changes, packed, tmp_path):
    with pytest.raises(UserError, match=next(iter(changes))):
        together(recipes(packed, training=changes), tmp_path)


@pytest.mark.slow
def test_networks_that_read_others_end_as_they_do_alone(packed, tmp_path):
    """A fused head and a mean of peers, beside a run without any of these."""
    found = recipes(packed, training={"epochs": 1})
    found["fused"] = found["alone"].model_copy(update={"technique": KTHF2(name="kthf2")})
    require_equal_to_lone_runs({name: found[name] for name in ("alone", "fused")}, tmp_path)


@pytest.mark.slow
def test_exits_end_as_they_do_alone(packed, tmp_path):
    one = {"training": {"epochs": 1}}
    techniques = {"exits": {"name": "self_distill"}, "weighed": {"name": "self_distill", "alpha": 0.3}}
    found = {name: recipe_for("classification", raw, packed, **one) for name, raw in techniques.items()}
    require_equal_to_lone_runs(found, tmp_path)


@pytest.mark.slow
def test_a_committee_is_there_once(packed, teachers, tmp_path):
    given = {"name": "multi_teacher", "teachers": [str(teachers["classification"])] * 2, "integration": "entropy"}
    one = {"training": {"epochs": 1}}
    found = {
        name: recipe_for("classification", {**given, **more}, packed, **one)
        for name, more in {"one": {"alpha": 0.2}, "other": {"alpha": 0.5}}.items()
    }
    require_equal_to_lone_runs(found, tmp_path)
    assert not list((tmp_path / "shared" / "checkpoints" / "main").glob("T*"))


def require_equal_to_lone_runs(found, out):
    """Every file of an exported network, the metrics, and the scores, to the byte."""
    together(found, out, tuple(found))
    for name, recipe in found.items():
        train(recipe, out / f"lone-{name}")
        ours, unshared = out / name, out / f"lone-{name}"
        files = [file.relative_to(unshared) for file in (unshared / "networks").rglob("*") if file.is_file()]
        for file in (*files, "metrics.csv", "predictions/test.csv"):
            assert (ours / file).read_bytes() == (unshared / file).read_bytes(), file
        a, b = (json.loads((folder / "result.json").read_text()) for folder in (ours, unshared))
        assert {key: a[key] for key in ("test", "validation", "fidelity")} == {
            key: b[key] for key in ("test", "validation", "fidelity")
        }


def test_a_folder_holds_one_training(packed, tmp_path):
    found = recipes(packed, training={"epochs": 1})
    together(found, tmp_path, ("online", "alone"))
    with pytest.raises(UserError, match="other runs"):
        together(found, tmp_path, ("online", "diverse"))


def test_lost_metrics_of_several_runs_are_refused(packed, tmp_path, monkeypatch):
    found = recipes(packed)
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_stage", stopping_fit("main", 1, 2))
        with pytest.raises(InterruptedRunError):
            together(found, tmp_path, ("online", "alone"))
    metrics = tmp_path / "shared" / "metrics.csv"
    metrics.write_bytes(metrics.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"metrics\.csv: was cut short"):
        together(found, tmp_path, ("online", "alone"))
