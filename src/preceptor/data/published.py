"""Data sets that anyone may download: where they are, their licences, and the hashes that their publishers give."""

from dataclasses import dataclass
from typing import Literal

from preceptor.errors import UserError

Unpack = Literal["zip", "flat", "gzip"]


@dataclass(frozen=True)
class Remote:
    """One published file.

    Args:
        name: of the file on disk.
        url: where it is.
        digest: ``md5:…`` or ``sha256:…``, as the publisher gives it.
        unpack: ``zip`` into the folder, ``flat`` for a zip whose files go into a folder of the archive's
            name without folders of their own, ``gzip`` for one packed file.
    """

    name: str
    url: str
    digest: str
    unpack: Unpack | None = None


@dataclass(frozen=True)
class Published:
    """A data set that can be fetched, and the source that reads it."""

    source: str
    folder: str
    title: str
    licence: str
    home: str
    files: tuple[Remote, ...]


def published(key: str) -> Published:
    """The data set called ``key``: kather2016, pcam, ham10000, or medmnist:NAME such as medmnist:pathmnist_64.

    Raises:
        UserError: no such set; lists all.
    """
    name, colon, which = key.partition(":")
    if name == "medmnist":
        if which not in _MEDMNIST:
            known = sorted({flag.split("_")[0] for flag in _MEDMNIST})
            came = f"{which!r} is no set." if colon else "which one?"
            raise UserError(
                f"medmnist: {came} Write medmnist:NAME or medmnist:NAME_SIZE with a size of 64, 128 or 224 pixels, "
                f"for example medmnist:pathmnist_64. Names: {', '.join(known)}"
            )
        return _medmnist(which)
    if key not in _SETS:
        raise UserError(f"{key!r} cannot be fetched. Known: {', '.join(_SETS)}, medmnist:NAME")
    return _SETS[key]


def _pcam(part: str, kind: str, md5: str) -> Remote:
    name = f"camelyonpatch_level_2_split_{part}_{kind}"
    return Remote(
        name,
        f"https://zenodo.org/records/2546921/files/{name}?download=1",
        f"md5:{md5}",
        "gzip" if kind[0] in "xy" else None,
    )


def _dataverse(name: str, number: int, md5: str, *, table: bool = False) -> Remote:
    """A file of HAM10000; of tables Dataverse serves a conversion unless asked for the original."""
    url = f"https://dataverse.harvard.edu/api/access/datafile/{number}" + ("?format=original" if table else "")
    return Remote(name, url, f"md5:{md5}", None if table else "flat")


def _medmnist(flag: str) -> Published:
    file = Remote(
        f"{flag}.npz", f"https://zenodo.org/records/10519652/files/{flag}.npz?download=1", f"md5:{_MEDMNIST[flag]}"
    )
    licence = "CC BY-NC 4.0" if flag.startswith("dermamnist") else "CC BY 4.0"
    return Published(
        "medmnist", "medmnist", f"MedMNIST+ {flag}, Yang et al. 2023", licence, "doi:10.5281/zenodo.10519652", (file,)
    )


_SETS = {
    "kather2016": Published(
        "kather2016",
        "kather2016",
        "Textures in colorectal cancer histology, Kather et al. 2016",
        "CC BY 4.0",
        "doi:10.5281/zenodo.53169",
        (
            Remote(
                "Kather_texture_2016_image_tiles_5000.zip",
                "https://zenodo.org/records/53169/files/Kather_texture_2016_image_tiles_5000.zip?download=1",
                "md5:0ddbebfc56344752028fda72602aaade",
                "zip",
            ),
        ),
    ),
    "pcam": Published(
        "pcam",
        "pcam",
        "PatchCamelyon, Veeling et al. 2018 (7.8 GB packed, as much again unpacked)",
        "CC0 1.0",
        "doi:10.5281/zenodo.2546921",
        (
            _pcam("train", "meta.csv", "5a3dd671e465cfd74b5b822125e65b0a"),
            _pcam("valid", "meta.csv", "67589e00a4a37ec317f2d1932c7502ca"),
            _pcam("test", "meta.csv", "3455fd69135b66734e1008f3af684566"),
            _pcam("train", "y.h5.gz", "35c2d7259d906cfc8143347bb8e05be7"),
            _pcam("valid", "y.h5.gz", "2b85f58b927af9964a4c15b8f7e8f179"),
            _pcam("test", "y.h5.gz", "60a7035772fbdb7f34eb86d4420cf66a"),
            _pcam("test", "x.h5.gz", "d8c2d60d490dbd479f8199bdfa0cf6ec"),
            _pcam("valid", "x.h5.gz", "d5b63470df7cfa627aeec8b9dc0c066e"),
            _pcam("train", "x.h5.gz", "1571f514728f59376b705fc836ff4b63"),
        ),
    ),
    "ham10000": Published(
        "ham10000",
        "ham10000",
        "HAM10000 with lesion masks, Tschandl et al. 2018 (2.8 GB)",
        "CC BY-NC 4.0 (non-commercial)",
        "doi:10.7910/DVN/DBW86T",
        (
            _dataverse("HAM10000_metadata.csv", 4338392, "8f85fb1aa29d80a2797247e434deb79d", table=True),
            _dataverse("HAM10000_segmentations_lesion_tschandl.zip", 3838943, "6e8d252e09cfdb0189199f15985a5b84"),
            _dataverse("HAM10000_images_part_1.zip", 3172585, "4639bfa73ab251610530a97c898e6e46"),
            _dataverse("HAM10000_images_part_2.zip", 3172584, "da43d6cc50f6613013be07e8986b384b"),
        ),
    ),
}

