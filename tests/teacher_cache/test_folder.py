"""Listing and pruning what is kept."""

import json
import os
import time

import pytest

from preceptor.errors import UserError
from preceptor.teacher_cache.folder import FORMAT, NETWORKS, CacheEntry, everything_kept, key_of, prune, size_of


def keep(root, seed, *, weights="w", days=0, size=1000):
    kept = CacheEntry(root, {"network": {"weights": weights}, "seed": seed}, f"T{seed}", "packed")
    kept.begin()
    (kept.folder / f"view-00000.logits.{seed:016x}.shard").write_bytes(bytes(size))
    kept.network_folder.mkdir(parents=True, exist_ok=True)
    (kept.network_folder / "config.json").write_text("{}")
    then = time.time() - 86400 * days
    os.utime(kept.folder / "about.json", (then, then))
    return kept


def left(root):
    return {kept.name for kept in everything_kept(root)}


def test_a_key_depends_on_every_fact_and_not_on_their_order():
    facts = {"a": 1, "b": {"c": [1, 2], "d": None}}
    assert key_of(facts) == key_of({"b": {"d": None, "c": [1, 2]}, "a": 1})
    assert key_of(facts) != key_of({**facts, "b": {"c": [2, 1], "d": None}})


def test_what_is_kept_is_read_back(tmp_path):
    kept = keep(tmp_path, 1, days=3)
    (found,) = everything_kept(tmp_path)
    assert found == kept
    assert found.unused_for == pytest.approx(3, abs=0.01)
    assert len(found.shards) == 1
    assert found.bytes == size_of(kept.folder) > 1000


def test_using_it_makes_it_young_again(tmp_path):
    kept = keep(tmp_path, 1, days=3)
    kept.begin()
    assert kept.unused_for < 0.01


def test_keys_may_be_cut_short(tmp_path):
    kept = [keep(tmp_path, seed) for seed in (1, 2)]
    assert everything_kept(tmp_path, [kept[1].key[:8]]) == [kept[1]]
    with pytest.raises(UserError, match="nothing of key 'zzz'"):
        everything_kept(tmp_path, ["zzz"])


def test_pruning_by_age_by_key_and_by_size(tmp_path):
    kept = [keep(tmp_path, seed, days=seed) for seed in range(5)]
    assert [one.name for one in prune(tmp_path, unused_for=3.5, down_to=None, keys=())] == ["T4"]
    assert [one.name for one in prune(tmp_path, unused_for=None, down_to=None, keys=[kept[0].key])] == ["T0"]
    assert left(tmp_path) == {"T1", "T2", "T3"}
    limit = size_of(tmp_path) - 1500
    assert [one.name for one in prune(tmp_path, unused_for=None, down_to=limit, keys=())] == ["T3", "T2"]
    assert size_of(tmp_path) <= limit
    assert left(tmp_path) == {"T1"}


def test_pruning_without_a_rule_removes_only_what_is_of_no_use(tmp_path):
    kept = keep(tmp_path, 1)
    damaged = keep(tmp_path, 2, weights="orphan")
    (damaged.folder / "about.json").write_text("{}")
    leftover = kept.folder / ".killed.shard.part"
    leftover.write_bytes(bytes(10))
    assert prune(tmp_path, unused_for=None, down_to=None, keys=()) == []
    assert left(tmp_path) == {"T1"}
    assert not leftover.exists()
    assert not damaged.folder.exists()
    assert [folder.name for folder in (tmp_path / NETWORKS).iterdir()] == ["w"]


def test_a_network_stays_as_long_as_something_is_kept_of_it(tmp_path):
    one, other = keep(tmp_path, 1), keep(tmp_path, 2)
    prune(tmp_path, unused_for=None, down_to=None, keys=[one.key])
    assert other.network_folder.exists()
    prune(tmp_path, unused_for=None, down_to=None, keys=[other.key])
    assert not other.network_folder.exists()


def test_a_folder_that_speaks_of_something_else_is_no_entry(tmp_path):
    kept = keep(tmp_path, 1)
    about = json.loads((kept.folder / "about.json").read_text())
    about["facts"]["seed"] = 7
    (kept.folder / "about.json").write_text(json.dumps(about))
    assert everything_kept(tmp_path) == []


def test_what_another_format_kept_is_no_entry(tmp_path):
    kept = keep(tmp_path, 1)
    file = kept.folder / "about.json"
    about = json.loads(file.read_text())
    assert about.pop("format") == FORMAT
    for other in ({}, {"format": FORMAT + 1}):  # the first one said nothing
        file.write_text(json.dumps({**about, **other}))
        assert everything_kept(tmp_path) == []


def test_nothing_is_kept_where_there_is_nothing(tmp_path):
    assert everything_kept(tmp_path / "absent") == []
    assert prune(tmp_path / "absent", unused_for=0, down_to=0, keys=()) == []
