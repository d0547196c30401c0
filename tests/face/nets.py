"""A small module of somebody's own, and what a process shares."""

import random

import numpy as np
import torch
from torch import nn


class Small(nn.Module):
    """Two convolutions below a name with dots, and a linear head."""

    def __init__(self, width, classes=3, channels=3):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, width, 3, stride=2), nn.ReLU(), nn.Conv2d(width, width, 3))
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(width, classes)

    def forward(self, images):
        return self.head(self.drop(self.body(images).mean(dim=(2, 3))))


def stands():
    """Where threads and generators are."""
    return (
        torch.get_num_threads(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
    )
