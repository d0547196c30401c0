"""``preceptor teachers``: every row, at once."""

from preceptor.cli.teachers import print_teachers
from preceptor.networks.presets import PRESETS


def test_every_foundation_model_is_listed_with_file_licence_and_access(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    print_teachers()
    said = " ".join(capsys.readouterr().out.split())
    for preset in PRESETS.values():
        assert f"{preset.repository}, {preset.file}: {preset.access}, {preset.licence}" in said
        assert f"embedding of {preset.embedding_width}" in said
