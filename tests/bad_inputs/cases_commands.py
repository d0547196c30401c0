"""Other commands with what is not there, damaged or closed to them, and circumstances that no recipe can help."""

import os
import shutil
from pathlib import Path

import yaml

from .make import Table, class_folders, command, recipe, train

TABLE = Table()
case = TABLE.case

PROJECT = Path(__file__).resolve().parents[2]
STUDY = PROJECT / "studies" / "phantom.yaml"
RECIPE = PROJECT / "recipes" / "phantom.yaml"


def copied(folder, done):
    """A finished run without its checkpoints, to be damaged."""
    return shutil.copytree(done, folder / "t", ignore=shutil.ignore_patterns("checkpoints"))


def closed_folder(folder):
    (folder / "ro").mkdir(mode=0o555)
    return folder / "ro"


def elsewhere(folder, out):
    call = train(folder, recipe(), as_user=True)
    arguments = list(call.arguments)
    arguments[arguments.index("--out") + 1] = str(out)
    return command(*arguments, as_user=True)


@case(2, "run")
def out_is_file(folder):
    (folder / "run").write_text("x")
    return train(folder, recipe())


@case(2, "/proc/foo")
def out_in_proc(folder):
    return elsewhere(folder, "/proc/foo")


@case(2, "/dev/null/foo")
def out_in_dev_null(folder):
    return elsewhere(folder, "/dev/null/foo")


@case(2, "name too long|too long")
def out_name_too_long(folder):
    return elsewhere(folder, folder / ("x" * 300))


@case(2, "ro/run")
def out_unwritable(folder):
    return elsewhere(folder, closed_folder(folder) / "run")


def study_file(folder, text):
    (folder / "s.yaml").write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return command("study", folder / "s.yaml", "--out", folder / "o", "--dry-run")


@case(2, r"no\.yaml")
def study_missing(folder):
    return command("study", folder / "no.yaml")


@case(0, "2 jobs")  # one cell
def study_no_axes(folder):
    return study_file(folder, {"name": "x", "recipe": recipe()})


@case(2, "trainin")
def study_bad_axis(folder):
    layout = {"rows": ["network"], "columns": [], "networks": ["S1"], "metrics": ["accuracy"]}
    return study_file(folder, {"name": "x", "recipe": recipe(), "axes": {"trainin.lr": [1]}, "layout": layout})


@case(2, "workers")
def study_workers_0(folder):
    return command("study", STUDY, "--workers", 0, "--dry-run")


@case(2, "workers")
def study_workers_10000(folder):
    return command("study", STUDY, "--scale", "small", "--workers", 10_000, "--dry-run")


@case(2, "small")
def study_scale_unknown(folder):
    return command("study", STUDY, "--scale", "smal", "--dry-run")


@case(2, "python/object")
def study_yaml_tag(folder):
    return study_file(folder, f"name: !!python/object/apply:os.system ['touch {folder}/YAML-RAN']\n")


@case(2, "passwd")
def study_out_is_run(folder):
    return command("study", STUDY, "--scale", "small", "--out", "/etc/passwd")


@case(2, "no")
def study_reuse_absent(folder):
    where = ("--out", folder / "o", "--reuse", folder / "no", "--dry-run")
    return command("study", STUDY, "--scale", "small", *where)


@case(2, "no run")
def report_empty(folder):
    return command("report", folder)


@case(2, "no")
def report_absent(folder):
    return command("report", folder / "no")


def report_of(folder, done, name, content):
    """The report of a finished run with another ``content`` of a file of it; None removes it."""
    file = copied(folder, done) / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    return command("report", folder / "t")


@case(2, r"result\.json")
def report_bad_result(folder, done):
    return report_of(folder, done, "result.json", b"{bad")


@case(2, r"result\.json")
def report_result_list(folder, done):
    return report_of(folder, done, "result.json", b"[1]")


@case(2, r"result\.json")
def report_result_missing_keys(folder, done):
    return report_of(folder, done, "result.json", b'{"status": "complete"}')


@case(2, r"recipe\.yaml")
def report_bad_recipe(folder, done):
    return report_of(folder, done, "recipe.yaml", b"{bad: [}")


@case(2, r"metrics\.csv")
def report_metrics_binary(folder, done):
    return report_of(folder, done, "metrics.csv", bytes(range(256)) * 12)


@case(0, r"metrics\.csv is gone")
def report_metrics_missing(folder, done):
    return report_of(folder, done, "metrics.csv", None)


