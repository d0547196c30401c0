"""Recipes and studies that come with the package are found by name."""

from pathlib import Path

import pytest
import yaml

from preceptor.cli.complete import recipe_names, study_names
from preceptor.errors import UserError
from preceptor.groupings import unit_of
from preceptor.shipped import described_files, find_file, shipped_folder, shipped_names

from .command import preceptor

TOP = Path(__file__).parents[1]


@pytest.mark.parametrize("given", ["phantom", "recipes/phantom", "recipes/phantom.yaml"])
def test_a_recipe_is_found_from_any_folder(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_file(Path(given), ["recipes"]) == TOP / "recipes" / "phantom.yaml"


def test_the_users_own_file_comes_first_and_a_folder_of_that_name_does_not_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lgg").mkdir()
    assert find_file(Path("lgg"), ["recipes"]) == TOP / "recipes" / "lgg.yaml"
    Path("phantom").write_text("name: mine")
    assert find_file(Path("phantom"), ["recipes"]) == Path("phantom")


def test_a_bare_name_is_looked_up_in_the_order_of_the_kinds():
    assert find_file(Path("phantom"), ["studies", "recipes"]).parent.name == "studies"
    assert find_file(Path("hcd"), ["studies", "recipes"]).parent.name == "recipes"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("phantm", r"no recipe 'phantm': did you mean 'phantom'\?"),
        ("elsewhere/phantom.yaml", "no recipe 'elsewhere/phantom.yaml'"),
        ("phantom.yaml", "no recipe 'phantom.yaml': did you mean 'phantom'"),
    ],
)
def test_what_is_neither_is_refused(given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        find_file(Path(given), ["recipes"])


def test_a_folder_is_refused_where_it_is_read():
    assert "is a folder" in preceptor("plan", "..").error


@pytest.mark.parametrize("kind", ["recipes", "studies"])
def test_every_one_is_listed_with_a_sentence(kind):
    told = preceptor("recipes").out
    for name, sentence in described_files(kind).items():
        assert len(sentence) > 20, f"{kind}/{name}.yaml begins with no comment that says what it is"
        assert f"  {name} " in told
        assert sentence in told
    assert shipped_names(kind) == sorted(path.stem for path in (TOP / kind).glob("*.yaml"))


def test_an_installed_package_has_them_inside(tmp_path, monkeypatch):
    monkeypatch.setattr("preceptor.shipped.__file__", str(tmp_path / "preceptor" / "shipped.py"))
    (tmp_path / "preceptor" / "recipes").mkdir(parents=True)
    assert shipped_folder("recipes") == tmp_path / "preceptor" / "recipes"


def test_the_shell_offers_names_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("phone.yaml").touch()
    Path("photos").mkdir()
    Path("phantom.png").touch()
    assert recipe_names("ph") == ["phantom", "phone.yaml", "photos/"]
    assert "learning_styles_t03" in study_names("learn")


def test_a_file_beside_is_meant_and_a_folder_is_told_what_makes_a_recipe_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    with pytest.raises(UserError, match="it is a folder; `preceptor init pictures` writes a recipe"):
        find_file(Path("pictures"), ["recipes"])
    (tmp_path / "pictures.yaml").write_text("")
    for typed in ("pictures", "picture.yaml", "pictures.yml"):
        with pytest.raises(UserError, match=r"did you mean 'pictures\.yaml'"):
            find_file(Path(typed), ["recipes"])


@pytest.mark.parametrize(
    "path", sorted([*TOP.glob("recipes/*.yaml"), *TOP.glob("studies/*.yaml")]), ids=lambda p: p.stem
)
def test_whoever_reads_groups_from_names_says_what_they_are(path):
    """Reports speak of patients or images of origin, and warn where these may not be patients."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    recipe = raw if "task" in raw else raw["recipe"]
    options = recipe["data"].get("options") or {} if isinstance(recipe, dict) else {}
    if "group" in options:
        assert unit_of(options.get("grouping")) == options["grouping"]
