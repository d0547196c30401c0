"""Names of source files, however they were written."""

import os
from pathlib import Path

import numpy as np
import pytest

from preceptor.data.fingerprint import source_files
from preceptor.data.samples import SampleTable, sample_frame


def table(files):
    names = [str(number) for number in range(len(files))]
    return SampleTable(
        source="files",
        task="classification",
        classes=("a", "b"),
        frame=sample_frame(names, names, labels=np.arange(len(files)) % 2),
        read=lambda row: (np.zeros((4, 4, 3), np.uint8), None),
        files=lambda row: (files[row],),
    )


@pytest.mark.parametrize(
    "written", ["{}/b/c", "{}//b/c", "{}/./b/c", "{}/x/../b/c", "{}/b//c", "{}/b/.hidden/../c", "b/c"]
)
def test_one_file_has_one_name(written, tmp_path: Path, monkeypatch):
    """The same file written in two ways is one file, with an absolute name."""
    (tmp_path / "x").mkdir()
    (tmp_path / "b" / ".hidden").mkdir(parents=True)
    (tmp_path / "b" / "c").touch()
    monkeypatch.chdir(tmp_path)
    found = source_files(table([str(tmp_path / "b" / "c"), written.format(tmp_path)]))
    assert [found.path(number) for number in range(len(found.names))] == [os.path.join(tmp_path, "b", "c")]
