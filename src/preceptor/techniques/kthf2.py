"""Unlike peers and a classifier on their fused maps learn from each other."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from preceptor.plan.cast import Cast
from preceptor.plan.edge import Edge, LossUse, Ramp, facing
from preceptor.plan.frozen import FrozenMap
from preceptor.plan.network import Composed
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.specs import Fraction, Task, Temperature, Weight
from preceptor.techniques.base import Technique, students_of

FUSED, ENSEMBLE = "F", "E"
"""The fused classifier, reported beside the peers; the mean of the peers' logits, which only teaches it."""

FUSION_DECAY = 0.1
"""Weight decay of the fusion modules beside that of the peers, in the public code of Kim et al."""


class KTHF2(Technique):
    """Unlike peers learn from each other and with a classifier F on their fused maps, which teaches them (KTHF²).

    Peers, F and the ensemble of all of them are reported; `ensemble_mean` is the mean of their softmaxes.

    Each peer's loss is its task + mutual · from the other peers + to_peers · from F; F's is
    fused_task · its task + from_ensemble · from the mean of the peers' logits.

    Args:
        mutual: weight of deep mutual learning, at temperature 1.
        fused_task: weight of the labels in F's loss.
        to_peers: weight of what peers learn from F.
        from_ensemble: weight of what F learns from the mean of the peers.
        temperature: of what goes from and to F.
        ramp: share of the epochs over which to_peers and from_ensemble rise to their full weight; 0 begins with it.
        levels: how many of the peers' last stages are fused.
        cross_level: fuse each level of a peer with the next deeper one of another, too.
        detach_maps: what F learns does not reach the peers through their maps.

    Source: this package's reading of KTHF², of which no equations are public: peers as in Zhang et al. 2018,
        arXiv:1706.00384, F and its terms after Kim et al. 2020, arXiv:1904.09058, the levels' pairs of this package.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    instead: ClassVar[str] = "F pools the fused maps and says nothing of pixels. Take ml or kd_ml for masks"
    fewest_students: ClassVar[int] = 2

    name: Literal["kthf2"]
    mutual: Weight = 1.0
    fused_task: Weight = 1.0
    to_peers: Weight = 1.0
    from_ensemble: Weight = 1.0
    temperature: Temperature = 3.0
    ramp: Fraction = 0.27
    levels: Annotated[int, Field(ge=1, le=4)] = 2
    cross_level: bool = True
    detach_maps: bool = False

    @property
    def fuses(self) -> bool:
        """Whether F takes part."""
        return bool(self.fused_task or self.to_peers or self.from_ensemble)

    @model_validator(mode="after")
    def _fused_classifier_learns(self) -> Self:
        if self.to_peers and not (self.fused_task or self.from_ensemble):
            raise ValueError(
                "to_peers: the fused classifier would teach without having learned; "
                "give fused_task or from_ensemble a weight, or set to_peers: 0 too"
            )
        return self

    def plan(self, cast: Cast) -> Plan:
        """One stage."""
        peers = tuple(cast.students)
        stage = Stage(
            name="main",
            members=students_of(cast) | self._readers(peers),
            training=cast.training,
            edges=tuple(self._edges(peers, cast.training.epochs)),
        )
        students = (*peers, FUSED) if self.fuses else peers
        return Plan(stages=(stage,), students=students, notes=self._notes(cast))

    def _readers(self, peers: tuple[str, ...]) -> dict[str, Member]:
        """The networks that read the peers."""
        found = {}
        if self.fuses:
            options = {"levels": self.levels, "cross_level": self.cross_level, "detach_maps": self.detach_maps}
            fused = Composed(name=FUSED, kind="fused", reads=peers, options=FrozenMap(options))
            found[FUSED] = Member(network=fused, task_weight=self.fused_task, weight_decay=FUSION_DECAY)
        if self.from_ensemble:
            mean = Composed(name=ENSEMBLE, kind="mean", reads=peers, options=FrozenMap())
            found[ENSEMBLE] = Member(network=mean, trains=False)
        return found

    def _edges(self, peers: tuple[str, ...], epochs: int) -> list[Edge[LossUse]]:
        ramp = Ramp(epochs=self.ramp * epochs, shape="sigmoid") if self.ramp else None
        kd = LossUse("kd", temperature=self.temperature)
        found = [
            Edge(source=source, target=target, loss=LossUse("kd", temperature=1.0), weight=share * self.mutual)
            for source, target, share in (facing(peers) if self.mutual else ())
        ]
        if self.to_peers:
            found += [Edge(source=FUSED, target=peer, loss=kd, weight=self.to_peers, ramp=ramp) for peer in peers]
        if self.from_ensemble:
            found.append(Edge(source=ENSEMBLE, target=FUSED, loss=kd, weight=self.from_ensemble, ramp=ramp))
        return found

    def _notes(self, cast: Cast) -> tuple[str, ...]:
        if not self.fuses:
            return ("kthf2: no fusion loss has a weight, so there is no fused classifier: this is mutual learning",)
        architectures = {peer.architecture.partition(".")[0] for peer in cast.students.values()}
        if len(architectures) == 1:
            return (
                f"kthf2: all peers are {architectures.pop()}; it is meant for networks of different families, "
                "whose stages have different things to say",
            )
        return ()
