import pytest

from preceptor.errors import UserError
from preceptor.study.plan import plan_study

from .studies import RAW, raw, study

EDGES = [{"source": "T", "target": "S1", "loss": "kd"}]
OFFLINE = {"technique": {"kd_offline": ["technique.name=kd_offline"]}}


def planned(**changes):
    return plan_study(study(**changes)).jobs


def kinds(jobs):
    return [job.kind for job in jobs]


def only(jobs, kind):
    return [job for job in jobs if job.kind == kind]


def test_teacher_and_students_alone_come_first_of_each_seed():
    jobs = planned(seeds=[3, 0])
    assert kinds(jobs) == ["teacher", "baseline", *["run"] * 4] * 2
    assert [job.seed for job in jobs] == [3] * 6 + [0] * 6
    assert all(job.recipe.seed == job.seed for job in jobs)


def test_offline_cells_wait_for_the_teacher_and_runs_for_what_their_teacher_is_audited_against():
    teacher, baseline, ml, _, offline, _ = planned()
    assert ml.teachers == ()
    assert offline.teachers == (teacher.id,)
    assert offline.after == (baseline.id,)


def test_one_teacher_for_all_strategies_has_the_adapter_that_sharing_features_wants(tmp_path):
    jobs = planned()
    assert only(jobs, "teacher")[0].recipe.technique.adapter == "always"
    runs = [job for job in jobs if job.teachers]
    assert [job.recipe.technique.adapter for job in runs] == ["always", "always"]
    assert runs[0].recipe_in(tmp_path).technique.teacher == str(tmp_path / "runs" / jobs[0].id)


def test_no_adapter_where_no_offline_cell_shares_features():
    jobs = planned(exclude=[{"technique": "kd_offline", "strategy": "features"}])
    assert only(jobs, "teacher")[0].recipe.technique.adapter == "never"
    assert [job.recipe.technique.adapter for job in jobs if job.teachers] == ["auto"]


def test_a_teacher_without_adapter_is_shared_by_unlike_students():
    students = {
        "small": ["networks.student.architecture=test_resnet"],
        "large": ["networks.student.architecture=resnet10t"],
    }
    jobs = planned(axes={**OFFLINE, "student": students})
    teachers, baselines = only(jobs, "teacher"), only(jobs, "baseline")
    assert [dict(job.cell) for job in teachers] == [{}]
    assert [dict(job.cell) for job in baselines] == [{"student": "small"}, {"student": "large"}]
    assert {job.teachers for job in only(jobs, "run")} == {(teachers[0].id,)}


def test_a_teacher_with_adapter_depends_on_the_students_width_only():
    axes = {
        **OFFLINE,
        "strategy": {"features": ["technique.strategy=features"]},
        "count": {"one": ["networks.count=1"], "three": ["networks.count=3"]},
    }
    assert len(only(planned(axes=axes), "teacher")) == 1


def test_what_the_teacher_depends_on_makes_another_one():
    fractions = {**OFFLINE, "split.train_fraction": [0.5, 1.0]}
    assert len(only(planned(axes=fractions), "teacher")) == 2
    longer = {**OFFLINE, "training.epochs": [1, 2]}
    assert len(only(planned(axes=longer), "teacher")) == 2
    own_length = raw()["recipe"] | {"teacher_training": {"epochs": 5}}
    assert len(only(planned(axes=longer, recipe=own_length), "teacher")) == 1


def test_how_its_words_are_kept_makes_no_other_teacher():
    axes = OFFLINE | {"training.teacher_cache.dtype": ["float16", "float32"]}
    assert len(only(planned(axes=axes), "teacher")) == 1


def test_a_given_teacher_is_taken_as_it_is():
    jobs = planned(set=["technique.name=kd_offline", "technique.teacher=runs/mine"], axes={})
    assert [job.teachers for job in only(jobs, "run")] == [()]
    assert only(jobs, "run")[0].recipe.technique.teacher == "runs/mine"


def test_a_study_of_baselines_alone():
    students = {
        "small": ["networks.student.architecture=test_resnet"],
        "large": ["networks.student.architecture=resnet10t"],
    }
    jobs = planned(set=["technique.name=baseline"], axes={"student": students})
    assert kinds(jobs) == ["teacher", "baseline", "baseline"]


