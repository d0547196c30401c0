"""The model card of a bundle: a Hugging Face README with its YAML head."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from preceptor.deploy.guard import pooled_iou
from preceptor.deploy.student import Student
from preceptor.groupings import narrow_for_patients
from preceptor.measures import ClassAnswers, Interval, MaskAnswers, bootstrap_sums
from preceptor.measures.not_worse import drawn_over, paired_gap, words_on
from preceptor.measures.table import main_measure
from preceptor.places import place_free
from preceptor.runs.predictions import read_predictions
from preceptor.runs.tables import read_split

_PIPELINE = {"classification": "image-classification", "segmentation": "image-segmentation"}
_UNKNOWN = "not known to preceptor; fill it in before this is passed on"


def card_of(student: Student, facts: Mapping[str, Any]) -> str:
    """The text of ``README.md``.

    Args:
        facts: what ``bundle.json`` is about to say.
    """
    recipe, contract = student.run.recipe, student.contract
    metric, interval, by = _result(student)
    name, anonymous = facts["run"]["name"] or "student", facts["made_of"]["options"]["anonymous"]
    lines = [
        "---",
        yaml.safe_dump(
            _head(student, name, metric, interval, anonymous=anonymous), sort_keys=False, allow_unicode=True
        ).rstrip(),
        "---",
        "",
        f"# {name}: {student.name}",
        "",
        f"A small network for {contract.task} into {', '.join(contract.classes)}, trained by preceptor "
        f"(technique `{recipe.technique.name}`, seed {recipe.seed}). It runs without preceptor and without PyTorch:",
        "",
        "    pip install numpy pillow onnxruntime",
        "    python predict.py FOLDER --out DIR",
        "",
        "## Data",
        "",
        f"{_data(student, anonymous=anonymous)} Licence of the data: {_UNKNOWN}.",
        "",
        "## Results",
        "",
        _sentence(metric, interval, by),
        *_narrow(student, interval),
        *_good_enough(student, facts["made_of"]["options"]["margin"]),
        "",
        *_points(facts),
        "## Limits",
        "",
        "Research software, no medical device. It was measured on images like those of its test part and on no others: "
        "other scanners, stains, magnifications and hospitals are unknown to it. "
        + _pixel_size(facts["input"]["microns_per_pixel"])
        + _outside(facts["outside"]["seen"]),
        "",
        "## Which model answers",
        "",
        f"`{facts['serves']['file']}`: {facts['serves']['why']}.",
        "",
        "## Teacher",
        "",
        _teacher(student),
        "",
        "## Files",
        "",
        "`bundle.json` has the exact input contract, checksums and measurements; `golden/` images with the answers "
        "that were given when this was made (`preceptor bundle check`); `networks/` the network for timm or "
        "segmentation-models-pytorch.",
        "",
    ]
    return "\n".join(lines)


def _data(student: Student, *, anonymous: bool) -> str:
    """Which data it was trained on, and what the split keeps together."""
    spec, by = student.run.recipe.data, student.run.result.grouped_by
    name = _data_name(student, anonymous=anonymous)
    read = f"`{name}`, read by the source `{spec.source}`" if name != spec.source else f"`{name}`"
    kept = f"{by}: images of one {by} are on one side" if by else "image: images of one patient can be on both sides"
    return f"Trained on {read}; split by {kept}."


def _data_name(student: Student, *, anonymous: bool) -> str:
    """The last folder of its path, or its file; the source where there is none, or where names are not to leave."""
    spec = student.run.recipe.data
    if anonymous or not spec.path:
        return spec.source
    return Path(spec.path).name.replace("`", "'") or spec.source


def _head(student: Student, name: str, metric: str, interval: Interval | None, *, anonymous: bool) -> dict[str, Any]:
    task = _PIPELINE[student.contract.task]
    head: dict[str, Any] = {
        "license": "other",
        "library_name": "onnx",
        "pipeline_tag": task,
        "tags": ["preceptor", "knowledge-distillation", "medical-imaging", student.run.recipe.technique.name],
        "metrics": [metric],
    }
    if interval is not None:
        result = {
            "task": {"type": task},
            "dataset": {"type": student.run.recipe.data.source, "name": _data_name(student, anonymous=anonymous)},
            "metrics": [{"type": metric, "value": round(interval.value, 4)}],
        }
        head["model-index"] = [{"name": name, "results": [result]}]
    return head


def _sentence(metric: str, interval: Interval | None, by: str) -> str:
    if interval is None:
        return "The test part was not opened when this was exported, so nothing is known of how well it answers."
    return (
        f"Test {metric} {interval.value:.3f} (95 % interval {interval.low:.3f} to {interval.high:.3f}, bootstrap over "
        f"{interval.units} {by})."
    )


def _narrow(student: Student, interval: Interval | None) -> list[str]:
    """That several of what was drawn may be of one patient, where that is so."""
    grouping = student.run.result.grouped_by
    return ["", narrow] if interval and grouping and (narrow := narrow_for_patients(grouping)) else []


def _points(facts: Mapping[str, Any]) -> list[str]:
    """What was fitted on validation: a paragraph, and a line for each class."""
    lines = ["## Operating points", ""]
    if "images" not in facts["fitted"]:
        return [*lines, f"None: {facts['fitted']['note']}.", ""]
    lines += [
        f"Fitted {facts['fitted']['note']}; in brackets 95 % intervals. Temperature "
        f"{_with_ends(facts['fitted']['temperature'])}. Rates are of the images on which thresholds were chosen.",
        "",
    ]
    thresholds, abstention = facts["thresholds"], facts["abstention"]
    if thresholds is not None:
        decides = "is decided by it" if thresholds["decides"] is not None else "is decided by the largest probability"
        lines += [
            f"Thresholds of calibrated probabilities by {thresholds['rule']}; the answer {decides}.",
            "",
            "| class | threshold | sensitivity | specificity | of the class | others |",
            "|---|---|---|---|---|---|",
        ]
        for one in thresholds["by_class"]:
            rates = " | ".join(_with_ends(one[name]) for name in ("threshold", "sensitivity", "specificity"))
            lines.append(f"| {one['class']} | {rates} | {one['positives']} | {one['negatives']} |")
        lines.append("")
    if abstention is not None:
        lines += [
            f"Answers below a certainty of {abstention['least_certainty']:.3f} are marked `abstained`, so that at most "
            f"{100 * abstention['wanted_risk']:g} % of the others are wrong: {_with_ends(abstention['coverage'])} are "
            f"answered, of which {_with_ends(abstention['risk'])} are wrong.",
            "",
        ]
    return lines


def _with_ends(found: Mapping[str, float]) -> str:
    if found["units"] < 2:
        return f"{found['value']:.3f} (all of one group: no interval)"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _teacher(student: Student) -> str:
    teachers = [spec for spec in (student.run.recipe.networks.teacher, *student.run.recipe.networks.teachers) if spec]
    if not teachers or not student.run.recipe.technique.has_teacher:
        return "It learned from no teacher."
    names = ", ".join(str(place_free(spec.architecture)) for spec in teachers)
    return f"It learned from {names}. Licence of the teacher's weights: {_UNKNOWN}; it may bind this student too."


def _pixel_size(microns: float | None) -> str:
    if microns is None:
        return "The size of a pixel in the training images was not given."
    return f"Images have {microns:g} µm per pixel."


def _outside(seen: Mapping[str, Any]) -> str:
    return (
        " Images unlike those of training are marked `outside` (size, brightness, stain, features): of "
        f"{seen['validation']} validation images {seen['validation_outside']} were."
    )


def _result(student: Student) -> tuple[str, Interval | None, str]:
    """The main score on test, from the run's own table: its name, the interval, and what was drawn for it."""
    metric = main_measure(student.contract.task).name
    found = read_predictions(student.run.finished, "test")
    if found is None or student.name not in found.networks:
        return metric, None, ""
    groups = _groups(student, [str(name) for name in found.ids])
    said = found.networks[student.name]
    if found.labels is None:
        interval = _of_masks(said, groups)
    else:
        right = (said.argmax(axis=1) == found.labels).astype(np.float64)
        columns = np.stack([right, np.ones_like(right)], axis=1)
        interval = bootstrap_sums(columns, lambda sums: sums[:, 0] / sums[:, 1], groups=groups)
    return metric, interval, drawn_over(groups, student.run.result.grouped_by)