# As medmnist 3.0.2 gives them.
_MEDMNIST = {
    "pathmnist": "a8b06965200029087d5bd730944a56c1",
    "pathmnist_64": "55aa9c1e0525abe5a6b9d8343a507616",
    "pathmnist_128": "ac42d08fb904d92c244187169d1fd1d9",
    "pathmnist_224": "2c51a510bcdc9cf8ddb2af93af1eadec",
    "dermamnist": "0744692d530f8e62ec473284d019b0c7",
    "dermamnist_64": "b70a2f5635c6199aeaa28c31d7202e1f",
    "dermamnist_128": "2defd784463fa5243564e855ed717de1",
    "dermamnist_224": "8974907d8e169bef5f5b96bc506ae45d",
    "octmnist": "c68d92d5b585d8d81f7112f81e2d0842",
    "octmnist_64": "e229e9440236b774d9f0dfef9d07bdaf",
    "octmnist_128": "0a97e76651ace45c5d943ee3f65b63ae",
    "octmnist_224": "abc493b6d529d5de7569faaef2773ba3",
    "pneumoniamnist": "28209eda62fecd6e6a2d98b1501bb15f",
    "pneumoniamnist_64": "8f4eceb4ccffa70c672198ea285246c6",
    "pneumoniamnist_128": "05b46931834c231683c68f40c47b2971",
    "pneumoniamnist_224": "d6a3c71de1b945ea11211b03746c1fe1",
    "retinamnist": "bd4c0672f1bba3e3a89f0e4e876791e4",
    "retinamnist_64": "afda852cc34dcda56f86ad2b2457dbcc",
    "retinamnist_128": "e48e916a24454daf90583d4e6efb1a18",
    "retinamnist_224": "eae7e3b6f3fcbda4ae613ebdcbe35348",
    "breastmnist": "750601b1f35ba3300ea97c75c52ff8f6",
    "breastmnist_64": "742edef2a1fd1524b2efff4bd7ba9364",
    "breastmnist_128": "363e4b3f8d712e9b5de15470a2aaadf1",
    "breastmnist_224": "b56378a6eefa9fed602bb16d192d4c8b",
    "bloodmnist": "7053d0359d879ad8a5505303e11de1dc",
    "bloodmnist_64": "2b94928a2ae4916078ca51e05b6b800b",
    "bloodmnist_128": "adace1e0ed228fccda1f39692059dd4c",
    "bloodmnist_224": "b718ff6835fcbdb22ba9eacccd7b2601",
    "tissuemnist": "ebe78ee8b05294063de985d821c1c34b",
    "tissuemnist_64": "123ece2eba09d0aa5d698fda57103344",
    "tissuemnist_128": "61b955355d7425a89687b06cca3ce0c2",
    "tissuemnist_224": "b077128c4a949f0a4eb01517f9037b9c",
    "organamnist": "68e3f8846a6bd62f0c9bf841c0d9eacc",
    "organamnist_64": "2dcccc29b88e6da5a01161ef20cda288",
    "organamnist_128": "eeae80d0a227a8d099027e1b3cfd3b60",
    "organamnist_224": "50747347e05c87dd3aaf92c49f9f3170",
    "organcmnist": "b9ceb9546e10131b32923c5bbeaea2b1",
    "organcmnist_64": "3ce34a8724ea6f548e6db4744d03b6a9",
    "organcmnist_128": "773c1f009daa3fe5d9a2a201b2a7ed94",
    "organcmnist_224": "050f5e875dc056f6768abf94ec9995d1",
    "organsmnist": "9ab87b696fb54e2a387ebe992d6ed5f1",
    "organsmnist_64": "53a6d115339d874c25e309a994ff46d3",
    "organsmnist_128": "ded0c5fa01a95dc4978b956f613e9b8e",
    "organsmnist_224": "b354719e553fbbb2513d5533f52a4cb1",
}
