"""The device or devices that a process computes on."""

import os

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from preceptor.machine.device import require_device
from preceptor.machine.memory import keep_freed_memory


def make_fabric(device: str) -> Fabric:
    """Fabric on one device, or on this process's share of a torchrun job.

    Raises:
        UserError: no such device here.
    """
    require_device(device)
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if world == 1:
        fabric = Fabric(accelerator=device, devices=1)
    else:
        # A cohort may hold parameters that no term of a step reaches (a head without a task loss).
        strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
        fabric = Fabric(accelerator=device, devices=local, num_nodes=world // local, strategy=strategy)
    fabric.launch()
    if fabric.device.type == "cpu":
        keep_freed_memory()
    return fabric
