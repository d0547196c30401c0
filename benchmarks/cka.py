"""How long CKA takes beside the forward passes: 20 taps by 20, all maps of a ResNet-34 at 224 pixels, flattened.

The maps are noise, so that nothing but CKA is timed; memory is what the process holds at most, the maps included.

    python benchmarks/cka.py --images 2000 --batch 128 --threads 2
"""

import argparse
import resource
import time

import torch

from preceptor.measures.cka import StreamingCKA

TAPS = {
    "stem": (64, 56, 56),
    **{f"stage1.{block}": (64, 56, 56) for block in range(3)},
    **{f"stage2.{block}": (128, 28, 28) for block in range(4)},
    **{f"stage3.{block}": (256, 14, 14) for block in range(6)},
    **{f"stage4.{block}": (512, 7, 7) for block in range(3)},
    "last": (512, 7, 7),
    "embedding": (512,),
    "logits": (8,),
}
"""Shape of each tap without the batch."""


def main() -> None:
    """Print seconds, and memory after the first and after the last batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    generator = torch.Generator().manual_seed(0)
    first, second = (
        {tap: torch.randn(given.batch, *shape, generator=generator).relu() for tap, shape in TAPS.items()} for _ in "ab"
    )
    cka = StreamingCKA()
    batches = given.images // given.batch
    seconds, processor, memory = 0.0, 0.0, []
    for _ in range(batches):
        began, worked = time.perf_counter(), time.process_time()
        cka.update(first, second)
        seconds += time.perf_counter() - began
        processor += time.process_time() - worked
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    taps = f"{len(first)} x {len(second)} taps"
    print(f"{batches * given.batch} images in batches of {given.batch}, {taps}, {given.threads} threads")
    print(f"{seconds:.1f} s, {processor:.1f} s of all cores; {memory[0]:.2f} GiB, {memory[-1]:.2f} GiB at the end")


if __name__ == "__main__":
    main()