def _good_enough(student: Student, margin: float) -> list[str]:
    """Whether it may take its teacher's place, on test; nothing where there is no teacher to compare with."""
    found = read_predictions(student.run.finished, "test")
    if found is None or not {student.name, "T"} <= set(found.networks) or student.name == "T":
        return []
    groups = _groups(student, [str(name) for name in found.ids])
    labels = found.labels
    sides = [found.networks[name] for name in (student.name, "T")]
    first, second = (MaskAnswers(side) if labels is None else ClassAnswers(side, labels) for side in sides)
    measure = main_measure(student.contract.task)
    drawn = drawn_over(groups, student.run.result.grouped_by)
    gap = paired_gap(measure, first, second, groups)
    words = words_on("this student", "its teacher", measure.label, gap, margin, drawn)
    return ["", f"On the test part: {words[0].lower()}{words[1:]}"]


def _of_masks(counts: np.ndarray, groups: list[str] | None) -> Interval:
    shape = counts.shape[1:]

    def pooled(sums: np.ndarray) -> np.ndarray:
        return pooled_iou(sums.reshape(-1, *shape).round().astype(np.int64))

    return bootstrap_sums(counts.reshape(len(counts), -1), pooled, groups=groups)


def _groups(student: Student, ids: list[str]) -> list[str] | None:
    """The group of each sample of the test table, None where the split knows none."""
    split = read_split(student.run.files.folder)
    if split is None or not student.run.result.grouped_by:
        return None
    own = split["id"].str.replace(r"@\d+,\d+$", "", regex=True) if student.contract.has_masks else split["id"]
    known = dict(zip(own, split["group"], strict=True))
    return [str(known.get(name, name)) for name in ids]
