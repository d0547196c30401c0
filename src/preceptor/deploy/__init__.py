"""A student at work: answers on new images, and a bundle that gives them without preceptor."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.deploy.answers import Answer
    from preceptor.deploy.bundle import Bundle, is_bundle, read_bundle, write_bundle
    from preceptor.deploy.check import check_bundle
    from preceptor.deploy.compare import ModelComparison, compare_networks
    from preceptor.deploy.contract import Contract
    from preceptor.deploy.points import Points
    from preceptor.deploy.predictor import Predictor, open_predictor
    from preceptor.deploy.student import Student, open_student

__all__ = [
    "Answer",
    "Bundle",
    "Contract",
    "ModelComparison",
    "Points",
    "Predictor",
    "Student",
    "check_bundle",
    "compare_networks",
    "is_bundle",
    "open_predictor",
    "open_student",
    "read_bundle",
    "write_bundle",
]

__getattr__ = lazy_names(
    __name__,
    {
        "answers": ["Answer"],
        "bundle": ["Bundle", "is_bundle", "read_bundle", "write_bundle"],
        "check": ["check_bundle"],
        "compare": ["ModelComparison", "compare_networks"],
        "contract": ["Contract"],
        "points": ["Points"],
        "predictor": ["Predictor", "open_predictor"],
        "student": ["Student", "open_student"],
    },
)