@case(2, r"test\.csv")
def report_predictions_trunc(folder, done):
    whole = (done / "predictions/test.csv").read_bytes()
    return report_of(folder, done, "predictions/test.csv", whole[: len(whole) // 2])


@case(0, r"test\.csv is gone")
def report_predictions_missing(folder, done):
    return report_of(folder, done, "predictions/test.csv", None)


@case(2, "ro/x")
def report_out_unwritable(folder, done):
    copied(folder, done)
    return command("report", folder / "t", "--out", closed_folder(folder) / "x", as_user=True)


@case(0, "report.html")
def report_loop(folder, done):
    copied(folder, done)
    (folder / "self").symlink_to(".")
    return command("report", folder)


@case(2, "t")
def evaluate_unfinished(folder):
    (folder / "t").mkdir()
    return command("evaluate", folder / "t")


@case(0, r"S1/model\.safetensors is gone")
def evaluate_missing_network(folder, done):
    shutil.rmtree(copied(folder, done) / "networks" / "S1")
    return command("evaluate", folder / "t")


@case(2, r"model\.safetensors")
def evaluate_trunc_weights(folder, done):
    os.truncate(copied(folder, done) / "networks/S1/model.safetensors", 1000)
    return command("evaluate", folder / "t")


@case(2, "masks")
def evaluate_masks_of_classes(folder, done):
    copied(folder, done)
    return command("evaluate", folder / "t", "--masks", folder / "m")


@case(2, "nope|path")
def evaluate_data_absent(folder, done):
    copied(folder, done)
    return command("evaluate", folder / "t", "--data", folder / "nope")


@case(2, "S9")
def analyse_pair(folder, done):
    copied(folder, done)
    return command("analyse", folder / "t", "--pair", "T:S9")


@case(2, "tst")
def analyse_part(folder, done):
    copied(folder, done)
    return command("analyse", folder / "t", "--part", "tst")


@case(2, "--over")
def search_no_over(folder):
    return command("search", RECIPE)


@case(2, "training.lr")
def search_bad_over(folder):
    return command("search", RECIPE, "--over", "training.lr=3..1:log", "--out", folder / "o")


@case(2, "nokey")
def cache_verify_absent(folder):
    return command("cache", "verify", "nokey")


@case(2, "--unused-for")
def cache_prune_negative(folder):
    return command("cache", "prune", "--unused-for", "-3")


@case(2, "mnist")
def fetch_unknown(folder):
    return command("data", "fetch", "mnist")


@case(2, "f")
def fetch_to_file(folder):
    (folder / "f").write_text("")
    return command("data", "fetch", "kather2016", "--to", folder / "f")


@case(2, "no")
def inspect_absent(folder):
    return command("data", "inspect", folder / "no")


@case(2, "trian")
def command_unknown(folder):
    return command("trian")


@case(2, "--epochs")
def option_unknown(folder):
    return command("train", "x.yaml", "--epochs", "3")


@case(2, "PRECEPTOR_CACHE|data.cache")
def cache_env_is_file(folder):
    (folder / "f").write_text("x")
    return train(folder, recipe(), environment={"PRECEPTOR_CACHE": str(folder / "f")})


@case(2, "data.cache")
def cache_env_unwritable(folder):
    return train(folder, recipe(), environment={"PRECEPTOR_CACHE": str(closed_folder(folder))}, as_user=True)


@case(0, "run folder", slow=True)
def home_unset(folder):
    return train(folder, recipe(), environment={"PRECEPTOR_CACHE": None, "HOME": str(folder), "XDG_CACHE_HOME": None})


@case(0, "run folder", slow=True)
def nofile_64(folder):
    return train(folder, recipe(), files=64)


@case(0, "run folder", slow=True)  # few are wanted; a smaller limit stops Python itself
def nofile_16(folder):
    return train(folder, recipe(), files=16)


@case(2, "")
def fsize_1mb(folder):
    return train(folder, recipe(), file_bytes=1 << 20)


@case(2, "memory", slow=True)
def mem_1gb(folder):
    big = {"architecture": "resnet50", "weights": "none"}
    raw = recipe(networks={"student": big}, data={"image_size": 224}, training={"batch_size": 32})
    return train(folder, raw, gib=2.2)


@case(0, "", slow=True)
def stdout_closed(folder):
    return train(folder, recipe(), closed=True)


@case(0, "run folder", slow=True)
def locale_c(folder):
    data = class_folders(folder, ("été", "bee", "çat"))
    return train(folder, recipe(data=data), environment={"LC_ALL": "C", "PYTHONUTF8": "0", "LANG": "C"})
