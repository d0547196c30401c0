"""Weights, teachers and runs to learn from that are damaged, hostile, or of something else."""

import gzip
import json
import pickle
import shutil

import torch
from safetensors.torch import load_file, save_file

from .make import NET, Evil, Table, picture, recipe, train

TABLE = Table()
case = TABLE.case


def with_weights(folder, file, **changes):
    return train(folder, recipe(networks={"student": {**NET, "weights": str(file), **changes}}))


def copied(folder, done):
    """A finished run without its checkpoints, to be damaged."""
    return shutil.copytree(done, folder / "t", ignore=shutil.ignore_patterns("checkpoints"))


def taught_by(folder, teacher):
    return train(folder, recipe(technique={"name": "kd_offline", "teacher": str(teacher)}))


@case(2, "no such file or folder")
def weights_absent(folder):
    return with_weights(folder, "/nonexistent/w.safetensors")


@case(2, r"w\.png")
def weights_png(folder):
    return with_weights(folder, picture(folder / "w.png"))


@case(2, "config.json")
def weights_empty_dir(folder):
    (folder / "w").mkdir()
    return with_weights(folder, folder / "w")


@case(2, r"w\.safetensors.*damaged")
def weights_trunc_safetensors(folder, done):
    whole = (done / "networks/S1/model.safetensors").read_bytes()
    (folder / "w.safetensors").write_bytes(whole[: len(whole) // 2])
    return with_weights(folder, folder / "w.safetensors")


@case(2, r"w\.safetensors.*damaged")
def weights_safetensors_huge_header(folder):
    (folder / "w.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    return with_weights(folder, folder / "w.safetensors")


@case(2, "saved from architecture 'test_resnet', not 'resnet10t'")
def weights_other_architecture(folder, done):
    return with_weights(folder, done / "networks/S1", architecture="resnet10t")


@case(2, "NaN|not finite|finite")
def weights_nan(folder, done):
    state = load_file(done / "networks/S1/model.safetensors")
    spoilt = {name: tensor * float("nan") if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    save_file(spoilt, folder / "w.safetensors")
    return with_weights(folder, folder / "w.safetensors")


@case(2, r"w\.pth")
def weights_gz(folder):
    (folder / "w.pth").write_bytes(gzip.compress(b"abc"))
    return with_weights(folder, folder / "w.pth")


@case(2, "refused(.|\n)*Nothing in it was run")
def weights_evil_pickle(folder):
    (folder / "w.pth").write_bytes(pickle.dumps(Evil(folder)))
    return with_weights(folder, folder / "w.pth")


@case(2, "refused(.|\n)*Nothing in it was run")
def weights_evil_torchzip(folder):
    torch.save({"model": Evil(folder)}, folder / "w.pth")
    return with_weights(folder, folder / "w.pth")


@case(2, "refused(.|\n)*Nothing in it was run")
def teacher_evil(folder):
    torch.save({"model": Evil(folder)}, folder / "w.pth")
    return taught_by(folder, folder / "w.pth")


@case(2, r"w\.pt")
def weights_torchscript(folder):
    # Scripting warns that it is deprecated; an archive with its parts is what matters.
    import zipfile

    with zipfile.ZipFile(folder / "w.pt", "w") as archive:
        archive.writestr("w/constants.pkl", b"\x80\x02).")
        archive.writestr("w/data.pkl", b"\x80\x02c__torch__.torch.nn.modules.linear\nLinear\nq\x00)\x81q\x01}b.")
        archive.writestr("w/version", b"3\n")
    return with_weights(folder, folder / "w.pt")


@case(2, "technique.teacher: .*t'")
def teacher_unfinished(folder):
    (folder / "t" / "checkpoints").mkdir(parents=True)
    return taught_by(folder, folder / "t")


@case(0, "run folder", slow=True)  # nothing in it is asked of a teacher
def teacher_result_corrupt(folder, done):
    run = copied(folder, done)
    (run / "result.json").write_text("{bad")
    return taught_by(folder, run)


@case(2, r"config\.json")
def teacher_config_corrupt(folder, done):
    run = copied(folder, done)
    (run / "networks/T/config.json").write_text("[]")
    return taught_by(folder, run)


@case(2, "")
def teacher_config_evil_architecture(folder, done):
    run = copied(folder, done)
    file = run / "networks/T/config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "architecture": "../../x"}))
    return taught_by(folder, run)


@case(2, r"model\.safetensors")
def teacher_missing_weights(folder, done):
    run = copied(folder, done)
    (run / "networks/T/model.safetensors").unlink()
    return taught_by(folder, run)


@case(0, "run folder", slow=True)  # its images are known by their pixels
def teacher_recipe_missing(folder, done):
    run = copied(folder, done)
    (run / "recipe.yaml").unlink()
    return taught_by(folder, run)


@case(0, r"split\.csv is\s+damaged; pixels\.npz alone was compared", slow=True)
def teacher_split_corrupt(folder, done):
    run = copied(folder, done)
    (run / "split.csv").write_bytes(b"\xff\xfe\x00garbage")
    return taught_by(folder, run)


@case(2, r"result\.json")
def student_alone_corrupt(folder, done):
    run = copied(folder, done)
    (run / "result.json").write_text("[1,2]")
    return train(folder, recipe(technique={"name": "kd_offline", "student_alone": str(run)}))
