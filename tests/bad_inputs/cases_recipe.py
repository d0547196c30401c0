"""Recipes that are wrong, and commands that change them wrongly."""

import yaml

from .make import NET, Call, Table, command, picture, recipe, train

TABLE = Table()
case = TABLE.case


def student(**changes):
    return {"networks": {"student": {**NET, **changes}}}


@case(2, r"no recipe '.*no\.yaml'")
def recipe_missing(folder):
    return command("train", folder / "no.yaml")


@case(2, "is a folder")
def recipe_is_folder(folder):
    return command("train", folder)


@case(2, "not readable YAML")
def recipe_is_png(folder):
    return command("train", picture(folder / "x.png"))


@case(2, "a mapping of keys was wanted")
def recipe_empty(folder):
    return train(folder, "")


@case(2, "holds list, a mapping of keys was wanted")
def recipe_list(folder):
    return train(folder, "- a\n- b\n")


@case(2, r"not readable YAML(.|\n)*line 2")
def recipe_tab(folder):
    return train(folder, "task: classification\n\tdata: x\n")


@case(2, "")
def recipe_utf16(folder):
    return train(folder, yaml.safe_dump(recipe()).encode("utf-16"))


@case(2, "the key 'training' stands in line [0-9]+ and again in line [0-9]+")
def recipe_duplicate_key(folder):
    return train(folder, yaml.safe_dump(recipe()) + "training: {epochs: 1, batch_size: 4, lr: 0.5}\n")


def laughs(indent="", first="o0"):
    lines = [f"{indent}{first}: &a [x, x, x, x, x, x, x, x, x, x]"]
    for number, name in enumerate("bcdefghij", start=1):
        before = chr(ord(name) - 1)
        lines.append(f"{indent}o{number}: &{name} [{', '.join([f'*{before}'] * 10)}]")
    return "\n".join(lines) + "\n"


@case(2, "alias")
def recipe_billion_laughs(folder):
    return train(folder, laughs() + yaml.safe_dump(recipe()))


@case(2, "alias")
def recipe_laughs_in_options(folder):
    rest = {key: value for key, value in recipe().items() if key != "data"}
    head = "data:\n  source: phantom\n  image_size: 32\n  options:\n"
    return train(folder, head + laughs("    ") + yaml.safe_dump(rest))


@case(2, "")
def recipe_recursive_anchor(folder):
    text = "task: classification\ndata: &d {source: phantom, options: *d}\n"
    return train(folder, text + yaml.safe_dump({"networks": {"student": NET}, "technique": {"name": "baseline"}}))


@case(2, "python/object")
def recipe_python_tag(folder):
    return train(folder, f"task: !!python/object/apply:os.system ['touch {folder}/YAML-RAN']\n")


@case(2, r"training\.epoch(.|\n)*epochs")
def recipe_unknown_key(folder):
    return train(folder, recipe(training={"epoch": 3}))


@case(2, r"training\.epochs")
def recipe_wrong_type(folder):
    return train(folder, recipe(training={"epochs": "many"}))


@case(2, "kd_offline")
def technique_misspelt(folder):
    return train(folder, recipe(technique={"name": "kd_ofline"}))


@case(2, "technique")
def technique_missing(folder):
    return train(folder, {key: value for key, value in recipe().items() if key != "technique"})


@case(2, r"training\.epochs")
def epochs_negative(folder):
    return train(folder, recipe(training={"epochs": -1}))


@case(2, r"training\.epochs")
def epochs_huge(folder):
    return train(folder, recipe(training={"epochs": 10**30}))


@case(2, r"training\.lr")
def lr_nan(folder):
    return train(folder, recipe(training={"lr": float("nan")}))


@case(2, r"training\.lr")
def lr_inf(folder):
    return train(folder, recipe(training={"lr": float("inf")}))


@case(2, "lower training.lr", slow=True)
def lr_1e30(folder):
    return train(folder, recipe(training={"lr": 1e30}))


@case(2, "temperature")
def temperature_inf(folder):
    return train(folder, recipe(technique={"name": "kd_offline", "temperature": float("inf")}))


@case(2, "temperature", slow=True)
def temperature_1e_minus_30(folder):
    return train(folder, recipe(technique={"name": "kd_offline", "temperature": 1e-30}))


@case(2, "alpha")
def alpha_nan(folder):
    return train(folder, recipe(technique={"name": "kd_offline", "alpha": float("nan")}))