def test_names_tell_the_cell_and_end_with_a_digest_of_the_content():
    jobs = planned()
    assert [job.id[:-9] for job in jobs] == [
        "teacher-seed0",
        "baseline-seed0",
        "ml-predictions-seed0",
        "ml-features-seed0",
        "kd_offline-predictions-seed0",
        "kd_offline-features-seed0",
    ]
    assert len({job.id[-8:] for job in jobs}) == 6


def test_a_changed_recipe_is_another_job_and_a_default_written_out_is_not():
    before = [job.id for job in planned()]
    assert [job.id for job in planned(set=["training.optimizer=adam"])] == before
    assert not {job.id for job in planned(set=["training.lr=0.5"])} & set(before)


def test_another_teacher_is_another_run_of_its_students():
    before, after = planned(), planned(set=["teacher_training={epochs: 9}"])
    ids = {job.id for job in before}
    changed = [job.kind if not job.teachers else "of teacher" for job in after if job.id not in ids]
    # Runs without the teacher have `teacher_training` in their recipe too, though they do not use it.
    assert "teacher" in changed
    assert changed.count("of teacher") == 2
    assert "baseline" not in changed


def test_threads_are_the_studys_then_the_recipes_then_one():
    recipe = raw()["recipe"]
    own = {**recipe, "training": {**recipe["training"], "threads": 3}}
    found = [
        planned(**change)[0].recipe.training.threads for change in ({}, {"recipe": own}, {"recipe": own, "threads": 2})
    ]
    assert found == [1, 3, 2]


def test_options_that_a_technique_does_not_have_are_left_out_and_said():
    graph = {"technique": {"graph": {"technique.name": "graph", "technique.edges": EDGES}}}
    found = plan_study(study(set=["technique.temperature=3"], axes=graph))
    assert found.notes == ["graph: technique.temperature of the recipe is no option of graph: left out"]


def test_a_seed_stands_in_the_texts_that_ask_for_it():
    """Such as weights that an earlier run of each seed left, and images that it draws."""
    start = {"networks.student.weights": "runs/f-${seed}/S1", "split.shots": 4, "split.shots_seed": "${seed}"}
    technique = {"ml": ["technique.name=ml"]}
    axes = {"technique": technique, "start": {"known": start}}
    runs = only(planned(seeds=[3, 0], set=["data.options.note=${seed}${seed}"], axes=axes), "run")
    assert [job.recipe.networks.peers["S1"].weights for job in runs] == ["runs/f-3/S1", "runs/f-0/S1"]
    assert [job.recipe.split.shots_seed for job in runs] == [3, 0]
    assert [job.recipe.data.options["note"] for job in runs] == ["33", "00"]


def test_a_teacher_sees_the_fraction_that_its_students_see():
    few = {"split.train_fraction": 0.5, "split.shots_seed": 7}
    teacher = only(planned(axes={**OFFLINE, "labels": {"half": few}}), "teacher")[0]
    assert (teacher.recipe.split.train_fraction, teacher.recipe.split.shots_seed) == (0.5, 7)


def test_a_wrong_cell_is_named():
    axes = {"technique": {"odd": ["technique.name=kd_odd"]}}
    with pytest.raises(UserError, match=r"study tiny, cell odd:\n.*unknown 'kd_odd'"):
        planned(axes=axes)


def test_two_cells_of_one_recipe_are_refused():
    same = {"one": ["training.lr=0.5"], "two": ["training.lr=0.5"]}
    with pytest.raises(UserError, match="the cell two repeats"):
        planned(axes={"rate": same})


def with_teachers(*architectures):
    listed = [{"architecture": name, "weights": "none"} for name in architectures]
    technique = {"name": "multi_teacher"}
    return {"networks.teacher": None, "networks.count": 1, "networks.teachers": listed, "technique": technique}


def test_several_teachers_are_a_job_each(tmp_path):
    axes = {"technique": {"graft": ["technique.name=graft"], "multi_teacher": ["technique.name=multi_teacher"]}}
    jobs = planned(axes=axes, set=with_teachers("resnet10t", "test_resnet"))
    teachers = tuple(job.id for job in only(jobs, "teacher"))
    assert [job.recipe.networks.teacher.architecture for job in only(jobs, "teacher")] == ["resnet10t", "test_resnet"]
    assert [job.teachers for job in only(jobs, "run")] == [teachers, teachers]
    assert [dict(job.cell) for job in only(jobs, "teacher")] == [{"teacher": "resnet10t"}, {"teacher": "test_resnet"}]
    folders = [str(tmp_path / "runs" / id) for id in teachers]
    assert list(only(jobs, "run")[0].recipe_in(tmp_path).technique.teachers) == folders


