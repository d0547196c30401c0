"""Where the files of a run lie, and how a run is found from one of them."""

from preceptor.runs.files import RunFiles, is_network, run_around, run_of_snapshot, runs_below


def test_names_are_those_that_every_version_has_used(tmp_path):
    files = RunFiles(tmp_path)
    found = {
        files.recipe: "recipe.yaml",
        files.result: "result.json",
        files.predictions_of("test"): "predictions/test.csv",
        files.network("S1"): "networks/S1",
        files.last_checkpoint("main"): "checkpoints/main/last.ckpt",
        files.weights("main", "S1"): "checkpoints/main/S1.best.ckpt",
        files.weights("teacher", "T", 12): "checkpoints/teacher/T.epoch-0012.ckpt",
        files.choices("main"): "checkpoints/main/choices.json",
        files.analysis: "analysis",
    }
    assert {path.relative_to(tmp_path).as_posix() for path in found} == set(found.values())
    assert all(path == tmp_path / name for path, name in found.items())


def test_exported_networks_have_a_config(tmp_path):
    files = RunFiles(tmp_path)
    for name in ("S2", "S1", "half"):
        files.network(name).mkdir(parents=True)
    for name in ("S1", "S2"):
        (files.network(name) / "config.json").touch()
    assert files.exported() == [files.network("S1"), files.network("S2")]
    assert [is_network(files.network(name)) for name in ("S1", "half")] == [True, False]


def test_the_run_around_a_file(tmp_path):
    run = tmp_path / "run"
    weights = RunFiles(run).network("T")
    weights.mkdir(parents=True)
    (run / "split.csv").touch()
    (tmp_path / "link").symlink_to(weights)
    assert run_around(weights, ("split.csv",)) == run
    assert run_around(tmp_path / "link", ("split.csv",)) == run
    assert run_around(weights, ("result.json",)) is None
    snapshot = RunFiles(run).weights("teacher", "T", 3)
    assert run_of_snapshot(snapshot) == (run, ("checkpoints", "teacher", "T.epoch-0003.ckpt"))
    assert runs_below(tmp_path) == []
    (run / "recipe.yaml").touch()
    assert runs_below(tmp_path) == [run]


def test_whether_a_run_has_begun_to_train(tmp_path):
    files = RunFiles(tmp_path)
    assert not files.has_trained()
    files.metrics.touch()
    assert files.has_trained()
