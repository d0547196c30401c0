"""Runs that a study trains as one."""

import json

import pytest

from preceptor.study.lockstep import lockstep
from preceptor.study.plan import plan_study

from ..command import preceptor
from .studies import raw, study

AXES = {
    "technique": {name: [f"technique.name={name}"] for name in ("ml", "kd_offline", "kd_online", "kd_ml")},
    "strategy": {"predictions": ["technique.strategy=predictions"], "features": ["technique.strategy=features"]},
}


def groups(**changes):
    """What is trained with what, by the names of the cells, singles left out."""
    jobs = plan_study(study(**({"axes": AXES, "together": True} | changes))).jobs
    found = {group[0].id: group for group in lockstep(jobs).values() if len(group) > 1}
    return sorted(sorted("-".join((*job.cell.values(), str(job.seed))) for job in group) for group in found.values())


def test_runs_of_a_seed_that_wait_for_the_same_go_together():
    online = [
        f"{name}-{strategy}-0" for name in ("kd_ml", "kd_online", "ml") for strategy in ("features", "predictions")
    ]
    assert groups() == [online, ["kd_offline-features-0", "kd_offline-predictions-0"]]
    assert len(groups(seeds=[0, 1])) == 4


def test_one_online_teacher_for_all_strategies():
    """Where one cell shares features, all online teachers have the convolution inside; without `together` their own."""
    for together, found in ((True, {"always"}), (False, {"auto"})):
        jobs = plan_study(study(axes=AXES, together=together)).jobs
        online = [job.recipe.technique for job in jobs if job.recipe.technique.name in ("kd_online", "kd_ml")]
        assert {technique.adapter for technique in online} == found
    only_predictions = AXES | {"strategy": {"predictions": ["technique.strategy=predictions"]}}
    jobs = plan_study(study(axes=only_predictions, together=True)).jobs
    assert {job.recipe.technique.adapter for job in jobs if job.recipe.technique.name == "kd_ml"} == {"auto"}


@pytest.mark.parametrize("change", ["training.patience=3", "training.precision=16-mixed", "technique.sequential=true"])
def test_what_acts_on_all_networks_at_once_is_trained_alone(change):
    alone = {name: {label: [*text, change] for label, text in AXES[name].items()} for name in ("technique",)}
    axes = AXES | alone
    if "sequential" in change:
        axes["technique"] = {name: axes["technique"][name] for name in ("ml", "kd_online")}
    assert groups(axes=axes) == []


def test_a_loss_that_drops_incomplete_batches_keeps_away_those_that_see_them():
    losses = {name: {"technique.losses": [{"loss": name}]} for name in ("fitnet", "at", "semckd")}
    technique = {"technique": {name: {"technique.name": "kd_offline", **loss} for name, loss in losses.items()}}
    assert groups(axes=technique) == [["at-0", "fitnet-0"]]


def test_axes_of_the_data_keep_runs_apart():
    axes = AXES | {"fraction": {"half": ["split.train_fraction=0.5"], "whole": ["split.train_fraction=1.0"]}}
    assert len(groups(axes=axes)) == 4


@pytest.fixture
def written(tmp_path):
    def write(together):
        path = tmp_path / f"{together}.yaml"
        axes = AXES | {"technique": {name: AXES["technique"][name] for name in ("ml", "kd_online")}}
        axes["strategy"] = {"features": ["technique.strategy=features", "technique.adapter=always"]} | {
            "predictions": ["technique.strategy=predictions", "technique.adapter=always"]
        }
        path.write_text(json.dumps(raw(axes=axes, together=together)))
        return path

    return write


@pytest.mark.slow
def test_a_study_leaves_the_same_bits(written, tmp_path):
    """Exported networks, metrics and predictions, whether runs are trained as one or apart."""
    for together in (True, False):
        answer = preceptor(
            "study", written(together), "--out", tmp_path / str(together), "--workers", 1, "--device", "cpu"
        )
        assert answer.code == 0, answer.error
        assert "6 of 6 jobs done" in answer.out
    one, apart = (
        {
            str(file.relative_to(tmp_path / kind)): file.read_bytes()
            for pattern in ("networks/*/*", "metrics.csv", "predictions/*")
            for file in (tmp_path / kind / "runs").glob(f"*/{pattern}")
        }
        for kind in ("True", "False")
    )
    assert one == apart
    assert len({name for name in one if name.endswith("safetensors")}) == 1 + 2 + 2 * 2 + 2 * 3
    assert len(list((tmp_path / "True" / "together").iterdir())) == 1
    again = preceptor("study", written(True), "--out", tmp_path / "True", "--device", "cpu")
    assert "done in" not in again.out


def test_runs_that_cannot_be_trained_as_one_are_trained_alone(scripted):
    """The group's work fails; then each job is done by itself, and only the wrong one fails."""
    board, text = scripted({"ml-predictions": "defect"}, axes=AXES, together=True)
    assert "could not be trained as one" in text
    failed = [board.jobs[id].cell for id in board.having("failed")]
    assert [tuple(cell.values()) for cell in failed] == [("ml", "predictions")]
    assert len(board.having("done")) == len(board.jobs) - 1
