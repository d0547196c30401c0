"""Read the numeric cases of an oracle folder and rebuild the arrays that they were computed from.

The folder is ``PRECEPTOR_ORACLES``, by default ``../shared/oracles`` beside the repository.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

Case = dict[str, Any]

ROOT = Path(__file__).parents[2]
FORMAT = "kd-oracles/1"


def oracle_folder() -> Path:
    """Where the cases lie; a relative path is relative to the repository."""
    return ROOT / os.environ.get("PRECEPTOR_ORACLES", "../shared/oracles")


def load_cases(name: str) -> list[Case]:
    """Every case of one file of the folder, for example ``metrics.json``; none where the file is absent."""
    path = oracle_folder() / name
    if not path.is_file():
        return []
    content = json.loads(path.read_text())
    assert content["format"] == FORMAT, f"{path} is {content['format']!r}, these tests read {FORMAT!r}"
    cases: list[Case] = content["cases"]
    return cases


def case_parameters(name: str) -> list[Any]:
    """The cases of a file as test parameters, or one that is skipped and says why."""
    cases = load_cases(name)
    if cases:
        return [pytest.param(case, id=case["id"]) for case in cases]
    reason = f"no {name} in {oracle_folder()}: set PRECEPTOR_ORACLES to the folder that holds it"
    return [pytest.param({}, id="absent", marks=pytest.mark.skip(reason=reason))]


def build_arrays(recipe: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of a recipe by name: float64, or int64 for ``integers``; checked against its probe."""
    generator = np.random.default_rng(recipe["seed"])
    arrays = {draw["name"]: _draw(generator, draw) for draw in recipe["draws"]}
    for name, expected in recipe["probe"].items():
        first = arrays[name].ravel()[: len(expected)]
        np.testing.assert_allclose(first, expected, rtol=1e-12, err_msg=f"probe of {name}: another stream")
    return arrays


def _draw(generator: np.random.Generator, draw: dict[str, Any]) -> NDArray[Any]:
    kind, shape = draw["kind"], tuple(draw["shape"])
    if kind == "normal":
        values = generator.standard_normal(shape).astype(np.float32).astype(np.float64)
        values = values * draw.get("scale", 1.0) + draw.get("shift", 0.0)
        return np.maximum(values, 0.0) if draw.get("relu") else values
    if kind == "uniform":
        return generator.random(shape).astype(np.float32).astype(np.float64)
    if kind == "integers":
        return generator.integers(draw["low"], draw["high"], size=shape)
    raise AssertionError(f"unknown draw kind {kind!r} of {draw['name']!r}")
