import json

import pytest
import torch
from tests.training.phantoms import recipe_for, train

from preceptor.analysis import analyse
from preceptor.analysis.alignment import cka_between
from preceptor.data.batches import Batches
from preceptor.data.prepare import prepare
from preceptor.errors import UserError
from preceptor.machine.latency import latencies
from preceptor.measures.cka import linear_cka


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_a_finished_run(task, tmp_path):
    """Every figure that the index lists is there, and the run itself stays as it was."""
    run = tmp_path / "run"
    recipe = recipe_for(task, {"name": "ml"}, tmp_path / "packed", networks={"count": 2}, training={"epochs": 1})
    if task == "segmentation":
        recipe = recipe.model_copy(update={"split": recipe.split.model_copy(update={"fractions": (0.4, 0.2, 0.4)})})
    train(recipe, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    entries = analyse(run, most=2, device="cpu")
    assert {path: path.read_bytes() for path in before} == before
    assert json.loads((run / "analysis" / "index.json").read_text())["figures"] == entries
    assert {entry["file"] for entry in entries} >= {"cka-S1-S2.png"}
    assert all((run / "analysis" / entry["file"]).stat().st_size > 1000 for entry in entries)
    numbers = json.loads((run / "analysis" / "cka.json").read_text())["S1:S2"]
    assert len(numbers["cka"]) == len(numbers["rows"])
    with pytest.raises(UserError, match="no network 'T'"):
        analyse(run, pairs=[("T", "S1")], device="cpu")


def test_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        analyse(tmp_path)


def test_cka_of_one_batch_is_the_closed_form(tiny, tmp_path):
    prepared = prepare(recipe_for("classification", {"name": "baseline"}, tmp_path, data={"image_size": 8}))
    batches = Batches(prepared.packed, prepared.rows["train"][:8], batch_size=8)
    first, second = tiny(1).eval(), tiny(2).eval()
    cka = cka_between(first, second, batches)
    images = next(iter(batches.epoch(0))).images
    expected = linear_cka(first(images).logits, second(images).logits)
    rows, columns = cka.taps
    assert cka.matrix()[rows.index("logits"), columns.index("logits")].item() == pytest.approx(expected, rel=1e-6)


def test_latency_is_a_time_and_networks_take_turns(tiny):
    turns = []
    networks = {name: tiny(1).train() for name in ("S1", "S2")}
    for name, network in networks.items():
        network.register_forward_hook(lambda *_, name=name: turns.append(name))
    found = latencies(networks, rounds=5)
    assert turns == ["S1", "S2"] * 8
    for one in found.values():
        assert 0 < one["low_ms"] <= one["median_ms"] <= one["high_ms"]
        assert one["threads"] == torch.get_num_threads()
