import subprocess
import sys

import preceptor.measures


def test_measures_do_without_torch():
    """The report reads result files and must answer in seconds."""
    code = "import sys, preceptor.measures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_public_names_exist():
    assert all(hasattr(preceptor.measures, name) for name in preceptor.measures.__all__)
