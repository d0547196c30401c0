"""A cohort: networks, the transfers between them, and each trainable network's own task loss."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from preceptor.cohort.computing import HowComputed
from preceptor.cohort.frozen import FixedSize, FrozenOutputs
from preceptor.cohort.transfer import Transfer
from preceptor.composed.base import ComposedNetwork
from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.setting import Tap
from preceptor.machine.compiled import compiled as compiled_call
from preceptor.machine.fold import with_folded_norms
from preceptor.networks.network import Network
from preceptor.networks.outputs import Knowledge, Outputs
from preceptor.plan.merge import unshared
from preceptor.randomness import key
from preceptor.specs import Task

_PLAINLY = HowComputed()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What edges may know of the training: see :class:`~preceptor.knowledge.base.Probe`."""

    classes: int
    batch_size: int
    train_labels: Tensor | None = None
    ignores: bool = False
    lacks_labels: bool = False


class Cohort(nn.Module):
    """Networks that train together; one call gives every weighted loss term.

    Frozen networks are kept outside the module tree: they are not trained, not checkpointed, not
    wrapped for distributed training. Edge losses are submodules, so that their adapters are.

    Attributes:
        frozen_outputs: gets what frozen networks say, where a step does not bring it along.
        calls: the networks as they are called in a step: folded or compiled where they are to be.

    Args:
        networks: by name; those that are frozen only teach. One that is built on others comes after them.
        transfers: edges between them. Two edges of one name are refused, or a term would vanish.
        task_loss: (logits, targets) -> scalar, of every trainable network.
        task_weights: factor of the task loss by trainable network, 1 where not given.
        facts: sizes from which adapters are built.
        computing: how the networks are computed.
        seed: an adapter's start depends on it and the name of its edge alone.

    Raises:
        UserError: an edge names a network or tap that does not exist, or cannot work on these networks.
    """

    def __init__(
        self,
        *,
        task: Task,
        networks: Mapping[str, Network],
        transfers: Sequence[Transfer],
        task_loss: nn.Module,
        facts: DataFacts,
        task_weights: Mapping[str, float] | None = None,
        computing: HowComputed = _PLAINLY,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.task = task
        self.transfers = tuple(transfers)
        self.task_loss = task_loss
        self.lacks_labels = facts.lacks_labels
        self.computing = computing
        self.task_weights = dict(task_weights or {})
        self.frozen = {name: network for name, network in networks.items() if network.is_frozen}
        self.learners = nn.ModuleDict({name: net for name, net in networks.items() if name not in self.frozen})
        self.frozen_outputs: FrozenOutputs = FixedSize(facts.batch_size, batch_groups=computing.batch_groups)
        self.notes: list[str] = []
        _check_edges(self.transfers, networks, task)
        self.losses = nn.ModuleDict()
        self._order = tuple(networks)
        self._build_losses(facts, seed)
        _limit_taps(self.networks, self.transfers, task)
        folded = computing.folded
        self.calls = {name: with_folded_norms(net) if name in folded else net for name, net in self.networks.items()}
        self.calls |= {name: compiled_call(self.calls[name]) for name in computing.compiled}
        self._stochastic = {name for name, network in self.networks.items() if network.is_stochastic}

    @property
    def batch_groups(self) -> Mapping[str, int]:
        """How many batches a frozen network is asked about at once, 1 where not given."""
        return self.computing.batch_groups

    @property
    def networks(self) -> dict[str, Network]:
        """Every network, in the order given."""
        every = {**self.frozen, **cast(Mapping[str, Network], dict(self.learners.items()))}
        return {name: every[name] for name in self._order}

    @property
    def keeps_batch(self) -> bool:
        """Whether an edge wants every batch to have the full size."""
        return any(edge.loss.keeps_batch for edge in self.transfers)

    @property
    def needs_pairs(self) -> bool:
        """Whether a network normalises maps of one position over the batch, for which one image is too few."""
        return any(net.needs_pairs for net in cast(Mapping[str, Network], dict(self.learners.items())).values())

    def to_device(self, device: torch.device) -> None:
        """Move everything, the frozen networks too."""
        self.to(device)
        for network in (*self.frozen.values(), *self.calls.values()):
            network.to(device)

    def owned(self) -> dict[str, list[nn.Parameter]]:
        """Trainable parameters by the network that they serve: its own and the adapters of edges into it."""
        owned = {name: list(module.parameters()) for name, module in self.learners.items()}
        for edge in self.transfers:
            owned[edge.target] += self.losses[_key_of(edge)].parameters()
        claimed: set[int] = set()
        for name, parameters in owned.items():  # a head that a loss brings is in the network and in the loss
            mine = {id(p): p for p in parameters if p.requires_grad and id(p) not in claimed}
            owned[name] = list(mine.values())
            claimed |= mine.keys()
        return owned

    def forward(
        self,
        batch: Batch,
        epoch: int,
        stream: int | None,
        turn: Collection[str] | None = None,
        said: Mapping[str, Outputs] | None = None,
    ) -> dict[str, Tensor]:
        """Weighted float32 loss terms by name: ``S1/task`` and one per edge.

        Args:
            epoch: of the phase, the first is 1.
            stream: key of this step's random numbers; each network and edge draws from its own. None leaves torch's
                generators as they are.
            turn: the networks that learn in this call, all by default.
            said: what the frozen networks say of the batch, where that is known already.
        """
        learning = set(self.learners if turn is None else turn)
        outputs = self._outputs(batch, stream, learning, self.ask(batch, epoch) if said is None else said)
        terms: dict[str, Tensor] = {}
        for name in self.learners:
            weight = self.task_weights.get(name, 1.0)
            if name in learning and weight:
                terms[f"{name}/task"] = weight * self.task_loss(outputs[name].logits.float(), batch.targets)
        for edge in self.transfers:
            weight = edge.weight_in(epoch)
            if edge.target in learning and weight:
                terms[edge.name] = weight * self.knowledge(edge, outputs, batch, stream)
        return terms

    @property
    def asked(self) -> tuple[str, ...]:
        """Frozen networks that answer for themselves, not from what others say."""
        return tuple(name for name, network in self.frozen.items() if not isinstance(network, ComposedNetwork))

    @torch.no_grad()
    def ask(self, batch: Batch, epoch: int, source: FrozenOutputs | None = None) -> dict[str, Outputs]:
        """What the frozen networks say of a batch, all at once.

        Args:
            source: gets it, in place of the cohort's own.
        """
        outputs = {}
        for name in self.asked:
            with self._autocast(name, batch):
                outputs[name] = (source or self.frozen_outputs)(name, self.calls[name], batch, epoch)
        return outputs

    def _autocast(self, name: str, batch: Batch) -> torch.autocast:
        dtype = self.computing.precision_of(name)
        return torch.autocast(batch.images.device.type, dtype=dtype, enabled=dtype is not None)

    def _outputs(
        self, batch: Batch, stream: int | None, learning: set[str], said: Mapping[str, Outputs]
    ) -> dict[str, Outputs]:
        outputs: dict[str, Outputs] = {}
        for name, network in self.networks.items():
            if name in said:
                outputs[name] = said[name]
                continue
            if name in self._stochastic and network.training and stream is not None:
                torch.manual_seed(key(stream, unshared(name)))
            is_learning = torch.is_grad_enabled() and not network.is_frozen and name in learning
            with torch.set_grad_enabled(is_learning), self._autocast(name, batch):
                if isinstance(network, ComposedNetwork):
                    outputs[name] = network.combine(network.among(outputs), batch.targets)
                else:
                    outputs[name] = self.calls[name](batch.images)
        return outputs

    def compared(self, edge: Transfer, outputs: Mapping[str, Outputs]) -> tuple[Knowledge, Knowledge]:
        """What an edge compares of the student and of the teacher."""
        student_tap, teacher_tap = edge.taps(self.task)
        return outputs[edge.target].at(student_tap), outputs[edge.source].at(teacher_tap)

    def knowledge(self, edge: Transfer, outputs: Mapping[str, Outputs], batch: Batch, stream: int | None) -> Tensor:
        """The loss of an edge, without its weight."""
        student, teacher = self.compared(edge, outputs)
        if edge.stop_gradient:
            teacher = tuple(t.detach() for t in teacher) if isinstance(teacher, tuple) else teacher.detach()
        if stream is not None:
            torch.manual_seed(key(stream, unshared(edge.name)))
        more = {"ids": batch.positions.to(batch.images.device)} if edge.loss.needs_ids else {}
        loss: Tensor = self.losses[_key_of(edge)](student, teacher, batch.targets, **more)
        return loss

    def _build_losses(self, facts: DataFacts, seed: int) -> None:
        """Probe every network once, build the adapters, and put in the heads that losses bring."""
        seen: dict[str, Outputs] = {}
        for name, network in self.networks.items():
            seen[name] = network.glance_at(seen) if isinstance(network, ComposedNetwork) else network.glance()
        for edge in self.transfers:
            probe = _probe(edge, self.task, seen, self.networks, facts)
            edge.loss.ignores = facts.ignores
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(key(seed, "adapter", unshared(edge.name)))
                edge.loss.build(probe)
            self.notes += [f"{edge.name}: {note}" for note in edge.loss.notes]
            self.losses[_key_of(edge)] = edge.loss
            if (head := edge.loss.head()) is not None:
                self.networks[edge.target].replace_head(head)


def losses_into(cohort: Cohort, name: str) -> nn.ModuleDict:
    """The losses on the edges into a network, with their projectors."""
    keys = [_key_of(edge) for edge in cohort.transfers if edge.target == name]
    return nn.ModuleDict({key: cohort.losses[key] for key in keys})


def _key_of(edge: Transfer) -> str:
    """The edge's name as that of a submodule, which has no dots; a tap such as ``layer1.0`` has."""
    return edge.name.replace(".", ":")


def _limit_taps(networks: Mapping[str, Network], transfers: Sequence[Transfer], task: Task) -> None:
    """Tell each network which maps are read, so that it keeps no others."""
    read: dict[str, set[str]] = {name: set() for name in networks}
    for network in networks.values():
        if isinstance(network, ComposedNetwork):
            for source, taps in network.inlets.items():
                read[network.found_at[source]] |= set(taps)
    for edge in transfers:
        for name, tap in zip((edge.target, edge.source), edge.taps(task), strict=True):
            read[name] |= {tap} if isinstance(tap, str) else set(tap)
    for name, network in networks.items():
        network.read = frozenset(read[name])


def _check_edges(transfers: Sequence[Transfer], networks: Mapping[str, Network], task: Task) -> None:
    names = [edge.name for edge in transfers]
    for edge in transfers:
        for end in (edge.source, edge.target):
            if end not in networks:
                raise UserError(f"edge {edge.name}: no network {end!r}; this cohort has {', '.join(networks)}")
        if networks[edge.target].is_frozen:
            raise UserError(f"edge {edge.name}: {edge.target} is frozen and cannot learn; turn the edge round")
        if names.count(edge.name) > 1:
            raise UserError(f"edge {edge.name} stands twice; give each a tap of its own, or add their weights")
        if task not in edge.loss.settings:
            raise UserError(f"edge {edge.name}: {edge.loss.key} is for {', '.join(edge.loss.settings)}, not {task}")
    if len({id(edge.loss) for edge in transfers}) < len(transfers):
        raise ValueError("two edges share one loss object; adapters belong to one edge, so give each its own")


def _probe(
    edge: Transfer, task: Task, seen: Mapping[str, Outputs], networks: Mapping[str, Network], facts: DataFacts
) -> Probe:
    """What the loss of an edge may know when its adapters are built."""
    if facts.lacks_labels and edge.loss.needs_labels:
        raise UserError(
            f"edge {edge.name}: {edge.loss.key} reads the label of every image, and some or all have none; "
            "take a loss that compares what both networks say, such as kd, or cosine for features"
        )
    student_tap, teacher_tap = edge.taps(task)
    return Probe(
        edge=f"{edge.source}->{edge.target}",
        task=task,
        classes=facts.classes,
        batch_size=facts.batch_size,
        student=_read(seen, edge, edge.target, student_tap),
        teacher=_read(seen, edge, edge.source, teacher_tap),
        teacher_classifier=networks[edge.source].classifier,
        teacher_learns=not networks[edge.source].is_frozen,
        train_labels=facts.train_labels,
        ignores=facts.ignores,
    )


def _read(seen: Mapping[str, Outputs], edge: Transfer, name: str, tap: Tap) -> Knowledge:
    try:
        return seen[name].at(tap)
    except KeyError as error:
        raise UserError(f"edge {edge.name}: {name} has {error.args[0]}") from None
