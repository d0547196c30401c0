"""Work for worker processes that takes no time and fails in every way; what to do lies in ``script.json``."""

import json
import os
import signal
import time
from pathlib import Path

from tests.runs.results import COMPLETE

from preceptor.errors import UserError
from preceptor.files import write_json, write_text


def work(request, tell):
    script = json.loads((request.folder.parents[1] / "script.json").read_text())
    what = script.get(request.id.partition("-seed")[0], "finish")
    request.folder.mkdir(parents=True, exist_ok=True)
    with (request.folder / "begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    begun = len((request.folder / "begun").read_text().splitlines())
    print(f"{request.id} begins")
    if what == "user_error":
        raise UserError("the image is damaged")
    if what == "defect":
        raise KeyError("boom")
    if what == "die" or (what == "die_once" and begun == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "wait":
        (Path(request.folder) / "waiting").touch()
        time.sleep(60)
    for folder, recipe in request.beside or ((request.folder, request.recipe),):
        write_text(folder / "recipe.yaml", recipe)
        write_json(folder / "result.json", COMPLETE)
