import pytest

from preceptor.groupings import narrow_for_patients, unit_of, units_of


@pytest.mark.parametrize(
    ("grouping", "one", "many"),
    [
        ("patient", "patient", "patients"),
        ("phantom patient", "phantom patient", "phantom patients"),
        ("image of origin", "image of origin", "images of origin"),
        ("biopsy", "biopsy", "biopsies"),
        ("lesion", "lesion", "lesions"),
        ("group", "group", "groups"),
        (None, "group", "groups"),
        ("patientID", "group (patientID)", "groups (patientID)"),
        ("lesion_id", "group (lesion_id)", "groups (lesion_id)"),
    ],
)
def test_groups_are_called_what_they_are(grouping, one, many):
    assert (unit_of(grouping), units_of(grouping)) == (one, many)


def test_intervals_over_what_is_no_patient_are_said_to_be_too_narrow_for_patients():
    assert narrow_for_patients("image of origin").startswith("Several images of origin may be of one patient: for")
    assert narrow_for_patients(None).startswith("Several groups may be")
    persons = ("patient", "patientID", "Subject", "phantom patient", "case")
    assert not any(narrow_for_patients(one) for one in persons)
    assert all(narrow_for_patients(one) for one in ("specimen", "slide", "lesion")), "a specimen is no man"
