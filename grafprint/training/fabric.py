"""Processes, devices and precision of a training run (Lightning Fabric)."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers.tensorboard import TensorBoardLogger

from grafprint.models.fast.precision import computes_bf16

log = logging.getLogger(__name__)


def launch_fabric(precision: str, out: Path, accelerator: str, devices: int | str) -> Fabric:
    """Start Fabric, with TensorBoard logs in ``out``; torchrun, if used, decides the processes.

    On a CPU without bfloat16 it computes in float32 instead.
    """
    out.mkdir(parents=True, exist_ok=True)
    strategy, nodes = "auto", 1
    if torch.distributed.is_torchelastic_launched():  # torchrun decides how many processes
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
        strategy = "ddp"
    logger = TensorBoardLogger(out, name="tensorboard", version="")
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    if precision == "bf16-mixed" and on_cpu and not computes_bf16(torch.device("cpu")):
        log.warning("this CPU has no bfloat16: training in float32")
        precision = "32-true"
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=precision,  # type: ignore[arg-type]
        loggers=logger,
    )
    fabric.launch()
    return fabric
