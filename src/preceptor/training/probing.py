"""The stage of a probe: heads are computed of embeddings, and nothing below them changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from preceptor.cohort.cohort import Cohort
from preceptor.composed.base import ComposedNetwork
from preceptor.composed.neighbours import Neighbours
from preceptor.errors import UserError
from preceptor.measures.measure import ClassAnswers, scores_of
from preceptor.networks.network import Network
from preceptor.plan.stage import Stage
from preceptor.teacher_cache.of_stage import probed_of
from preceptor.teacher_cache.replay import Replay
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.evaluate import whole_part
from preceptor.training.fit import StageProgress
from preceptor.training.logistic import Array, Labels, LinearHead, logistic_heads

if TYPE_CHECKING:
    from preceptor.training.build import StageBuilder

_BANK = "{name}_neighbours"


def probe_stage(stage: Stage, cohort: Cohort, builder: "StageBuilder") -> StageProgress:
    """Give each network of the stage the head of the C that validation chooses; those that have theirs are passed by.

    Leaves each network's weights and the embeddings of the training part, which are the neighbours' memory.

    Raises:
        UserError: several processes, or a network whose head is not one linear layer on its embedding.
    """
    if builder.fabric.world_size > 1:
        raise UserError("technique probe: embeddings are made by one process; start it without torchrun")
    kept = builder.checkpoints
    networks = {name: cohort.networks[name] for name in stage.learners}
    missing = {name: one for name, one in networks.items() if not kept.weights(stage.clock, name).exists()}
    for name, network in missing.items():
        _head_of(network, name)
        network.to(builder.fabric.device).eval()
        network.read = frozenset({"embedding"})
    with probed_of(builder.recipe, missing, builder.prepared, builder.fabric, builder.notes.console.print) as replay:
        for name, network in missing.items():
            asked = _Asked(name, network, builder, replay)
            layer = _head_of(network, name)
            training, labels = asked.embeddings("train")
            head = _chosen(stage, asked, training, labels)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(head.weight))
                layer.bias.copy_(torch.from_numpy(head.bias))
            bank = {"bank": torch.from_numpy(training).float(), "labels": torch.from_numpy(labels)}
            kept.save(kept.weights(stage.clock, _BANK.format(name=name)), bank)
            kept.save(kept.weights(stage.clock, name), network.state_dict())
    return StageProgress(epoch=stage.last_epoch)


def neighbours_of(stage: Stage, networks: Mapping[str, Network], kept: Checkpoints) -> dict[str, Network]:
    """The neighbours' vote beside each of ``networks``, where the stage was a probe; nothing of other stages."""
    if stage.probe is None:
        return {}
    found: dict[str, Network] = {}
    for name, network in networks.items():
        state = kept.load(kept.weights(stage.clock, _BANK.format(name=name)))
        votes = Neighbours(
            {name: network},
            bank=state["bank"],
            labels=state["labels"],
            neighbours=stage.probe.neighbours,
            temperature=stage.probe.temperature,
        )
        found[_BANK.format(name=name)] = votes.alone({name: network})
    return found


def _head_of(network: Network, name: str) -> nn.Linear:
    layer = network.classifier
    if isinstance(network, ComposedNetwork) or not isinstance(layer, nn.Linear) or layer.bias is None:
        raise UserError(
            f"technique probe: {name} ({network.called}) does not end in one linear layer on its embedding, which is "
            "what a probe computes; choose another architecture"
        )
    return layer


@dataclass(frozen=True, slots=True)
class _Asked:
    """A network whose embeddings are wanted: computed, or read where they are kept."""

    name: str
    network: Network
    builder: "StageBuilder"
    replay: Replay

    @torch.no_grad()
    def embeddings(self, part: str) -> tuple[Array, Labels]:
        """(n, width) embeddings of a part and its labels, in the order of its rows."""
        rows, found, builder = [], [], self.builder
        for batch in whole_part(builder.fabric, builder.prepared, part, builder.recipe.training.batch_size).epoch(0):
            rows.append(batch.rows.cpu().numpy())
            said = self.replay(self.name, self.network, batch, 0)
            found.append(said.embedding.double().cpu().numpy())
        labels = builder.prepared.labels(np.concatenate(rows))
        assert labels is not None, "a probe is for classes"
        embeddings: Array = np.concatenate(found)
        if not np.isfinite(embeddings).all():
            raise UserError(
                f"{self.network.called} says numbers that are not finite, so it cannot be probed; give other weights"
            )
        return embeddings, labels


def _chosen(stage: Stage, asked: _Asked, training: Array, labels: Labels) -> LinearHead:
    """The head whose C does best on validation, the smaller one of equals."""
    assert stage.probe is not None
    name, builder = asked.name, asked.builder
    classes = len(builder.prepared.packed.classes)
    heads = logistic_heads(training, labels, classes, sorted(stage.probe.strengths))
    validation, truth = asked.embeddings("validation")
    monitor = builder.recipe.monitor
    higher = builder.measures[monitor].higher_is_better
    scores = [scores_of(builder.measures, ClassAnswers(head.probabilities(validation), truth)) for head in heads]
    values = [score[monitor] * (1 if higher else -1) for score in scores]
    best = int(np.argmax(values))
    builder.notes.add(f"{name}: C = {heads[best].strength:g} of {len(heads)} by validation {monitor}")
    if len(heads) > 1 and best in (0, len(heads) - 1):
        builder.notes.add(f"{name}: that C is at the end of technique.strengths; others beyond it may do better")
    if not heads[best].has_converged:
        builder.notes.add(f"{name}: the logistic regression did not reach its optimum in 2,000 iterations")
    return heads[best]
