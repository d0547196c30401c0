"""Unlike peers and a classifier on their fused maps learn from each other."""

from collections.abc import Callable

from preceptor.built.fused import FusedClassifier
from preceptor.built.mean import MeanLogits
from preceptor.cohort.stage import Member, Plan, Stage
from preceptor.cohort.transfer import Ramp, Transfer, facing
from preceptor.knowledge.response.soft_target import SoftTargetLoss
from preceptor.networks.network import Network
from preceptor.technique_specs import KTHF2Spec
from preceptor.techniques.context import Context, learning

FUSED, ENSEMBLE = "F", "E"
"""The fused classifier, reported beside the peers; the mean of the peers' logits, which only teaches it."""

FUSION_DECAY = 0.1
"""Weight decay of the fusion modules beside that of the peers, in the public code of Kim et al."""


def kthf2(context: Context) -> Plan:
    """Unlike peers learn from each other and with a classifier F on their fused maps, which teaches them (KTHF²).

    Peers, F and the ensemble of all of them are reported; `ensemble_mean` is the mean of their softmaxes.

    Options: mutual, fused_task, to_peers, from_ensemble, temperature, ramp, levels, cross_level, detach_maps.
    Source: this package's reading of KTHF², of which no equations are public: peers as in Zhang et al. 2018,
        arXiv:1706.00384, F and its terms after Kim et al. 2020, arXiv:1904.09058, the levels' pairs of this package.
    """
    recipe, spec = context.recipe, context.recipe.technique
    assert isinstance(spec, KTHF2Spec)
    peers = tuple(recipe.networks.peers)
    members = learning(context.students())
    if spec.fuses:
        members[FUSED] = Member(
            build=context.built(FUSED, _fusion_of(peers, spec)),
            builds_on=peers,
            task_weight=spec.fused_task,
            weight_decay=FUSION_DECAY,
        )
    if spec.from_ensemble:
        mean = context.built(ENSEMBLE, lambda *sources: MeanLogits(dict(zip(peers, sources, strict=True))))
        members[ENSEMBLE] = Member(build=mean, builds_on=peers, trains=False)

    def edges() -> list[Transfer]:
        ramp = Ramp(epochs=spec.ramp * recipe.training.epochs, shape="sigmoid") if spec.ramp else None

        def kd(source: str, target: str, weight: float) -> Transfer:
            return Transfer(
                source=source, target=target, loss=SoftTargetLoss(spec.temperature), weight=weight, ramp=ramp
            )

        found = [
            Transfer(source=source, target=target, loss=SoftTargetLoss(temperature=1.0), weight=share * spec.mutual)
            for source, target, share in (facing(peers) if spec.mutual else ())
        ]
        found += [kd(FUSED, peer, spec.to_peers) for peer in (peers if spec.to_peers else ())]
        return found + ([kd(ENSEMBLE, FUSED, spec.from_ensemble)] if spec.from_ensemble else [])

    stage = Stage(name="main", members=members, training=recipe.training, transfers=edges)
    students = (*peers, FUSED) if spec.fuses else peers
    return Plan(stages=(stage,), students=students, notes=_notes(context, spec))


def _fusion_of(peers: tuple[str, ...], spec: KTHF2Spec) -> Callable[..., Network]:
    def make(*sources: Network) -> Network:
        return FusedClassifier(
            dict(zip(peers, sources, strict=True)),
            levels=spec.levels,
            cross_level=spec.cross_level,
            detach_maps=spec.detach_maps,
        )

    return make


def _notes(context: Context, spec: KTHF2Spec) -> tuple[str, ...]:
    if not spec.fuses:
        return ("kthf2: no fusion loss has a weight, so there is no fused classifier: this is mutual learning",)
    architectures = {peer.architecture.partition(".")[0] for peer in context.recipe.networks.peers.values()}
    if len(architectures) == 1:
        return (
            f"kthf2: all peers are {architectures.pop()}; it is meant for networks of different families, "
            "whose stages have different things to say",
        )
    return ()
