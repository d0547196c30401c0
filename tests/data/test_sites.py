"""Where images were made: told by a column, a rule or published names, and whether one site looks unlike the others."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from preceptor.data.appearance import looks_csv
from preceptor.data.inspect import inspect
from preceptor.data.prepare import prepare
from preceptor.data.sources import open_source, recognise
from preceptor.errors import UserError
from preceptor.recipe import parse_recipe

from ..command import preceptor
from .trees import save_array, save_image, write

HOSPITALS = "ABCDE"


def hospitals(root, patients=20, images=2, odd="C"):
    """``<class>/<hospital><patient>_<n>.png``, grey but for noise; those of one hospital are brighter."""
    generator = np.random.default_rng(0)
    for patient in range(patients):
        hospital = HOSPITALS[patient % len(HOSPITALS)]
        for n in range(images):
            level = 180 if hospital == odd else 120
            pixels = np.clip(generator.normal(level, 6, (8, 8, 3)), 0, 255).astype(np.uint8)
            save_array(root / ("cat", "dog")[n % 2] / f"{hospital}{patient:02}_{n}.png", pixels)
    return root


OPTIONS = {"group": "^([A-Z][0-9]+)_", "site": "/([A-Z])[0-9]+_"}


def test_a_rule_is_searched_in_the_place_of_an_image(tmp_path):
    table = open_source("folder", str(hospitals(tmp_path)), OPTIONS)
    assert set(table.site_of.values()) == set(HOSPITALS)
    assert table.site_of["cat/C02_0"] == "C"
    with pytest.raises(UserError, match=r"folder: the site rule /\(X\) finds nothing in 'cat/A00_0.png'"):
        open_source("folder", str(tmp_path), {"site": "/(X)"})


def test_names_of_tcga_tell_it(tmp_path):
    for name in ("TCGA_CS_4941_1", "TCGA_DU_5849_1", "TCGA_DU_5851_1"):
        save_image(tmp_path / f"{name}.png", len(name))
    assert set(open_source("images", str(tmp_path)).site_of.values()) == {"CS", "DU"}
    save_image(tmp_path / "another.png")
    assert not open_source("images", str(tmp_path)).site_of


def test_images_without_labels_take_a_rule_too(tmp_path):
    assert set(open_source("images", str(hospitals(tmp_path)), OPTIONS).site_of.values()) == set(HOSPITALS)


def test_a_column_of_a_table_is_guessed_and_said(tmp_path):
    for n in range(4):
        save_image(tmp_path / f"{n}.png", n)
    rows = "".join(f"{n}.png,{'ab'[n % 2]},{'north' if n < 2 else 'south'}\n" for n in range(4))
    write(tmp_path / "table.csv", f"file,label,Hospital\n{rows}")
    found = inspect(str(tmp_path))
    assert found.options["site"] == "Hospital"
    assert found.sites == {"north": 2, "south": 2}


def test_of_an_empty_cell_the_site_is_not_known(tmp_path):
    rows = []
    for n in range(24):
        site = ("north", "south", "")[n % 3]
        save_array(
            tmp_path / f"{n}.png", np.full((4, 4, 3), {"north": 90, "south": 160, "": 250}[site] + n % 5, np.uint8)
        )
        rows.append(f"{n}.png,{'ab'[n % 2]},{site}\n")
    write(tmp_path / "table.csv", f"file,label,site\n{''.join(rows)}")
    found = inspect(str(tmp_path))
    assert found.sites == {"north": 8, "south": 8}
    gaps = {one.name: one.differences[0] for one in found.drift.sites}
    assert gaps["north"] == -gaps["south"] < -20, "images of no known site are on neither side"
    assert "sites      2: north (8), south (8); not known of 8" in preceptor("data", "inspect", tmp_path).out


def test_one_site_is_no_site(tmp_path):
    for n in range(4):
        save_image(tmp_path / f"{n}.png", n)
    write(tmp_path / "table.csv", "file,label,site\n0.png,a,x\n1.png,b,\n2.png,a,x\n3.png,b,x\n")
    assert "site" not in recognise(tmp_path).options


def test_a_column_of_sites_is_the_class_where_no_other_can_be(tmp_path):
    for n in range(4):
        save_image(tmp_path / f"{n}.png", n)
    write(tmp_path / "table.csv", "file,site\n0.png,colon\n1.png,stomach\n2.png,colon\n3.png,stomach\n")
    assert recognise(tmp_path).options == {"image": "file", "label": "site"}


def test_inspect_names_the_hospital_that_is_brighter(tmp_path):
    told = preceptor("data", "inspect", hospitals(tmp_path), *(f"--option={k}={v}" for k, v in OPTIONS.items()))
    assert "sites      5: A (8), B (8), C (8), D (8), E (8)" in told.out
    assert "site C, against all others: brightness +" in told.out
    assert "site A" not in told.out
    options = [f"--option={name}={value}" for name, value in OPTIONS.items()]
    drift = json.loads(preceptor("data", "inspect", tmp_path, "--json", *options).out)["drift"]
    first = drift["sites"][0]
    assert (first["name"], first["images"]) == ("C", 8)
    assert "brightness" in first["named"]
    assert first["differences"]["brightness"] > 2
    assert {one["name"] for one in drift["parts"]} == {"validation", "test"}


def test_hospitals_of_one_kind_are_not_named(tmp_path):
    found = inspect(str(hospitals(tmp_path, odd=None)), options=OPTIONS)
    assert len(found.drift.sites) == 5
    assert not any(one.named.any() for one in (*found.drift.sites, *found.drift.parts, *found.drift.groups))


@pytest.mark.parametrize("tile", [None, {"size": 8, "overlap": 0}])
def test_a_run_writes_the_site_beside_the_looks_but_packs_no_other_pixels(tmp_path, tile):
    def prepared(site):
        options = {"group": OPTIONS["group"], **({"site": OPTIONS["site"]} if site else {})}
        folders = {"path": str(tmp_path / "data"), "cache": str(tmp_path / "cache")}
        data = {"source": "folder", "options": options, **folders}
        data |= {"tile": tile} if tile else {"image_size": 8}
        networks = {"student": {"architecture": "test_resnet", "weights": "none"}, "count": 1}
        return prepare(
            parse_recipe(
                {"task": "classification", "data": data, "networks": networks, "technique": {"name": "baseline"}}
            )
        )

    hospitals(tmp_path / "data")
    with_site, without = prepared(True), prepared(False)
    found = pd.read_csv(io.StringIO(looks_csv(with_site)))
    assert found.columns.tolist()[:2] == ["id", "site"]
    assert found["site"].tolist() == [name.removeprefix("cat/").removeprefix("dog/")[0] for name in found["id"]]
    assert with_site.packed.fingerprint == without.packed.fingerprint
    assert looks_csv(without).splitlines()[0].startswith("id,brightness")
