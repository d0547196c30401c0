"""Rules about names against names as they were published."""

import pytest

from preceptor.data.name_rules import RULES, alike, groups_by_name, own_group_each

EXAMPLES = [(rule.names, stem, group) for rule in RULES for stem, group in rule.examples]


@pytest.mark.parametrize(("names", "stem", "group"), EXAMPLES, ids=[stem for _, stem, _ in EXAMPLES])
def test_a_published_name_tells_its_group_by_the_first_rule_that_fits(names, stem, group):
    found = groups_by_name([stem])
    assert found.groups == (group,)
    assert names in found.note


def test_rules_have_a_source_and_names_of_their_own():
    assert all(rule.source and rule.examples for rule in RULES)
    assert len({rule.names for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    "stem",
    ["IMG_0001", "0", "cell_12", "tile_x100_y200", "ISIC_0024306", "ADI-TCGA-AAMHQMK", "TCGA-1-55923", "b001", "a_left",
     "impatient3", "p0", "consep_1", "NORM-AAAA1111"],
)  # fmt: skip
def test_names_that_tell_nothing_are_not_read_into(stem):
    assert groups_by_name([stem]).groups is None


def test_crops_of_one_patient_are_one_group():
    stems = [f"TCGA-18-559{patient}_{crop}" for patient in range(3) for crop in range(4)]
    found = groups_by_name(stems)
    assert len(set(found.groups)) == 3
    assert found.grouping == "patient"


def test_a_rule_that_fits_only_some_names_is_said_and_not_used():
    found = groups_by_name(["00000013_005", "00000013_006", "IMG_1"])
    assert found.groups is None
    assert "2 of 3 names look like NIH" in found.note


def test_a_rule_that_swallows_the_crop_is_a_warning():
    stems = [f"AB-{patient:02d}_{crop}" for patient in range(10) for crop in range(4)]
    warning = own_group_each(stems, stems)
    assert "40 groups of 40 images" in warning
    assert "'AB-00'" in warning
    assert own_group_each(stems, [stem[:5] for stem in stems]) == ""


@pytest.mark.parametrize("stems", [[f"img_{k}" for k in range(20)], ["a", "b", "c"], [f"x{k}q" for k in range(9)]])
def test_names_that_share_nothing_make_no_warning(stems):
    assert own_group_each(stems, stems) == ""


def test_beginnings_with_numbers_that_repeat_may_be_patients():
    stems = [f"pat{patient:03d}_{number}" for patient in range(6) for number in range(4)]
    assert "24 names have 6 beginnings before '_', such as 'pat000' in 4" in alike(stems)
    assert "preceptor init FOLDER --option 'group=^([^_]+)_'" in alike(stems)
    assert "'group=^([^-]+)-'" in alike([f"P{patient}-{number}" for patient in range(3) for number in range(3)])


@pytest.mark.parametrize(
    "stems",
    [
        [f"img_{number}" for number in range(9)],  # one beginning
        [f"{number:04d}_x" for number in range(9)],  # each its own
        [f"{name}_{number}" for name in ("cat", "dog") for number in range(9)],  # words, as of classes
        [f"a{number}" for number in range(9)],
    ],
)
def test_other_beginnings_are_not_taken_for_patients(stems):
    assert alike(stems) == ""
