"""A small module of somebody's own."""

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
