"""How published data sets, and people's own folders, lay out images and masks: one rule a layout, as data.

A rule is two regular expressions over paths below the folder, written with ``/``: one that images fit whole, one that
masks fit whole. What their brackets found says what belongs together:

* ``key``: an image and its masks have it in common; several masks of one image are joined
* ``class``: the class of an image
* ``part``: train, validation or test
* ``group``: who or what an image is of, so that a split keeps it on one side

A file that fits the mask's expression is a mask, whatever else it fits.
"""

from dataclasses import dataclass

from preceptor.specs import Task

END = r"(?:(?i:\.nii\.gz)|(?i:(?<!\.nii))\.[^./]+)"
"""The ending of a file's name."""
PART_WORD = r"(?i:train|training|val|valid|validation|dev|test|testing)"
PART = rf"(?:\d+[ _.-]+)?(?P<part>{PART_WORD})(?i:[ _-]?(?:set|data|split|part|images?|imgs?))?"
"""A folder that is a part."""
MASK_WORD = r"(?i:masks?|segmentations?|segs?|labels?|annotations?|anno|gt|ground_?truths?|manual\d?)"
"""How masks are called, as a word of a file's or folder's name."""
CLASS_WORD = (
    r"(?i:[01]|benign|malignant|normal|abnormal|tumou?r|non[-_ ]?tumou?r|cancer|non[-_ ]?cancer|healthy|diseased?|"
    r"pos(?:itive)?|neg(?:ative)?|yes|no|control)"
)
"""How classes are called, where a folder's name alone tells that it is one."""
IMAGES_WORD = r"(?i:images?|imgs?|pictures?)"
"""How folders of images are called."""
_ONE_IMAGE = r"(?i:images?|img|scan|picture|photo|original|orig|raw|input|ct|mri?|pet|us)"
_MASKS = rf"(?:{MASK_WORD})"
_MASK_END = rf"(?:[ _.-]+{MASK_WORD})(?:[ _.-]*\d+)?"
_MASK_INSIDE = r"(?i:masks?|annot(?:ation)?s?|segmentations?|ground[ _]?truths?|labels?|(?<![A-Za-z])gt(?![A-Za-z]))"
_NAMED_PART = rf"(?:[^/]*[^/A-Za-z])?(?P<part>{PART_WORD})(?=[^/a-z]|{_MASK_INSIDE}|(?i:images?|imgs?|set|data)|/)[^/]*"
"""A folder whose name tells the part, and more besides."""


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """A layout on disk.

    Args:
        key: the name of its source in a recipe.
        title: what is laid out so, for messages.
        image, mask: see the top of this file; no mask where there are classes only.
        second: what masks by a second observer are like, with the same brackets.
        task: what it is read for unless the recipe says otherwise; both where there are classes and masks.
        classes: class folders in the order of their labels; by name where it is empty.
        mask_classes: names of the mask values, background first.
        names_file: a JSON file with ``labels``, the names of the mask values.
        grouping: what a group is.
        group_table: a table that tells the groups: its name, the column of the image's key, the column of the group.
        fewest_groups: below so many the folders that are taken as groups are rather something else.
        fewest_parts: below so many parts it is rather something else.
        left_out: what files are that belong to the set and are not used: expression and reason, in the plural.
        refused: what cannot be read: expression and reason.
        examples: published paths, an image and its masks one after the other.
        source: where the layout is described or published.
    """

    key: str
    title: str
    image: str
    mask: str | None = None
    second: str | None = None
    task: Task = "classification"
    classes: tuple[str, ...] = ()
    mask_classes: tuple[str, ...] = ("background", "foreground")
    names_file: str | None = None
    grouping: str = "group"
    group_table: tuple[str, str, str] | None = None
    fewest_groups: int = 0
    fewest_parts: int = 0
    left_out: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    examples: tuple[tuple[str, ...], ...] = ()
    source: str = ""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What it can be read for."""
        both: tuple[tuple[Task, bool], ...] = (
            ("classification", "(?P<class>" in self.image),
            ("segmentation", self.mask is not None),
        )
        return tuple(task for task, holds in both if holds)


_BUSI = r"(?P<class>benign|malignant|normal)/(?P<key>(?:benign|malignant|normal) ?\(\d+\))"
_COVID = r"(?P<class>COVID|Lung_Opacity|Normal|Viral Pneumonia)"

PUBLISHED: tuple[FolderLayout, ...] = (
    FolderLayout(
        key="drive",
        title="DRIVE, vessels in retinal images",
        image=rf"{PART}/images/(?P<key>\d+)_(?:training|test){END}",
        mask=rf"{PART}/1st_manual/(?P<key>\d+)_manual1{END}",
        second=rf"{PART}/2nd_manual/(?P<key>\d+)_manual2{END}",
        task="segmentation",
        mask_classes=("background", "vessel"),
        left_out=((rf"(?:training|test)/mask/.+{END}", "masks of the field of view"),),
        examples=(
            ("training/images/21_training.tif", "training/1st_manual/21_manual1.gif"),
            ("test/images/01_test.tif", "test/1st_manual/01_manual1.gif"),
        ),
        source="doi:10.1109/TMI.2004.825627",
    ),
    FolderLayout(
        key="chase_db1",
        title="CHASE_DB1, vessels in retinal images of children",
        image=rf"(?:[^/]+/)?(?P<key>Image_(?P<group>\d\d)[LR]){END}",
        mask=rf"(?:[^/]+/)?(?P<key>Image_(?P<group>\d\d)[LR])_1stHO{END}",
        second=rf"(?:[^/]+/)?(?P<key>Image_(?P<group>\d\d)[LR])_2ndHO{END}",
        task="segmentation",
        mask_classes=("background", "vessel"),
        grouping="patient",
        examples=(("Image_01L.jpg", "Image_01L_1stHO.png"), ("Image_14R.jpg", "Image_14R_1stHO.png")),
        source="doi:10.1109/TBME.2012.2205687",
    ),
    FolderLayout(
        key="glas",
        title="GlaS, glands in colon histology",
        image=rf"(?P<key>(?P<part>train|test)[AB]?_\d+){END}",
        mask=rf"(?P<key>(?P<part>train|test)[AB]?_\d+)_anno{END}",
        task="segmentation",
        mask_classes=("background", "gland"),
        grouping="patient",
        group_table=("Grade.csv", "name", "patient ID"),
        examples=(("train_1.bmp", "train_1_anno.bmp"), ("testA_60.bmp", "testA_60_anno.bmp")),
        source="doi:10.1016/j.media.2016.08.008",
    ),
    FolderLayout(
        key="busi",
        title="BUSI, breast ultrasound",
        image=rf"{_BUSI}{END}",
        mask=rf"{_BUSI}_mask(?:_\d+)?{END}",
        task="segmentation",
        classes=("benign", "malignant", "normal"),
        mask_classes=("background", "lesion"),
        examples=(
            ("benign/benign (1).png", "benign/benign (1)_mask.png"),
            ("benign/benign (4).png", "benign/benign (4)_mask.png", "benign/benign (4)_mask_1.png"),
        ),
        source="doi:10.1016/j.dib.2019.104863",
    ),
    FolderLayout(
        key="covid19_radiography",
        title="COVID-19 Radiography Database, chest X-rays",
        image=rf"{_COVID}/(?:images/)?(?P<key>[^/]+){END}",
        mask=rf"{_COVID}/masks/(?P<key>[^/]+){END}",
        classes=("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"),
        mask_classes=("background", "lung"),
        examples=(("Viral Pneumonia/images/Viral Pneumonia-1.png", "Viral Pneumonia/masks/Viral Pneumonia-1.png"),),
        source="doi:10.1016/j.compbiomed.2021.104319",
    ),
    FolderLayout(
        key="nnunet_raw",
        title="nnU-Net's raw layout, two-dimensional",
        image=rf"images(?P<part>Tr|Ts)/(?P<key>.+)_0000{END}",
        mask=rf"labels(?P<part>Tr|Ts)/(?P<key>.+){END}",
        task="segmentation",
        names_file="dataset.json",
        refused=(
            (
                rf"images(?:Tr|Ts)/.+_(?!0000)\d{{4}}{END}",
                "channels of their own: each image is one file here, so join the channels of a case (…_0000, …_0001) "
                "into one image",
            ),
        ),
        examples=(("imagesTr/case_000_0000.png", "labelsTr/case_000.png"),),
        source="https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md",
    ),
)
"""Those with a source of their own."""

GENERAL: tuple[FolderLayout, ...] = (
    FolderLayout(
        key="folders_of_pairs",
        title="folders, each with images and masks in folders of their own; each is taken as a group (a patient)",
        image=rf"(?:{PART}/)?(?P<group>[^/]+)/{IMAGES_WORD}/(?P<key>.+){END}",
        mask=rf"(?:{PART}/)?(?P<group>[^/]+)/{_MASKS}/(?P<key>.+?)(?:{_MASK_END})?{END}",
        task="segmentation",
        grouping="folder",
        examples=(("p1/images/3.png", "p1/masks/3_mask.png"), ("train/p2/img/a.png", "train/p2/gt/a.png")),
    ),
    FolderLayout(
        key="parts_in_names",
        title="folders of images and of masks, the name of each telling its part",
        image=rf"(?![^/]*{_MASK_INSIDE}){_NAMED_PART}/(?P<key>.+){END}",
        mask=rf"(?=[^/]*{_MASK_INSIDE}){_NAMED_PART}/(?P<key>.+?)(?:{_MASK_END})?{END}",
        task="segmentation",
        fewest_parts=2,
        examples=(("train_images/3.png", "train_masks/3.png"), ("val/a.png", "valannot/a_mask.png")),
    ),
    FolderLayout(
        key="folders_of_one_pair",
        title="folders, each with one image and its mask, called alike in all; each is taken as a group (a patient)",
        image=rf"(?:{PART}/)?(?P<group>[^/]+)/{_ONE_IMAGE}{END}",
        mask=rf"(?:{PART}/)?(?P<group>[^/]+)/{MASK_WORD}(?:[ _.-]*\d+)?{END}",
        task="segmentation",
        grouping="folder",
        fewest_groups=2,
        examples=(("p1/image.png", "p1/mask.png"), ("test/p2/ct.nii.gz", "test/p2/seg.nii.gz")),
    ),
    FolderLayout(
        key="parts_of_pairs",
        title="a folder of images and one of masks, each with folders that are parts",
        image=rf"{IMAGES_WORD}/{PART}/(?P<key>.+){END}",
        mask=rf"{_MASKS}/{PART}/(?P<key>.+?)(?:{_MASK_END})?{END}",
        task="segmentation",
        examples=(("images/train/3.png", "masks/train/3.png"),),
    ),
    FolderLayout(
        key="folders_with_masks_beside",
        title="folders with masks beside their images; each folder is taken as a group (a patient)",
        image=rf"(?:{PART}/)?(?P<group>[^/]+)/(?P<key>.+){END}",
        mask=rf"(?:{PART}/)?(?P<group>[^/]+)/(?P<key>.+?){_MASK_END}{END}",
        task="segmentation",
        grouping="folder",
        fewest_groups=5,
        examples=(("p1/3.png", "p1/3_mask.png", "p1/3_mask_1.png"), ("test/p2/a.png", "test/p2/a-gt.png")),
    ),
    FolderLayout(
        key="masks_beside",
        title="masks beside their images",
        image=rf"(?:{PART}/)?(?P<key>.+){END}",
        mask=rf"(?:{PART}/)?(?P<key>.+?){_MASK_END}{END}",
        task="segmentation",
        examples=(("3.png", "3_mask.png"), ("train/a.jpg", "train/a_segmentation.png")),
    ),
    FolderLayout(
        key="image_and_mask_beside",
        title="images and masks side by side, both called so",
        image=rf"(?:{PART}/)?(?P<key>.+?)[ _.-]+{_ONE_IMAGE}{END}",
        mask=rf"(?:{PART}/)?(?P<key>.+?){_MASK_END}{END}",
        task="segmentation",
        examples=(("000_img.png", "000_masks.png"), ("train/a-image.jpg", "train/a-mask.png")),
    ),
    FolderLayout(
        key="masks_beside_as_png",
        title="masks (.png) beside images (.jpg) of the same names",
        image=rf"(?:{PART}/)?(?P<key>.+)\.(?i:jpe?g)",
        mask=rf"(?:{PART}/)?(?P<key>.+)\.(?i:png|gif|bmp)",
        task="segmentation",
        examples=(("3.jpg", "3.png"),),
    ),
    FolderLayout(
        key="folders_of_classes",
        title="folders (patients), each with folders of the same classes; guessed: each is taken as a group",
        image=rf"(?P<group>(?!{PART_WORD}/)[^/]+)/(?P<class>{CLASS_WORD})/(?P<key>.+){END}",
        grouping="folder",
        fewest_groups=3,
        examples=(("10253/0/10253_idx5_x1001.png",), ("p1/benign/a.png",)),
    ),
    FolderLayout(
        key="classes_of_parts",
        title="class folders, each with folders that are parts",
        image=rf"(?P<class>[^/]+)/{PART}/(?P<key>.+){END}",
        examples=(("benign/train/1.png",),),
    ),
)
"""Those of people's own folders."""
