"""Seals: every single flipped bit is noticed, what an older version wrote is read, other readers are not disturbed."""

import io
import json
import os
import pickle

import numpy as np
import pytest
import torch

from preceptor.errors import DamagedFileError, UserError
from preceptor.files import write_json
from preceptor.sealed import read_sealed, read_zip, sealed_zip, write_sealed

VALUE = {"status": "complete", "test": {"S1": {"accuracy": 0.1 + 0.2}}, "notes": ["µm", 'a "quoted" \n line']}


def saved(tensors):
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


def test_json_comes_back_with_its_seal(tmp_path):
    write_sealed(tmp_path / "a.json", VALUE)
    assert read_sealed(tmp_path / "a.json", "x") == (VALUE, True)
    assert json.loads((tmp_path / "a.json").read_text())["status"] == "complete"


def test_json_without_a_seal_is_read_and_told_apart(tmp_path):
    write_json(tmp_path / "a.json", VALUE)
    assert read_sealed(tmp_path / "a.json", "x") == (VALUE, False)


def test_each_flipped_bit_of_json_is_noticed_or_changes_nothing(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, VALUE)
    whole = path.read_bytes()
    noticed = 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            value, is_sealed = read_sealed(path, "x")
        except DamagedFileError:
            noticed += 1
        else:
            assert value == VALUE
            assert is_sealed
    assert noticed > 0.9 * 8 * len(whole)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_names_file_and_remedy(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"a\.json: (.|\n)*Train again"):
        read_sealed(tmp_path / "a.json", "Train again.")


def test_torch_and_numpy_read_sealed_zips(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(sealed_zip(saved({"w": torch.arange(3.0)})))
    assert torch.load(tmp_path / "a.ckpt", weights_only=True)["w"].tolist() == [0, 1, 2]
    buffer = io.BytesIO()
    np.savez(buffer, keys=np.arange(4))
    (tmp_path / "a.npz").write_bytes(sealed_zip(buffer.getvalue()))
    assert np.load(tmp_path / "a.npz")["keys"].tolist() == [0, 1, 2, 3]
    assert read_zip(tmp_path / "a.npz", "x")[1]


@pytest.mark.parametrize("is_sealed", [True, False])
def test_flipped_bits_of_a_checkpoint_are_noticed_or_change_nothing(tmp_path, is_sealed):
    state = {"w": torch.arange(64.0), "n": 3}
    content = sealed_zip(saved(state)) if is_sealed else saved(state)
    path = tmp_path / "a.ckpt"
    for bit in np.random.default_rng(0).choice(8 * len(content), 400, replace=False).tolist():
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            read, _ = read_zip(path, "x")
            found = torch.load(io.BytesIO(read), weights_only=True)
        except (ValueError, RuntimeError, KeyError, EOFError):
            continue
        assert torch.equal(found["w"], state["w"])
        assert found["n"] == 3


def test_the_error_survives_being_passed_between_processes(tmp_path):
    error = DamagedFileError(tmp_path / "a.json", "is empty", "Train again.")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path) == (str(error), error.path)


def test_a_pipe_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "result.json")
    with pytest.raises(UserError, match="named pipe"):
        read_sealed(tmp_path / "result.json", "x")


def test_a_number_that_json_does_not_know_is_damage(tmp_path):
    write_sealed(tmp_path / "a.json", {"x": 1.5e300})
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace("1.5e+300", "1.5e+900"))
    with pytest.raises(DamagedFileError, match="was changed"):
        read_sealed(tmp_path / "a.json", "x")
