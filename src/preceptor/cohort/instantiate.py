"""From the values of a plan to modules. Nothing else makes networks or losses of a plan."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from preceptor.cohort.transfer import Transfer
from preceptor.composed import COMPOSED
from preceptor.composed.base import ComposedNetwork
from preceptor.composed.grafted import Grafted
from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.networks.blocks import blocks_of
from preceptor.networks.build import build_network, seeded
from preceptor.networks.export import OWN_KEY
from preceptor.networks.network import Network
from preceptor.networks.outputs import stages_of
from preceptor.networks.weights import read_config
from preceptor.own_code import is_code
from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.merge import unshared
from preceptor.plan.network import Composed, NetworkUse, SharedWidth
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.randomness import key
from preceptor.specs import NetworkSpec, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Makes the networks and losses of plans for one set of images and one seed.

    Args:
        classes: class names by label.
        image_size: (height, width) of the packed images.
        channels: of the packed images.
    """

    task: Task
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    seed: int
    channels: int = 3
    _seen: dict[NetworkSpec, Mapping[str, tuple[int, ...]]] = field(default_factory=dict, init=False, compare=False)
    _trained: dict[NetworkUse, bool] = field(default_factory=dict, init=False, compare=False)

    def settled(self, plan: Plan) -> Plan:
        """``plan`` with its rules applied: what depends on other networks or on files is a number, a name, a path.

        Raises:
            UserError: weights that cannot be found, or networks that cannot share what they are to share.
        """
        return replace(plan, stages=tuple(self._settled_stage(stage) for stage in plan.stages))

    def is_trained(self, network: NetworkUse) -> bool:
        """Whether it begins with a head that was trained for these classes, and with its adapter."""
        if network not in self._trained:
            self._trained[network] = not self.network(network).has_new_head
        return self._trained[network]

    def settled_network(self, use: NetworkUse) -> NetworkUse:
        """A network whose specification has the weights to begin with, and whose adapter is a number."""
        spec = _as_saved(use) if use.as_saved else use.spec
        assert spec is not None, "only weights that are given can tell their own specification"
        adapter = self._width(use, use.adapter) if isinstance(use.adapter, SharedWidth) else use.adapter
        if use.given:
            spec = spec.model_copy(update={"weights": str(use.given.weights)})
        return replace(use, spec=spec, as_saved=False, adapter=adapter)

    def network(self, network: NetworkUse | Composed, sources: Sequence[Network] = ()) -> Network:
        """The network that is described, the same every time; ``sources`` are those that it reads."""
        if isinstance(network, NetworkUse):
            settled = self.settled_network(network)
            assert settled.spec is not None, "settled"
            assert not isinstance(settled.adapter, SharedWidth), "settled"
            return self._build(settled.spec, settled.name, settled.adapter)
        with seeded(self._seed_of(network.name)):
            if network.kind == "grafted":
                return self._grafted(network, *sources)
            known_as = [unshared(name) for name in network.reads]
            made = COMPOSED[network.kind](dict(zip(known_as, sources, strict=True)), **network.options)
            if isinstance(made, ComposedNetwork):
                made.found_at = dict(zip(known_as, network.reads, strict=True))
            return made

    def transfers(self, edges: Iterable[Edge[LossUse]]) -> list[Transfer]:
        """The edges, each with a loss of its own."""
        return [
            Transfer(
                source=edge.source,
                target=edge.target,
                loss=catalogue.load(edge.loss.entry)(**edge.loss.options),
                weight=edge.weight,
                student_tap=edge.student_tap,
                teacher_tap=edge.teacher_tap,
                ramp=edge.ramp,
                stop_gradient=edge.stop_gradient,
            )
            for edge in edges
        ]

    def stages(self, spec: NetworkSpec) -> int:
        """How many stages a network of ``spec`` has."""
        return len(stages_of(self._shapes(spec)))

    def blocks(self, spec: NetworkSpec) -> int:
        """Of how many blocks a network of ``spec`` is the chain.

        Raises:
            UserError: it is none.
        """
        return len(blocks_of(self._bare(spec)))

    def _settled_stage(self, stage: Stage) -> Stage:
        return replace(
            stage,
            members={name: self._settled_member(member) for name, member in stage.members.items()},
            choices={
                name: replace(
                    choice, candidates={one: self._settled_member(member) for one, member in choice.candidates.items()}
                )
                for name, choice in stage.choices.items()
            },
        )

    def _settled_member(self, member: Member) -> Member:
        if isinstance(member.network, Composed):
            return member
        return replace(member, network=self.settled_network(member.network))

    def _width(self, use: NetworkUse, rule: SharedWidth) -> int | None:
        """Channels of the convolution inside a network, None where it needs none."""
        assert use.spec is not None, "who shares features is specified"
        narrowest = min(self._channels(spec, rule.tap) for spec in rule.students.values())
        if self.task == "segmentation":
            self._require_one_width(rule, narrowest)
            return None
        return narrowest if rule.always or self._channels(use.spec, rule.tap) != narrowest else None

    def _require_one_width(self, rule: SharedWidth, width: int) -> None:
        """A U-Net's first decoder block has its own width whatever the encoder, and nothing is put in there."""
        found = {name: self._channels(spec, rule.tap) for name, spec in rule.sharing.items()}
        if any(one != width for one in found.values()):
            raise UserError(
                f"{rule.advice}: features are shared at {rule.tap}, where the widths differ: "
                f"{', '.join(f'{name} {one}' for name, one in found.items())}.\n"
                "Give all networks the same first `decoder_channels` in networks.….options, or share predictions."
            )

    def _channels(self, spec: NetworkSpec, tap: str) -> int:
        """Channels at ``tap`` of a network made from ``spec``, without an adapter."""
        shapes = self._shapes(spec)
        if tap not in shapes:
            raise UserError(f"features are shared at {tap}; {spec.architecture} has only {', '.join(shapes)}")
        return shapes[tap][0]

    def _shapes(self, spec: NetworkSpec) -> Mapping[str, tuple[int, ...]]:
        if spec not in self._seen:
            self._seen[spec] = self._bare(spec).shapes
        return self._seen[spec]

    def _bare(self, spec: NetworkSpec) -> Network:
        """A network of ``spec`` with random weights, to look at."""
        return self._build(spec.model_copy(update={"weights": "none"}), "width")

    def _build(self, spec: NetworkSpec, name: str, adapter: int | None = None) -> Network:
        return build_network(
            spec,
            task=self.task,
            classes=self.classes,
            image_size=self.image_size,
            seed=self._seed_of(name),
            adapter=adapter,
            channels=self.channels,
        )

    def _grafted(self, network: Composed, host: Network) -> Network:
        student, (begin, end) = network.options["student"], network.options["replaced"]
        return Grafted(host, self.network(student), range(begin, end))

    def _seed_of(self, name: str) -> int:
        return key(self.seed, "network", name) % 2**63


def _as_saved(use: NetworkUse) -> NetworkSpec:
    """What the folder of the given weights says of them, else what the recipe says."""
    assert use.given is not None, "what was saved is given"
    path, option = use.given.weights, use.given.option.partition(",")[0]
    own = read_config(path).get(OWN_KEY, {}) if path.is_dir() else {}
    if "built" in own:
        raise UserError(
            f"{option}: {path} is {own['built']['note'].partition(':')[0]}; give single networks instead, "
            f"for example those in {path / 'sources'}"
        )
    spec = NetworkSpec.model_validate(own["spec"]) if "spec" in own else use.spec
    if spec is not None and is_code(spec.architecture):
        spec = use.spec  # code is run where a recipe names it, not where a folder of weights does
    if spec is None:
        raise UserError(
            f"{option}: nothing tells the architecture of {path}; name it in networks.teachers, one entry "
            "for each teacher"
        )
    return spec
