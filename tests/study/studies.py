"""Small studies to plan and to run."""

import copy

from preceptor.study.spec import parse_study

NEW = {"weights": "none"}
RAW = {
    "name": "tiny",
    "recipe": {
        "task": "classification",
        "data": {
            "source": "phantom",
            "options": {"images": 48, "size": 32, "patients": 6, "classes": 3},
            "image_size": 32,
        },
        "split": {"seed": 0},
        "networks": {
            "teacher": {"architecture": "resnet10t", **NEW},
            "student": {"architecture": "test_resnet", **NEW},
        },
        "technique": {"name": "kd_ml"},
        "training": {"epochs": 1, "batch_size": 8, "lr": 1e-3},
    },
    "axes": {
        "technique": {"ml": ["technique.name=ml"], "kd_offline": ["technique.name=kd_offline"]},
        "strategy": {"predictions": ["technique.strategy=predictions"], "features": {"technique.strategy": "features"}},
    },
}


def raw(**changes):
    """The tiny study as it is written in a file, with top-level keys changed."""
    return {**copy.deepcopy(RAW), **changes}


def study(**changes):
    return parse_study(raw(**changes))
