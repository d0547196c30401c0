"""The bootstrap interval of one score of one run."""

from pathlib import Path

import numpy as np

from preceptor.errors import UserError
from preceptor.measures import Interval, Resampler, basic_interval, percentile_interval
from preceptor.measures.table import MEASURES
from preceptor.report.reading.runs import read_run
from preceptor.report.reading.samples import groups_of, stacked


def interval_of(folder: Path, network: str, metric: str, *, resamples: int = 2000) -> Interval:
    """The 95 % interval of a network's score on the test part of the run in ``folder``, as a report has it.

    Raises:
        UserError: no such score, or one that is not known of each sample.
    """
    run = read_run(folder, folder.name)
    known = MEASURES[run.task]
    if metric not in known or run.score(network, metric) is None:
        scores = [one for one in known if run.score(network, one) is not None]
        raise UserError(f"{folder}: no score {metric!r} of {network} with an interval; there are {', '.join(scores)}")
    measure = known[metric]
    found = stacked({run.seed: run}, network, {metric: measure})
    if found is None or measure.addends is None or measure.addends not in found[1][0]:
        raise UserError(
            f"{folder}: what {network} said of each test sample is not there, of which the interval of {metric} is made"
        )
    ids, (blocks,) = found
    resampler = Resampler(len(ids), groups=groups_of([run], ids), resamples=resamples)
    total, drawn = resampler.sums(blocks[measure.addends])
    whole, again = measure.finished(total), measure.resampled(drawn)
    form = basic_interval if measure.grows_with_noise else percentile_interval
    return form(float(whole[0]), again[~np.isnan(again)], resampler.units)
