import resource
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from preceptor.machine.memory import keep_freed_memory


def step():
    tensors = [torch.ones(12 * 2**20) for _ in range(4)]  # of 48 MiB, above what glibc learns to keep by itself


def faults():
    for _ in range(6):  # the heap finds its shape
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


plain = faults()
keep_freed_memory()
print(plain, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_a_step_gets_its_memory_without_the_system():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, timeout=60)
    plain, kept = map(int, done.stdout.split())
    pages = 3 * 4 * 48 * 2**20 // resource.getpagesize()
    assert plain > 0.9 * pages
    assert kept < 0.1 * pages
