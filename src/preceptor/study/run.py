"""Doing the jobs of a study until nothing is left to do, whatever happens to those who do them."""

from preceptor.errors import InterruptedRunError
from preceptor.stopping import StopRequests, stop_requests
from preceptor.study.board import Board
from preceptor.study.crew import Crew, Death
from preceptor.study.show import Overview
from preceptor.study.work import JobOutcome, log_of, request_for

RETRIES = 2
"""How often a job is taken up again whose worker died."""


def run_jobs(board: Board, overview: Overview, crew: Crew, *, device: str = "auto") -> None:
    """Do every job that is not done.

    A job whose worker dies is taken up again, and goes on from its run folder; one that raises is failed, and with
    it those that wait for its network.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM came; running jobs have left checkpoints.
    """
    with stop_requests() as asked:
        try:
            while not asked.count and (board.ready() or crew.busy):
                for job in board.ready()[: crew.free]:
                    board.started(board.together(job.id))
                    crew.give(request_for(job, board.out, device, board.groups[job.id]))
                _listen(board, overview, crew, asked)
            if asked.count:
                crew.stop()
                while crew.busy and asked.count < 2:
                    _listen(board, overview, crew, asked)
                board.waits(board.having("running"))
        finally:
            crew.close()
    if board.having("waiting"):
        counts = f"{len(board.having('done'))} of {len(board.jobs)} jobs are done"
        raise InterruptedRunError(f"stopped; {counts}. The same command again does the others.")


def _listen(board: Board, overview: Overview, crew: Crew, asked: StopRequests) -> None:
    """Wait for a moment, and note every job that has ended."""
    overview.show()
    for id, event in crew.events(overview.pause):
        ids = board.together(id)
        if isinstance(event, JobOutcome) and event.outcome == "done":
            board.done(ids)
        elif isinstance(event, JobOutcome) and event.outcome == "failed" and len(board.groups[id]) > 1:
            board.part(id)  # each alone: what is wrong with one fails that one only
            board.waits(ids)
            overview.say(f"{len(ids)} runs could not be trained as one ({event.error}); each is trained alone")
            continue
        elif isinstance(event, JobOutcome) and event.outcome == "failed":
            board.failed(id, event.error or "")
        elif asked.count or board.standing[id].attempts <= RETRIES:
            board.waits(ids)
        else:
            words = event.words if isinstance(event, Death) else "was stopped from outside"
            for one in ids:
                board.failed(one, f"its worker {words} {RETRIES + 1} times; see {log_of(id, board.out)}")
        for one in ids:
            if not (asked.count and board.standing[one].status == "waiting"):
                overview.ended(one)
