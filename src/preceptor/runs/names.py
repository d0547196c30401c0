"""What the files of a run folder are called."""

RECIPE, SPLIT, METRICS, RESULT = "recipe.yaml", "split.csv", "metrics.csv", "result.json"
ENVIRONMENT, BEGUN, PIXELS, LOCK = "environment.json", "begun.json", "pixels.npz", ".lock"
CHECKPOINTS, NETWORKS, PREDICTIONS = "checkpoints", "networks", "predictions"

OWN = "own"
"""The Python files of the user's own that the run has used."""

TOGETHER = "runs.yaml"
"""The recipes of runs that are trained as one, in the folder that they share."""

LISTED = (BEGUN, RECIPE, SPLIT, PIXELS, METRICS, PREDICTIONS, NETWORKS, OWN)
"""Files and folders whose checksums ``result.json`` holds. Checkpoints and ``environment.json`` have their own."""
