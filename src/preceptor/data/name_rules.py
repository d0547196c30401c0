"""What published file names tell of patients and slides: one rule a naming scheme, as data.

A rule is used only where it fits every name of a data set, and what it found is said.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from preceptor.groupings import units_of

_NEARLY_ALL = 0.8
_HAS_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"[ _.\-]*[\[(]?(?:x|y|row|col|idx)?[ _.\-]?\d+[\])]?$", re.IGNORECASE)


@dataclass(frozen=True)
class NameRule:
    """How the names of a data set tell which images belong together.

    Args:
        names: what such names are called.
        pattern: searched in the file name without ending; the first bracket that matches is the group.
        grouping: what a group is.
        examples: published names, without ending, with the group of each.
        source: where the names are described or published.
        site: searched in a group; its bracket is where its images were made. None where names do not tell.
    """

    names: str
    pattern: str
    grouping: str
    examples: tuple[tuple[str, str], ...]
    source: str
    site: str | None = None

    def group(self, stem: str) -> str | None:
        """The group that the name ``stem`` tells, or None where the rule does not fit it."""
        match = re.search(self.pattern, stem)
        return None if match is None else next(part for part in match.groups() if part is not None)


KATHER = NameRule(
    "Kather 2016 tiles",
    r"(?:^|_)(CRC-Prim-HE-\d+)(?=_|\.|$)",
    "slide",
    (
        ("1BAF_CRC-Prim-HE-03_009.tif_Row_151_Col_151", "CRC-Prim-HE-03"),
        ("1A62_CRC-Prim-HE-05.tif_Row_1201_Col_1501", "CRC-Prim-HE-05"),
        ("1A3D_CRC-Prim-HE-02_copy.tif_Row_151_Col_301", "CRC-Prim-HE-02"),
    ),
    "doi:10.5281/zenodo.53169",
)

RULES: tuple[NameRule, ...] = (
    NameRule(
        "TCGA barcodes",
        r"(?:^|[^A-Za-z0-9])(TCGA[-_][A-Z0-9]{2}[-_][A-Z0-9]{4})(?![A-Za-z0-9])",
        "patient",
        (
            ("TCGA-18-5592-01Z-00-DX1", "TCGA-18-5592"),
            ("TCGA-G9-6348-01Z-00-DX1_3", "TCGA-G9-6348"),
            ("TCGA_CS_4941_19960909_1", "TCGA_CS_4941"),
            ("blk-ABCDEFGHIJKL-TCGA-AA-3872-01Z-00-DX1", "TCGA-AA-3872"),
        ),
        "https://docs.gdc.cancer.gov/Encyclopedia/pages/TCGA_Barcode/",
        r"^TCGA[-_]([A-Z0-9]{2})",
    ),
    NameRule(
        "CPTAC identifiers",
        r"^(C3[LN]-\d{5})(?=-\d{2}(?:\D|$))",
        "patient",
        (("C3L-00081-26", "C3L-00081"), ("C3N-00167-21_12", "C3N-00167")),
        "doi:10.7937/K9/TCIA.2018.PAT12TBS",
    ),
    KATHER,
    NameRule(
        "BreakHis names",
        r"^SOB_[BM]_[A-Z]+-(\d+-\d+)[A-Z]*-(?:40|100|200|400)-\d+$",
        "patient",
        (("SOB_B_A-14-22549AB-40-001", "14-22549"), ("SOB_M_DC-14-16716-100-004", "14-16716")),
        "doi:10.1109/TBME.2015.2496264",
    ),
    NameRule(
        "CAMELYON17 names",
        r"(?:^|_)(patient_\d{3})_node_\d+(?=_|$)",
        "patient",
        (
            ("patient_004_node_4", "patient_004"),
            ("patch_patient_004_node_4_x_3328_y_21792", "patient_004"),
        ),
        "doi:10.1093/gigascience/giy065 and arXiv:2012.07421",
    ),
    NameRule(
        "CAMELYON16 names",
        r"^((?:normal|tumor|test)_\d{3})(?=_|$)",
        "slide",
        (("tumor_062", "tumor_062"), ("normal_040_12_7", "normal_040")),
        "doi:10.1001/jama.2017.14585",
    ),
    NameRule(
        "invasive ductal carcinoma patches",
        r"^(\d+_idx\d+)_x\d+_y\d+_class\d$",
        "patient",
        (("10253_idx5_x1351_y1101_class0", "10253_idx5"), ("9255_idx5_x2651_y1101_class1", "9255_idx5")),
        "doi:10.4103/2153-3539.186902",
    ),
    NameRule(
        "PAD-UFES-20 names",
        r"^(PAT_\d+)_\d+_\d+$",
        "patient",
        (("PAT_1516_1765_530", "PAT_1516"), ("PAT_46_881_939", "PAT_46")),
        "doi:10.1016/j.dib.2020.106221",
    ),
    NameRule(
        "BRACS names",
        r"^(BRACS_\d+)_[A-Z]+_\d+$",
        "slide",
        (("BRACS_1499_UDH_2", "BRACS_1499"), ("BRACS_1640_N_3", "BRACS_1640")),
        "doi:10.1093/database/baac093",
    ),
    NameRule(
        "SICAPv2 patches",
        r"^(\d{2}B\d{7,}[A-Z]?)_Block_Region_",
        "slide",
        (("18B0001159D_Block_Region_3_5_26_xini_35472_yini_8051", "18B0001159D"),),
        "doi:10.17632/9xxm58dvs3.1",
    ),
    NameRule(
        "NIH ChestX-ray14 names",
        r"^(\d{8})_\d{3}$",
        "patient",
        (("00000013_005", "00000013"), ("00030805_000", "00030805")),
        "doi:10.1109/CVPR.2017.369",
    ),
    NameRule(
        "Kermany OCT names",
        r"^(?:CNV|DME|DRUSEN|NORMAL)-(\d+)-\d+$",
        "patient",
        (("CNV-1016042-1", "1016042"), ("NORMAL-9053621-2", "9053621")),
        "doi:10.17632/rscbjbr9sj.2",
    ),
    NameRule(
        "Kermany chest X-ray names",
        r"^(person\d+)_(?:bacteria|virus)_\d+$|^(?:NORMAL2-)?(IM-\d{4})-\d{4}(?:-\d{4})?$"
        r"|^(?:BACTERIA|VIRUS|NORMAL)-(\d+)-\d{4}$",
        "patient",
        (
            ("person1_bacteria_2", "person1"),
            ("NORMAL2-IM-1427-0001", "IM-1427"),
            ("IM-0115-0001", "IM-0115"),
            ("BACTERIA-1008087-0001", "1008087"),
        ),
        "doi:10.17632/rscbjbr9sj.2 and .3",
    ),
    NameRule(
        "INbreast names",
        r"^\d+_([0-9a-f]{16})_MG_[LR]_[A-Z]+_ANON",
        "patient",
        (("20586908_6c613a14b80a8591_MG_R_CC_ANON", "6c613a14b80a8591"),),
        "doi:10.1016/j.acra.2011.09.014",
    ),
    NameRule(
        "CBIS-DDSM names",
        r"^(?:Mass|Calc)-(?:Training|Test)_(P_\d{5})_(?:LEFT|RIGHT)_(?:CC|MLO)",
        "patient",
        (("Mass-Training_P_00001_LEFT_CC", "P_00001"), ("Calc-Test_P_00038_RIGHT_MLO_1", "P_00038")),
        "doi:10.1038/sdata.2017.177",
    ),
    NameRule(
        "OASIS-1 names",
        r"^(OAS1_\d{4})_MR\d",
        "patient",
        (("OAS1_0028_MR1_mpr-1_100", "OAS1_0028"),),
        "doi:10.1162/jocn.2007.19.9.1498",
    ),
    NameRule(
        "ADNI names",
        r"(?:^|_)(\d{3}_S_\d{4})(?=_|$)",
        "patient",
        (("ADNI_002_S_0295_MR_MP-RAGE_br_raw_1", "002_S_0295"),),
        "https://adni.loni.usc.edu",
        r"^(\d{3})_S_",
    ),
    NameRule(
        "LIDC-IDRI identifiers",
        r"(?:^|_)(LIDC-IDRI-\d{4})(?!\d)",
        "patient",
        (("LIDC-IDRI-0078_slice_12", "LIDC-IDRI-0078"),),
        "doi:10.7937/K9/TCIA.2015.LO9QL9SX",
    ),
    NameRule(
        "BraTS names",
        r"^(BraTS(?:\d{2}|2021|-[A-Z]{3})?[_-](?:[A-Za-z]+_\d{3}|[A-Za-z0-9]+_[A-Z0-9]+_\d|\d{5}))(?=[_-]|$)",
        "patient",
        (
            ("BraTS20_Training_001_flair", "BraTS20_Training_001"),
            ("BraTS19_TCIA01_147_1_t1ce", "BraTS19_TCIA01_147_1"),
            ("BraTS2021_00495_flair_77", "BraTS2021_00495"),
        ),
        "doi:10.1109/TMI.2014.2377694",
    ),
    NameRule(
        "ACDC names",
        r"^(patient\d{3})_(?:frame\d+|4d)",
        "patient",
        (("patient001_frame01", "patient001"), ("patient101_frame14_slice_3", "patient101")),
        "doi:10.1109/TMI.2018.2837502",
    ),
    NameRule(
        "CHASE_DB1 names",
        r"^Image_(\d{2})[LR]$",
        "patient",
        (("Image_01L", "01"), ("Image_14R", "14")),
        "doi:10.1109/TBME.2012.2205687",
    ),
    NameRule(
        "EyePACS names",
        r"^(\d+)_(?:left|right)$",
        "patient",
        (("10_left", "10"), ("44338_right", "44338")),
        "https://www.kaggle.com/c/diabetic-retinopathy-detection",
    ),
    NameRule(
        "BIDS names",
        r"^(sub-[A-Za-z0-9]+)(?=_)",
        "patient",
        (("sub-01_ses-2_T1w", "sub-01"),),
        "doi:10.1038/sdata.2016.44",
    ),
    NameRule(
        "names with the word patient or subject and a number",
        r"(?:^|[^A-Za-z0-9])((?:[Pp]atient|PATIENT|[Ss]ubject|SUBJECT)[ _-]?[A-Z]?\d+)(?!\d)",
        "patient",
        (("patient12_img_3", "patient12"), ("scan-Subject-007-b", "Subject-007")),
        "the words themselves",
    ),
    NameRule(
        "names with the word slide or WSI and a number",
        r"(?:^|[^A-Za-z0-9])((?:[Ss]lide|SLIDE|[Ww]si|WSI)[ _-]?[A-Z]?\d+)(?!\d)",
        "slide",
        (("slide_03_tile_12", "slide_03"), ("wsi7-x100-y200", "wsi7")),
        "the words themselves",
    ),
)


@dataclass(frozen=True)
class NamedGroups:
    """What names tell.

    Args:
        groups: of each image, or None where no rule fits every name.
        grouping: what a group is.
        pattern: the rule as a regular expression.
        note: one sentence for the user, empty where nothing is to be said.
    """

    groups: tuple[str, ...] | None = None
    grouping: str | None = None
    pattern: str | None = None
    note: str = ""


def groups_by_name(stems: Sequence[str]) -> NamedGroups:
    """The groups that the names ``stems`` (without folder and ending) tell by the first rule that fits all of them."""
    best: tuple[int, NameRule] | None = None
    for rule in RULES:
        found = [group for stem in stems if (group := rule.group(stem)) is not None]
        if stems and len(found) == len(stems):
            count = len(set(found))
            note = (
                f"Groups are {units_of(rule.grouping)} by their names ({rule.names}): {count} in {len(stems)} images; "
                "data.options.group sets another rule, split.by=image none."
            )
            return NamedGroups(tuple(found), rule.grouping, rule.pattern, note)
        if found and (best is None or len(found) > best[0]):
            best = len(found), rule
    if best is None:
        return NamedGroups()
    few, rule = best
    return NamedGroups(
        note=f"{few} of {len(stems)} names look like {rule.names}, the others do not: no group is known."
    )


def sites_by_name(stems: Sequence[str]) -> list[str]:
    """The site of each image by the first rule that fits all of the names ``stems``; empty where names do not tell."""
    for rule in RULES:
        if rule.site is None or not stems:
            continue
        groups = [rule.group(stem) for stem in stems]
        found = [match[1] for group in groups if group is not None and (match := re.search(rule.site, group))]
        if len(found) == len(stems):
            return found
    return []


def own_group_each(stems: Sequence[str], groups: Sequence[str]) -> str:
    """A warning where nearly every name is a group of its own though names share their beginnings; else ''."""
    count = len(set(groups))
    if len(stems) < 2 or count < _NEARLY_ALL * len(set(stems)):
        return ""
    begins = [_NUMBER.sub("", stem) for stem in stems]
    if len(set(begins)) > len(set(stems)) / 2:  # two numbers at the end: the place of a crop
        begins = [_NUMBER.sub("", begin) for begin in begins]
    held: dict[str, set[str]] = {}
    for begin, group in zip(begins, groups, strict=True):
        held.setdefault(begin, set()).add(group)
    split = {begin: found for begin, found in held.items() if len(found) > 1}
    if len(held) < 2 or len(held) > len(set(stems)) / 2 or len(split) < len(held) / 2:
        return ""
    begin = max(sorted(split), key=lambda one: len(split[one]))
    shown = ", ".join(sorted(split[begin])[:3])
    return (
        f"WARNING: the group rule makes {count} groups of {len(stems)} images, though names share beginnings: those "
        f"that begin with {begin!r} are in {len(split[begin])} groups ({shown}, …). If a beginning is a patient, "
        "patients are on several sides of the split: set data.options.group to a regular expression whose first "
        "bracket is the patient."
    )


def alike(stems: Sequence[str]) -> str:
    """What to try where several names have one beginning with a number, as of patients; nothing where none do."""
    for mark in ("_", "-"):
        first = [stem.partition(mark)[0] if mark in stem else "" for stem in stems]
        counts = Counter(first)
        repeated = sum(count for count in counts.values() if count > 1)
        if len(counts) > 1 and all(map(_HAS_DIGIT.search, counts)) and repeated >= _NEARLY_ALL * len(stems):
            (most, times), *_ = counts.most_common(1)
            return (
                f"; {len(stems)} names have {len(counts)} beginnings before {mark!r}, such as {most!r} in {times}: if "
                f"these are patients, `preceptor init FOLDER --option 'group=^([^{mark}]+){mark}'`"
            )
    return ""
