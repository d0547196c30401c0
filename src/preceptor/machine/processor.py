"""Which processor this is."""

import platform
import re
from pathlib import Path


def processor_name() -> str:
    """The processor's name where the system gives it: libraries choose their kernels by it."""
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