def test_equal_teachers_are_trained_by_the_run_that_tells_them_apart():
    axes = {"technique": {"multi_teacher": ["technique.name=multi_teacher"]}}
    jobs = planned(axes=axes, set=with_teachers("resnet10t", "resnet10t"))
    assert [job.teachers for job in only(jobs, "run")] == [()]


def test_a_teacher_sees_the_whole_training_part_where_students_see_few_shots():
    axes = {"technique": {"graft": ["technique.name=graft"]}, "split.shots": [2, 5]}
    jobs = planned(axes=axes, set=["networks.count=1"])
    assert [job.recipe.split.shots for job in only(jobs, "teacher")] == [None]
    assert [job.recipe.split.shots for job in only(jobs, "baseline")] == [2, 5]
    assert [job.recipe.split.shots for job in only(jobs, "run")] == [2, 5]


def test_a_technique_whose_teacher_has_no_adapter_gets_a_teacher_without():
    axes = {
        "technique": {
            "kd_offline": {"technique.name": "kd_offline", "technique.strategy": "features"},
            "dynamic_kd": {"technique.name": "dynamic_kd"},
        }
    }
    jobs = planned(axes=axes)
    assert {job.recipe.technique.adapter for job in only(jobs, "teacher")} == {"always", "never"}
    offline, dynamic = only(jobs, "run")
    assert offline.teachers != dynamic.teachers


def test_self_distillation_has_a_teacher_only_where_it_says_so():
    axes = {"method": {name: {"technique.name": "self_distill", "technique.method": name} for name in ("byot", "tskd")}}
    jobs = planned(axes=axes, set=["networks.count=1"])
    assert [len(job.teachers) for job in only(jobs, "run")] == [0, 1]


def test_an_axis_may_complete_a_base_recipe_that_is_none_by_itself():
    axes = {"student": {"one": {"networks.student.architecture": "test_resnet"}}}
    recipe = raw()["recipe"]
    networks = {**recipe["networks"], "student": {"weights": "none"}}
    assert len(planned(axes=axes, recipe={**recipe, "networks": networks})) == 3


def test_the_parts_of_a_teachers_training_are_kept_once(tmp_path):
    axes = {
        "method": {
            anchors: {"technique": {"name": "multi_part", "every": 2, "anchors": anchors}}
            for anchors in ("equal", "last")
        }
    }
    jobs = planned(axes=axes, set=["training.epochs=5", "networks.count=1"])
    (teacher,) = only(jobs, "teacher")
    assert teacher.recipe.technique.snapshots_every == 2
    assert [job.teachers for job in only(jobs, "run")] == [(teacher.id,)] * 2
    kept = tmp_path / "runs" / teacher.id / "checkpoints" / "teacher"
    assert only(jobs, "run")[0].recipe_in(tmp_path).technique.snapshots == tuple(
        str(kept / f"T.epoch-000{epoch}.ckpt") for epoch in (2, 4, 5)
    )


def test_every_cell_is_run_on_every_fold_with_teacher_and_baseline_of_that_fold():
    jobs = planned(axes=OFFLINE, folds=3, seeds=[0, 1])
    assert kinds(jobs) == [*["teacher"] * 3, *["baseline"] * 3, *["run"] * 3] * 2
    assert [job.fold for job in only(jobs, "run")] == [0, 1, 2] * 2
    for job in only(jobs, "run"):
        assert job.recipe.split.folds == 3
        assert f"-seed{job.seed}-fold{job.fold}-" in job.id
        others = [other for other in jobs if other.id in (*job.teachers, *job.after)]
        assert [(other.seed, other.fold) for other in others] == [(job.seed, job.fold)] * 2


def test_folds_of_a_study_do_not_mix_with_an_official_split():
    with pytest.raises(UserError, match="official test part is no fold"):
        planned(folds=3, set=["split.by=official"])


def test_teachers_that_are_trained_already_are_not_trained_by_the_study():
    networks = {**RAW["recipe"]["networks"], "teacher": {"architecture": "resnet10t", "weights": "mine.safetensors"}}
    given = {"recipe": {**RAW["recipe"], "networks": networks}}
    assert kinds(planned(**given)) == ["baseline", *["run"] * 4]
    assert all(job.after for job in only(planned(**given), "run"))
    further = {"recipe": {**given["recipe"], "teacher_training": {"epochs": 2}}}
    assert len(only(planned(**further), "teacher")) == 1
