"""Run folders as a training leaves them, written by hand in moments."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

CLASSES = ("benign", "malignant", "other")

RECIPE = {
    "name": "made",
    "data": {"source": "folder", "path": "/data/tissue", "image_size": 32, "resize": "squash", "duplicates": "drop"},
    "split": {"by": "auto", "train_fraction": 1.0},
    "augment": {"flip_horizontal": True, "rotate": 15.0},
    "networks": {
        "teacher": {"architecture": "resnet10t", "weights": "none"},
        "student": {"architecture": "test_resnet", "weights": "none"},
        "count": 2,
        "students": [],
    },
    "training": {
        "epochs": 3,
        "batch_size": 8,
        "optimizer": "adam",
        "lr": 0.001,
        "schedule": "constant",
        "weight_decay": 0.0,
        "precision": "32-true",
        "monitor": None,
    },
    "teacher_training": {},
}

ALONE = {"name": "baseline", "network": "student"}
TEACHER = {"name": "baseline", "network": "teacher"}


def technique(name, strategy="predictions", **more):
    return {"name": name, "strategy": strategy, "temperature": 2.0, "losses": [], **more}


def accuracies(skill, networks):
    return {name: min(0.99, skill + 0.02 * place) for place, name in enumerate(networks)}


def make_run(
    folder: Path,
    chosen,
    *,
    skill=0.7,
    seed=0,
    task="classification",
    classes=CLASSES,
    samples=60,
    per_group=1,
    grouped=True,
    done=True,
    networks=None,
    validation=None,
    recipe=None,
    epochs=3,
    notes=(),
):
    """A run whose networks are right with probability ``skill``; sample ids and labels are the same for all runs."""
    folder.mkdir(parents=True)
    is_teacher = chosen.get("network") == "teacher"
    with_teacher = is_teacher or chosen["name"].startswith("kd")
    networks = networks or (["T"] if is_teacher else [*(["T"] if with_teacher else []), "S1", "S2", "ensemble"])
    written = {**RECIPE, "task": task, "technique": chosen, "seed": seed, **(recipe or {})}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(written))
    ids = [f"image-{number:04d}" for number in range(samples)]
    group = [f"patient-{number // per_group}" for number in range(samples)]
    labels = np.arange(samples) % len(classes)
    lines = ["id,group,label,split"]
    for part, first in (("train", 1000), ("validation", 2000)):
        lines += [
            f"{part}-{n},{f'{part}-{n}' if grouped else ''},{n % len(classes)},{part}" for n in range(first, first + 12)
        ]
    lines += [
        f"{name},{of if grouped else ''},{label},test" for name, of, label in zip(ids, group, labels, strict=True)
    ]
    (folder / "split.csv").write_text("\n".join(lines) + "\n")
    singles = [name for name in networks if not name.startswith("ensemble")]
    rows = ["stage,epoch,network,split,metric,value"]
    for epoch in range(1, epochs + 1):
        for name in singles:
            rows.append(f"main,{epoch},{name},train,loss:{name}/task,{1 / epoch:.6g}")
            if with_teacher and name != "T":
                rows.append(f"main,{epoch},{name},train,loss:T->{name}/kd,{0.1 / epoch:.6g}")
            metric = "accuracy" if task == "classification" else "iou"
            rows.append(f"main,{epoch},{name},validation,{metric},{skill - 0.1 / epoch:.6g}")
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
    if not done:
        return folder
    generator = np.random.default_rng([seed, int(1000 * skill)])
    (folder / "predictions").mkdir()
    write = _class_predictions if task == "classification" else _mask_predictions
    test = write(folder / "predictions" / "test.csv", networks, ids, labels, classes, skill, generator)
    known = validation or {
        name: {"accuracy" if task == "classification" else "iou": skill, "ece": 0.05} for name in networks
    }
    result = {
        "status": "complete",
        "name": "made",
        "task": task,
        "technique": chosen["name"],
        "strategy": chosen.get("strategy"),
        "seed": seed,
        "chosen": networks[-1],
        "test": test,
        "validation": known,
        "fidelity": {n: {"agreement": 0.8, "kl": 0.1} for n in networks if n != "T"}
        if with_teacher and not is_teacher
        else {},
        "teacher_audit": None,
        "parameters": {name: 5_000_000 if name == "T" else 400_000 for name in singles},
        "multiply_adds": {name: 22_000_000 if name == "T" else 4_000_000 for name in singles},
        "model_bytes": {name: 20_000_000 if name == "T" else 1_600_000 for name in singles},
        "grouped_by": "patient" if grouped else None,
        "notes": list(notes),
        "seconds": 12.5,
        "images_per_second": 100.0,
    }
    (folder / "result.json").write_text(json.dumps(result))
    environment = {
        "preceptor": "0.1.0",
        "python": "3.11.7",
        "packages": {"torch": "2.10.0", "numpy": "2.0.0"},
        "device": "cpu",
        "threads": 1,
        "data_fingerprint": "abc",
        "finished": "2026-01-01T00:00:00Z",
    }
    (folder / "environment.json").write_text(json.dumps(environment))
    for name in singles:
        (folder / "networks" / name).mkdir(parents=True)
        (folder / "networks" / name / "config.json").write_text(json.dumps({"label_names": list(classes)}))
    return folder


def _class_predictions(path, networks, ids, labels, classes, skill, generator):
    frames, test, count = [], {}, len(classes)
    for name, share in accuracies(skill, networks).items():
        wrong = generator.random(len(ids)) >= share
        answers = (labels + wrong) % count
        sure = generator.uniform(0.6, 0.95, size=len(ids))
        chances = np.repeat(((1 - sure) / (count - 1))[:, None], count, axis=1)
        chances[np.arange(len(ids)), answers] = sure
        columns = {f"p_{c}": chances[:, c] for c in range(count)}
        frames.append(pd.DataFrame({"id": ids, "label": labels, "network": name, **columns}))
        test[name] = {"accuracy": float((answers == labels).mean()), "f1": share, "auroc": 0.9, "ece": 0.05}
    pd.concat(frames).to_csv(path, index=False, float_format="%.7g")
    return test


def _mask_predictions(path, networks, ids, labels, classes, skill, generator):
    rows, test = ["id,network,class,tp,fp,fn,tn"], {}
    for name, share in accuracies(skill, networks).items():
        found = generator.binomial(1000, share, size=len(ids))
        rows += [f"{i},{name},1,{tp},{50},{1000 - tp},{5000}" for i, tp in zip(ids, found, strict=True)]
        union = 1050 * len(ids)
        each = found / 1050
        test[name] = {
            "iou": float(found.sum() / union),
            "f1": float(2 * found.sum() / (found.sum() + union)),
            "iou_per_image": float(each.mean()),
            "f1_per_image": float((2 * found / (found + 1050)).mean()),
        }
    path.write_text("\n".join(rows) + "\n")
    return test


def make_study(
    out: Path, jobs, *, layout=None, scale=None, published=None, published_protocol=False, task="classification"
):
    """A study's folder; ``jobs`` are (kind, cell, seed, status, error, options of make_run)."""
    rows = []
    for number, (kind, cell, seed, status, error, options) in enumerate(jobs):
        folder = out / "runs" / f"{kind}-{'-'.join(cell.values())}-{seed}-{number}"
        if options is not None:
            make_run(folder, seed=seed, task=task, done=status == "done", **options)
        rows.append(
            {
                "id": folder.name,
                "folder": f"runs/{folder.name}",
                "kind": kind,
                "cell": cell,
                "seed": seed,
                "status": status,
                "error": error,
                "attempts": 1,
            }
        )
    index = {
        "name": "made-study",
        "title": "A study made by hand",
        "scale": scale,
        "task": task,
        "published_protocol": published_protocol,
        "layout": layout
        or {"rows": ["technique"], "columns": ["strategy"], "networks": ["S1", "ensemble"], "metrics": ["accuracy"]},
        "published": published,
        "jobs": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "study.yaml").write_text("name: made-study\n")
    (out / "index.json").write_text(json.dumps(index))
    return out
