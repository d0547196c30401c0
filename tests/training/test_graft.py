"""Grafting as whole runs on a few phantom images: what learns, one stage or several, resuming, what is exported."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from preceptor.cohort import instantiate
from preceptor.composed import load_network
from preceptor.networks.grafted import Chain, Grafted
from preceptor.opened_run import open_run
from preceptor.training import run
from preceptor.training.fit import train_stage

from .phantoms import NEW, exported, last, recipe_for, train

SMALL = {"networks": {name: {"architecture": "test_resnet", **NEW} for name in ("teacher", "student")}}
STAGES = [*(f"block{n}" for n in range(1, 6)), *(f"chain{n}" for n in range(2, 6))]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, packed):
    folder = tmp_path_factory.mktemp("teacher")
    train(recipe_for("classification", {"name": "baseline", "network": "teacher"}, packed, **SMALL), folder)
    return str(folder)


@pytest.fixture(scope="module")
def grafted(packed, teacher):
    """``grafted(networks={…}, split={…}, **technique)`` is a recipe of one epoch of five steps a stage."""

    def recipe(*, networks=None, split=None, **technique):
        return recipe_for(
            "classification",
            {"name": "graft", **({} if "teachers" in technique else {"teacher": teacher}), **technique},
            packed,
            training={"epochs": 1},
            networks={**SMALL["networks"], **(networks or {})},
            **({"split": split} if split else {}),
        )

    return recipe


@pytest.fixture(scope="module")
def whole(tmp_path_factory, grafted):
    """A finished run with one stage for all blocks, and its result."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(grafted(), folder)[0]


@pytest.fixture(scope="module")
def apart(tmp_path_factory, grafted):
    """A finished run with a stage for each block, its result, and how many tensors did not change in each stage."""
    folder, made, unchanged = tmp_path_factory.mktemp("apart"), [], []

    def making(host, student, replaced):
        made.append((host, student))
        return Grafted(host, student, replaced)

    def watching(fabric, stage, cohort, *more, **options):
        held = {id(tensor) for tensor in (*cohort.learners.parameters(), *cohort.learners.buffers())}
        host, student = made[-1]
        tensors = [t for net in (host, student) for t in (*net.parameters(), *net.buffers()) if id(t) not in held]
        before = [tensor.clone() for tensor in tensors]
        at = train_stage(fabric, stage, cohort, *more, **options)
        if all(torch.equal(tensor, one) for tensor, one in zip(tensors, before, strict=True)):
            unchanged.append((stage.name, len(tensors)))
        return at

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instantiate, "Grafted", making)
        patch.setattr(run, "train_stage", watching)
        result, _ = train(grafted(at_once=False), folder)
    return folder, result, unchanged


def test_the_exported_student_is_a_network_of_its_own(whole, grafted):
    folder, result = whole
    assert set(result.test) == {"T", "S1"}
    student = load_network(folder / "networks" / "S1")
    assert isinstance(student, Chain)
    assert result.parameters["S1"] == student.parameters_count()
    assert open_run(folder).evaluate(device="cpu").scores == result.test


def test_a_stage_trains_its_blocks_and_adapters_and_nothing_else(apart, teacher):
    """Of teacher and student every other parameter and buffer has the same bits, and the teacher ends as given."""
    folder, _, unchanged = apart
    network = load_network(folder / "networks" / "T")
    both = 2 * len([*network.parameters(), *network.buffers()])
    assert [name for name, _ in unchanged] == STAGES
    for name, tensors in unchanged:
        learning = {key for key in last(folder, name) if ".blocks." in key}
        assert tensors == both - len(learning)
    before = load_file(f"{teacher}/networks/T/model.safetensors")
    after = load_file(folder / "networks" / "T" / "model.safetensors")
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_checkpoints_hold_no_host(whole):
    folder, _ = whole
    parts = {".".join(key.split(".")[1:4]) for key in last(folder, "blocks")}
    wanted = {f"S1-block{n}.blocks.{n - 1}" for n in range(1, 6)}
    wanted |= {f"S1-block{n}.adapters.t2s{n - 1}" for n in range(2, 6)}
    assert parts == wanted | {f"S1-block{n}.adapters.s2t{n - 1}" for n in range(1, 5)}
    assert {".".join(key.split(".")[2:4]) for key in last(folder, "chain3")} == {
        *(f"blocks.{n}" for n in range(3)),
        *(f"adapters.{name}" for name in ("s2t0", "t2s1", "s2t1", "t2s2", "s2t2")),
    }


def test_blocks_one_after_another_end_as_at_once(whole, apart):
    best = sorted(path.name for path in (whole[0] / "checkpoints" / "blocks").glob("*.best.ckpt"))
    assert len(best) == 5
    for name in best:
        one, other = (
            torch.load(folder / "checkpoints" / "blocks" / name, weights_only=True) for folder in (whole[0], apart[0])
        )
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert exported(whole[0], "S1") == exported(apart[0], "S1")
    assert whole[1].test == apart[1].test
    assert apart[1].images_per_second * apart[1].seconds == pytest.approx(9 * 36)


@pytest.mark.slow
def test_killed_inside_stages_and_at_their_borders_it_ends_with_the_same_bits(apart, tmp_path, grafted, interrupted):
    recipe = grafted(at_once=False)
    interrupted(recipe, tmp_path, epoch=0, step=2, stage="block2")
    for stage in ("block4", "chain2", "chain5"):  # stopped when a stage begins, which leaves nothing of it
        interrupted(recipe, tmp_path, epoch=0, step=0, stage=stage)
        shutil.rmtree(tmp_path / "checkpoints" / stage)
    interrupted(recipe, tmp_path, epoch=0, step=3, stage="chain5")
    train(recipe, tmp_path)
    for name in ("S1", "T"):
        assert exported(tmp_path, name) == exported(apart[0], name)
    assert (tmp_path / "metrics.csv").read_bytes() == (apart[0] / "metrics.csv").read_bytes()


def test_a_teacher_of_its_own_is_trained_first(tmp_path, grafted):
    result, _ = train(grafted(teacher=None), tmp_path)
    assert set(result.test) == {"T", "S1"}
    assert (tmp_path / "checkpoints" / "teacher").is_dir()


def test_few_shots_from_a_committee_into_two_students(tmp_path, grafted, teacher):
    """Labels help; the host gives its place and has its own loss; a note tells on what the weights are chosen."""
    recipe = grafted(
        networks={"count": 2}, split={"shots": 3}, teachers=(teacher, teacher), host_weight=0.5, task_weight=0.5
    )
    result, said = train(recipe, tmp_path)
    assert set(result.test) == {"T", "T1", "T2", "S1", "S2", "ensemble", "ensemble_mean"}
    assert "chosen on the whole validation part" in said
    terms = {line.split(",")[4] for line in (tmp_path / "metrics.csv").read_text().splitlines()}
    assert {"loss:T->S1/kd", "loss:T1->S1/grafting", "loss:S1/task"} <= terms
