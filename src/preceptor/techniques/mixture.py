"""What baselines, distillation offline and online, mutual learning and their mixtures have in common.

Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge distillation in
biomedical imaging", Computers in Biology and Medicine; its roots are Hinton et al. 2015 (arXiv:1503.02531) and Zhang
et al. 2018 (arXiv:1706.00384). All of them are one graph: alpha · task + beta · teacher + gamma · peers, per student.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from preceptor.errors import UserError
from preceptor.knowledge.catalogue import entry_for
from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.edge import Edge, LossUse, facing
from preceptor.plan.frozen import FrozenMap
from preceptor.plan.network import NetworkUse, SharedWidth
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.specs import Epochs, Task, Temperature
from preceptor.techniques.base import LossSpec, PerStudent, Technique, given, per_student
from preceptor.techniques.published import published_shares
from preceptor.techniques.shares import KnowledgeKind, Reading, Route, Shares, Strategy, completed, routes_for

SHARED_TAP: dict[Task, str] = {"classification": "last", "segmentation": "decoder1"}
"""The feature map that is shared: the last one, or the first decoder block's (section 3.4 of the paper)."""

SHARING = frozenset({"strategy", "diverse", "weights", "alpha", "temperature", "direction", "routing", "adapter"})
"""Options that have a meaning wherever something is shared."""


