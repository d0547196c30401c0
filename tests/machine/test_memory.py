import resource
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from preceptor.machine.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()


def step():
    tensors = [torch.ones(12 * 2**20) for _ in range(4)]  # of 48 MiB, above what glibc learns to keep by itself


for _ in range(6):  # the heap finds its shape
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_a_step_gets_its_memory_without_the_system():
    def faults(how):
        done = subprocess.run(
            [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, timeout=60
        )
        return int(done.stdout)

    pages = 3 * 4 * 48 * 2**20 // resource.getpagesize()
    assert faults("plain") > 0.9 * pages
    assert faults("keep") < 0.1 * pages
