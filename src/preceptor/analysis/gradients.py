"""Where the gradient of each network comes from: its own task, and each transfer."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import torch
from matplotlib.figure import Figure
from torch import Tensor

from preceptor.cohort.cohort import Cohort
from preceptor.data.batches import Batches
from preceptor.plan.stage import Stage
from preceptor.plotting import COLOURS, styled
from preceptor.randomness import key
from preceptor.runs.analysis import Pull

BATCHES = 4
"""Training batches over which norms are averaged."""

_ROOM = 0.09  # of the bar, below which its text would not fit


Pulls = dict[str, dict[str, Pull]]
"""Network -> term -> what it does."""


def pulls(cohort: Cohort, batches: Batches, stage: Stage, seed: int, *, count: int = BATCHES) -> Pulls:
    """Of every learner and every term that reaches it, in ``count`` batches of the last epoch, as training sees them.

    Gradients are those before clipping. Networks are in training mode, so BatchNorm statistics and memories of
    losses in ``cohort`` move on; weights do not.
    """
    cohort.train()
    own = {name: [p for p in network.parameters() if p.requires_grad] for name, network in cohort.learners.items()}
    epoch = stage.last_epoch - 1
    measured: list[dict[str, dict[str, tuple[float, float | None]]]] = []
    for step, batch in enumerate(islice(batches.epoch(epoch), count)):
        found: dict[str, dict[str, tuple[float, float | None]]] = {name: {} for name in own}
        for turn in stage.turns or (None,):
            terms = cohort(batch, stage.last_epoch, key(seed, stage.clock, epoch, step, 0), turn)
            for name, reached in norms_and_cosines(terms, own).items():
                found[name] |= reached
        measured.append(found)
    return {name: _averaged([one[name] for one in measured]) for name in own}


def norms_and_cosines(
    terms: Mapping[str, Tensor], parameters: Mapping[str, Sequence[Tensor]]
) -> dict[str, dict[str, tuple[float, float | None]]]:
    r"""Network -> term -> norm of the term's gradient, and its cosine with that of ``NETWORK/task``.

    .. math:: \lVert \nabla_\theta \ell \rVert_2, \quad
        \cos = \frac{\nabla_\theta \ell \cdot \nabla_\theta \ell_{task}}
        {\lVert \nabla_\theta \ell \rVert \lVert \nabla_\theta \ell_{task} \rVert}

    A term that does not reach a network is left out of it; the cosine is None without a task term, or where either
    gradient is 0.

    Args:
        terms: scalars by name, task losses before those that are compared with them.
        parameters: of each network, none in two of them.
    """
    every = [parameter for mine in parameters.values() for parameter in mine]
    found: dict[str, dict[str, tuple[float, float | None]]] = {name: {} for name in parameters}
    tasks: dict[str, Sequence[Tensor | None]] = {}
    for term, value in sorted(terms.items(), key=lambda one: not one[0].endswith("/task")):
        if not value.requires_grad:
            continue
        gradients = iter(torch.autograd.grad(value, every, retain_graph=True, allow_unused=True))
        for name, mine in parameters.items():
            here = _taken(gradients, len(mine))
            if all(one is None for one in here):
                continue
            if term == f"{name}/task":
                tasks[name] = here
            norm = _dot(here, here) ** 0.5
            cosine = None
            if name in tasks and norm:
                of_task = _dot(tasks[name], tasks[name]) ** 0.5
                cosine = min(1.0, max(-1.0, _dot(here, tasks[name]) / (norm * of_task))) if of_task else None
            found[name][term] = (norm, cosine)
    return found


def _taken(gradients: Iterator[Tensor | None], count: int) -> list[Tensor | None]:
    return list(islice(gradients, count))


def _dot(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> float:
    pairs = zip(first, second, strict=True)
    products = [(a.double() * b.double()).sum() for a, b in pairs if a is not None and b is not None]
    return torch.stack(products).sum().item() if products else 0.0


def _averaged(measured: Sequence[Mapping[str, tuple[float, float | None]]]) -> dict[str, Pull]:
    norms, cosines = {}, {}
    for term in dict.fromkeys(term for one in measured for term in one):
        here = [one[term] for one in measured if term in one]
        norms[term] = sum(norm for norm, _ in here) / len(measured)
        known = [cosine for _, cosine in here if cosine is not None]
        cosines[term] = sum(known) / len(known) if known else None
    total = sum(norms.values())
    return {term: Pull(norm, norm / total if total else 0.0, cosines[term]) for term, norm in norms.items()}


def divided(found: Pulls, cohort: Cohort, networks: Sequence[str]) -> tuple[Pulls, dict[str, str]]:
    """What several terms share, and why nothing is divided in every other network."""
    shown = {name: terms for name, terms in found.items() if len(terms) > 1}
    left_out = {}
    for name in dict.fromkeys((*networks, *cohort.networks)):
        if name in cohort.frozen:
            left_out[name] = "frozen in the last stage, so it gets no gradient"
        elif name not in found:
            left_out[name] = "not in the last stage"
        elif name not in shown:
            left_out[name] = f"learns from {next(iter(found[name]))} alone" if found[name] else "no term reaches it"
    return shown, left_out


def words(network: str, term: str) -> str:
    """A term as ``network`` feels it."""
    if term == f"{network}/task":
        return "own task"
    source, arrow, rest = term.partition("->")
    target, _, loss = rest.partition("/")
    return f"from {source}: {loss}" if arrow and target == network else term.replace("->", "→")


@styled()
def bars(found: Pulls) -> Figure:
    """A bar per network, divided by the shares of its terms."""
    names = list(dict.fromkeys(words(network, term) for network, terms in found.items() for term in terms))
    figure = Figure(figsize=(4.2, 0.8 + 0.36 * len(found) + 0.19 * len(names)), layout="constrained")
    axes = figure.subplots()
    labelled: set[str] = set()
    for row, (network, terms) in enumerate(found.items()):
        left = 0.0
        for term, pull in terms.items():
            name = words(network, term)
            colour = COLOURS[names.index(name) % len(COLOURS)]
            axes.barh(
                row, 100 * pull.share, left=left, height=0.7, color=colour, label=None if name in labelled else name
            )
            if pull.share > _ROOM:
                text = f"{100 * pull.share:.0f}"
                axes.text(left + 50 * pull.share, row, text, ha="center", va="center", color="white")
            left += 100 * pull.share
            labelled.add(name)
    axes.set_yticks(range(len(found)), list(found))
    axes.set(xlim=(0, 100), xlabel="share of the gradient's norm, %")
    axes.invert_yaxis()
    figure.legend(loc="outside lower left")
    return figure