@case(2, "weight")
def teacher_weight_nan(folder):
    return train(folder, recipe(technique={"name": "dynamic_kd", "weight": float("nan")}))


@case(2, r"training\.ema")
def ema_999(folder):
    return train(folder, recipe(training={"ema": 1.5}))


@case(2, "batch_size 1: .*give at least 2")
def batch_size_1(folder):
    return train(folder, recipe(training={"batch_size": 1}))


@case(2, "image_size")
def image_size_1(folder):
    return train(folder, recipe(data={"image_size": 1}))


@case(0, "run folder", slow=True)
def image_size_8(folder):
    return train(folder, recipe(data={"image_size": 8}))


@case(2, "image_size")
def image_size_1e6(folder):
    return train(folder, recipe(data={"image_size": 1_000_000}))


@case(2, "fractions")
def fractions_over_1(folder):
    return train(folder, recipe(split={"fractions": [0.9, 0.5, 0.3]}))


@case(2, "fractions")
def fractions_nan(folder):
    return train(folder, recipe(split={"fractions": [float("nan"), 0.1, 0.15]}))


@case(2, "fractions")
def fractions_two(folder):
    return train(folder, recipe(split={"fractions": [0.8, 0.2]}))


@case(2, "500 folds of 8 phantom patients: ask for at most 8")
def folds_more_than_groups(folder):
    return train(folder, recipe(split={"folds": 500}))


@case(2, r"networks\.count")
def count_zero(folder):
    return train(folder, recipe(networks={"count": 0}))


@case(2, "memory", slow=True)
def count_500_huge(folder):
    giant = {"architecture": "vit_giant_patch14_224", "weights": "none"}
    return train(folder, recipe(networks={"count": 3, "student": giant}), gib=6)


@case(2, r"networks\.student\.std")
def std_zero(folder):
    return train(folder, recipe(**student(std=[0, 0, 0])))


@case(2, r"networks\.student\.mean")
def mean_inf(folder):
    return train(folder, recipe(**student(mean=[float("inf"), 0, 0])))


@case(2, "drop")
def drop_rate_2(folder):
    return train(folder, recipe(**student(options={"drop_rate": 2})))


@case(2, "foo")
def unknown_network_option(folder):
    return train(folder, recipe(**student(options={"foo": 2})))


@case(2, "num_classes")
def option_num_classes(folder):
    return train(folder, recipe(**student(options={"num_classes": 7})))


@case(2, "checkpoint_path")
def option_checkpoint_path(folder):
    return train(folder, recipe(**student(options={"checkpoint_path": str(folder / "evil.pth")})))


@case(2, "")
def vit_32px(folder):
    vit = {"architecture": "vit_tiny_patch16_224", "weights": "none", "options": {"img_size": 224}}
    return train(folder, recipe(networks={"student": vit}))


@case(2, "nothing")
def hfhub_absent(folder):
    hub = {"architecture": "hf-hub:timm/nothing", "weights": "none"}
    return train(folder, recipe(networks={"student": hub}), environment={"HF_HUB_OFFLINE": "1"})


@case(2, "nonexistent")
def localdir_absent(folder):
    return train(folder, recipe(**student(architecture="local-dir:/nonexistent")))


@case(2, "unexpected argument 'training.epochs'")
def set_without_value(folder):
    return train(folder, recipe(), "--set", "training.epochs")


@case(2, "unexpected argument ''")
def set_empty(folder):
    return train(folder, recipe(), "--set", "")


@case(2, "trainin")
def set_unknown(folder):
    return train(folder, recipe(), "--set", "trainin.epochs=3")


@case(2, "a")
def set_deep(folder):
    return train(folder, recipe(), "--set", "a" + ".a" * 3000 + "=1")


@case(0, "run folder", slow=True)
def seed_huge(folder):
    return train(folder, recipe(seed=2**80))


@case(2, "seed: should be greater than or equal to 0")
def seed_negative(folder):
    return train(folder, recipe(seed=-1))


@case(2, "images.*'many'")
def phantom_images_many(folder):
    return train(folder, recipe(data={"options": {"images": "many"}}))


@case(2, "images")
def phantom_images_1e12(folder):
    return train(folder, recipe(data={"options": {"images": 10**12}}), gib=6)


def with_device(folder, device) -> Call:
    return command(*train(folder, recipe()).arguments[:-1], device)


@case(2, "cuda")
def device_cuda(folder):
    return with_device(folder, "cuda")


@case(2, "banana")
def device_banana(folder):
    return with_device(folder, "banana")