class Mixture(Technique):
    """Every mixture of distillation and mutual learning (methods of Niyaz et al.).

    Each student's loss is alpha · task + beta · from the teacher + gamma · from its peers. What is not given
    follows from a sum of 1: beta = 1 - alpha for ``kd_*``, gamma = 1 - alpha for ``ml``, halves for ``kd_ml``.
    ``weights: published`` takes the weights of the published cell instead.

    Args:
        strategy: what is shared: ``predictions``, ``features``, or ``diverse`` (each student another kind).
        diverse: how the paper is read where only a teacher, or only peers, teach diversely: by its ``equations`` the
            first student gets features from a teacher, predictions from a peer; its ``table`` (1 a, b) swaps the two.
        weights: ``given`` by alpha, beta and gamma, or ``published`` in the tables of the paper.
        routing: replaces the strategy's table, one entry per student.
        losses: knowledge losses on every teacher edge in place of the strategy's; the total is then
            alpha · task + the sum of the losses' weights times their values, alpha by default what the
            losses' papers give the task (the smallest where they differ).
        hint: a loss that trains ``kd_offline``'s students first, without their task; FitNet's two stages are
            ``hint: {loss: fitnet}``. They start the distillation from the weights after the hint's last epoch.
        hint_epochs: of that stage, as many as ``training.epochs`` unless given.
        teacher: a run folder or weights to take the teacher from; without it one is trained first
            (``kd_offline``) or along with the students (``kd_online``, ``kd_ml``).
        adapter: the 1x1 convolution inside the teacher that brings its last map to the students' width:
            ``auto`` adds it where features are shared, ``always`` and ``never`` say what they do.
        teacher_learns: weight of the students' predictions in an online teacher's own loss.
        sequential: update the networks in turn, each seeing the others' refreshed predictions.
        network: whose baseline to train.
        snapshots_every: keep a lone teacher's weights after so many epochs each, and after the last, as snapshots for
            ``multi_part``; it then trains all its epochs.
        student_alone: run folder of the baseline that a teacher is compared with.

    Class attributes:
        uses: the options that have a meaning in the technique; all are accepted by all, so that a recipe can change
            from one to another.
        peers_teach: whether students learn from one another.
        teacher_is_frozen: whether a teacher only teaches.
    """

    uses: ClassVar[frozenset[str]] = frozenset()
    peers_teach: ClassVar[bool] = False
    teacher_is_frozen: ClassVar[bool] = False

    strategy: Strategy = "predictions"
    diverse: Reading = "equations"
    weights: Literal["given", "published"] = "given"
    alpha: PerStudent | None = None
    beta: PerStudent | None = None
    gamma: PerStudent | None = None
    temperature: Temperature = 2.0
    direction: Literal["forward", "reverse"] = "forward"
    routing: tuple[Route, ...] = ()
    losses: tuple[LossSpec, ...] = ()
    hint: LossSpec | None = None
    hint_epochs: Epochs | None = None
    teacher: str | None = None
    adapter: Literal["auto", "always", "never"] = "auto"
    teacher_learns: Annotated[float, Field(ge=0)] = 0.0
    sequential: bool = False
    network: Literal["student", "teacher"] = "student"
    snapshots_every: Epochs | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _options_have_a_place(self) -> Self:
        if self.hint and not self.teacher_is_frozen:
            raise ValueError(
                f"hint: {self.name} has no frozen teacher to take it from; use kd_offline, or leave it out"
            )
        if self.hint_epochs and not self.hint:
            raise ValueError("hint_epochs: there is no hint; name its loss too, for example `hint: {loss: fitnet}`")
        if self.snapshots_every and not self.is_lone_teacher:
            raise ValueError("snapshots_every: is for a teacher alone (name: baseline, network: teacher); leave it out")
        return self

    @classmethod
    def options(cls) -> tuple[str, ...]:
        return tuple(option for option in super().options() if option in cls.uses)

    @property
    def is_lone_teacher(self) -> bool:
        """Whether nobody but a teacher takes part."""
        return False

    @property
    def shared(self) -> str | None:
        """The strategy by which networks share, or None where nothing is shared or losses are named."""
        return None if self.losses else self.strategy

    @property
    def losses_named(self) -> tuple[LossSpec, ...]:
        return (*self.losses, *((self.hint,) if self.hint else ()))

    @property
    def adapter_asked(self) -> str | None:
        return self.adapter

    def plan(self, cast: Cast) -> Plan:
        """One stage of everybody."""
        return self._plan(cast, self.main_stage(cast))

    def _plan(self, cast: Cast, *stages: Stage) -> Plan:
        return Plan(
            stages=stages,
            students=tuple(cast.students),
            teacher=TEACHER if self.has_teacher else None,
            student_alone=given("student_alone", self.student_alone),
        )

    def main_stage(self, cast: Cast) -> Stage:
        """alpha · task + beta · teacher + gamma · peers, for every student."""
        shares = dict(zip(cast.students, self.shares(cast), strict=True))
        members: dict[str, Member] = {}
        if self.has_teacher:
            teacher = self.teacher_network(cast)
            members[TEACHER] = cast.frozen(teacher) if self.teacher_is_frozen else Member(network=teacher)
        for name, share in shares.items():
            members[name] = Member(network=cast.student(name, self._adapter(cast)), task_weight=share.alpha)
        learners = [name for name, member in members.items() if member.trains]
        return Stage(
            name="main",
            members=members,
            training=cast.training,
            edges=tuple(self._edges(cast, shares)),
            turns=tuple((name,) for name in learners) if self.sequential else (),
        )

    def teacher_network(self, cast: Cast) -> NetworkUse:
        """The teacher, with the convolution inside where there is to be one."""
        return cast.the_teacher(self.teacher, self._adapter(cast, for_teacher=True))

    def shares(self, cast: Cast) -> list[Shares]:
        """alpha, beta and gamma of each student, given, published, or from a sum of 1."""
        if self.weights == "published":
            if any(share is not None for share in (self.alpha, self.beta, self.gamma)):
                raise UserError("technique.weights: published weights and alpha, beta or gamma exclude each other")
            return published_shares(cast, self.name, self.strategy)
        if self.losses and self.peers_teach:
            raise UserError(
                f"technique.losses: they stand on the teacher's edges of kd_offline and kd_online, not in {self.name}; "
                "write edges with technique.name=graph"
            )
        count = len(cast.students)
        # 0.2 is the papers' usual value; beside named losses it is what their own papers give the task.
        settings = [entry_for(loss.loss).settings[cast.task] for loss in self.losses]
        alpha = min((setting.task_weight for setting in settings), default=0.2)
        alphas = per_student("alpha", self.alpha, count, default=alpha)
        betas = per_student("beta", self.beta, count, default=None)
        gammas = per_student("gamma", self.gamma, count, default=None)
        return [
            completed(self.name, *one, teacher=self.has_teacher, peers=self.peers_teach)
            for one in zip(alphas, betas, gammas, strict=True)
        ]

    def _routes(self, cast: Cast) -> dict[str, Route]:
        swapped = self.diverse == "table" and not (self.has_teacher and self.peers_teach)
        routes = routes_for(self.strategy, self.routing, len(cast.students), swapped=swapped)
        return dict(zip(cast.students, routes, strict=True))

    def _edges(self, cast: Cast, shares: dict[str, Shares]) -> list[Edge[LossUse]]:
        students, routes = tuple(cast.students), self._routes(cast)
        found: list[Edge[LossUse]] = []
        for name in students if self.has_teacher else ():
            if self.losses:
                found += [loss.edge(TEACHER, name, cast.task) for loss in self.losses]
            else:
                found.append(self._shared(routes[name].teacher, TEACHER, name, shares[name].beta, cast.task))
        for source, target, part in facing(students) if self.peers_teach else ():
            weight = part * shares[target].gamma
            found.append(self._shared(routes[target].peers, source, target, weight, cast.task))
        if self.teacher_learns:
            weight = self.teacher_learns / len(students)
            found += [self._shared("predictions", name, TEACHER, weight, cast.task) for name in students]
        return found

    def _shared(self, kind: KnowledgeKind, source: str, target: str, weight: float, task: Task) -> Edge[LossUse]:
        """One edge that shares predictions or features."""
        if kind == "predictions":
            loss = LossUse("kd", temperature=self.temperature, direction=self.direction)
            return Edge(source=source, target=target, loss=loss, weight=weight)
        loss, tap = LossUse("feature_mse"), SHARED_TAP[task]
        return Edge(source=source, target=target, loss=loss, weight=weight, student_tap=tap)

    def _adapter(self, cast: Cast, *, for_teacher: bool = False) -> SharedWidth | None:
        """The rule for a network that shares features and may be wider than the narrowest student."""
        routes = () if self.is_lone_teacher else self._routes(cast).values()
        from_teacher = self.has_teacher and not self.losses and any(one.teacher == "features" for one in routes)
        among_peers = self.peers_teach and any(one.peers == "features" for one in routes)
        always = self.adapter == "always" and cast.task == "classification"
        if not always and (self.adapter == "never" or not (from_teacher or among_peers)):
            return None
        shares = (from_teacher or always) if for_teacher else (from_teacher or among_peers)
        if not shares:
            return None
        teacher = {TEACHER: cast.teacher} if cast.teacher and self.has_teacher and (from_teacher or always) else {}
        return SharedWidth(
            tap=SHARED_TAP[cast.task],
            students=cast.students,
            sharing=FrozenMap({**cast.students, **teacher}),
            always=always and for_teacher,
            advice=f"technique.strategy {self.strategy}",
        )
