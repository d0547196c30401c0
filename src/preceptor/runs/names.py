"""What the files of a run folder are called; their paths are made by :class:`preceptor.runs.files.RunFiles`."""

RECIPE, SPLIT, METRICS, RESULT = "recipe.yaml", "split.csv", "metrics.csv", "result.json"
ENVIRONMENT, BEGUN, PIXELS, LOCK = "environment.json", "begun.json", "pixels.npz", ".lock"
LOOKS = "looks.csv"
"""What the images look like."""

CHECKPOINTS, NETWORKS, PREDICTIONS = "checkpoints", "networks", "predictions"
ANALYSIS = "analysis"
TENSORBOARD, MLFLOW, WANDB = "tensorboard", "mlflow", "wandb"

REUSED = "reused.json"
"""Where a run was copied from, if it was."""

OWN = "own"
"""The Python files of the user's own that the run has used."""

TOGETHER = "runs.yaml"
"""The recipes of runs that are trained as one, in the folder that they share."""

LISTED = (BEGUN, RECIPE, SPLIT, PIXELS, LOOKS, METRICS, PREDICTIONS, NETWORKS, OWN)
"""Files and folders whose checksums ``result.json`` holds. Checkpoints and ``environment.json`` have their own."""

FOLDERS = (CHECKPOINTS, NETWORKS, PREDICTIONS, ANALYSIS, TENSORBOARD, MLFLOW, WANDB)
"""Folders inside a run, in which no other run lies."""
