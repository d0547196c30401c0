"""Trials that take no time: the score depends on the learning rate alone, and rises over four epochs."""

import json
import os
import signal

import yaml
from tests.runs.results import SEALED_TEST

from preceptor.files import write_json


def trial(request, tell):
    recipe = yaml.safe_load(request.recipe)
    rate = recipe["training"]["lr"]
    request.folder.mkdir(parents=True, exist_ok=True)
    with (request.folder / "begun").open("a") as file:
        file.write("x")
    script = json.loads((request.folder.parents[1] / "script.json").read_text())
    what = script.get(str(rate))
    if what == "defect":
        raise KeyError("boom")
    if what == "die_once" and (request.folder / "begun").read_text() == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    score = 1 - abs(rate - 0.3)
    for epoch in range(1, 5):
        if not tell(epoch, score * epoch / 4):
            return
        with (request.folder / "epochs").open("a") as file:
            file.write("x")
    validation = {"S1": {"accuracy": score / 2}, "ensemble": {"accuracy": score}}
    write_json(request.folder / "result.json", {**SEALED_TEST, "chosen": "ensemble", "validation": validation})
