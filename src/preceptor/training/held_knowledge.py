"""How much of what teachers know students have, on images that they were not trained on; no label is read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional as F

from preceptor.cohort.cohort import Cohort
from preceptor.cohort.transfer import Transfer
from preceptor.composed.base import answers, standing
from preceptor.data.batches import Batch
from preceptor.data.order import SampleOrder
from preceptor.data.prepare import Prepared
from preceptor.errors import UserError
from preceptor.measures.features import COSINE, KNOWLEDGE_LOSS
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.training.evaluate import whole_rows
from preceptor.training.statistics import Unchanged
from preceptor.training.terms import total_of


@dataclass(frozen=True, slots=True)
class HeldKnowledge:
    """Compares a cohort's students with their teachers on a part, labelled or not.

    ``knowledge_loss`` is the sum of the weighted losses on a student's edges, without ramps, averaged over images;
    ``cosine`` that of its projected features and the teacher's, averaged over images and edges with a projector.

    Args:
        says: gets what frozen networks say, where it is not computed each time.
    """

    fabric: Fabric
    prepared: Prepared
    cohort: Cohort
    batch_size: int
    says: Unchanged | None = None

    @torch.no_grad()
    def __call__(self, networks: Mapping[str, Network], part: str) -> dict[str, dict[str, float]]:
        """Scores of ``networks``, which stand for the cohort's of these names, by name.

        Raises:
            UserError: no loss can be computed on images outside the training part.
        """
        cohort, device = self.cohort, self.fabric.device
        edges = [edge for edge in cohort.transfers if edge.target in networks and not edge.loss.needs_ids]
        if lacking := sorted(set(networks) - {edge.target for edge in edges}):
            raise UserError(
                f"{', '.join(lacking)} learns by losses alone that know training images only, so that no epoch can be "
                "chosen without labels; add another loss, for example cosine"
            )
        every = {**standing(cohort.networks), **networks}
        for network in every.values():
            network.to(device).eval()
        cohort.losses.to(device).eval()
        sums = torch.zeros(len(edges), 2, dtype=torch.float64, device=device)
        count = torch.zeros((), dtype=torch.float64, device=device)
        order = SampleOrder(stream="evaluation", smallest=2, drop_last=cohort.keeps_batch)
        rows = self.prepared.every(part)
        size = min(self.batch_size, len(rows))
        unread = replace(self.prepared, packed=self.prepared.unread)
        for batch in whole_rows(self.fabric, unread, rows, size, order).epoch(0):
            said = self._answers(every, batch)
            found = [
                torch.stack([cohort.knowledge(edge, said, batch, None), self._cosine(edge, said)]) for edge in edges
            ]
            sums += torch.stack(found).double() * len(batch.rows)
            count += len(batch.rows)
        total = total_of(self.fabric, sums) / total_of(self.fabric, count)
        return {name: self._scores(name, edges, total) for name in networks}

    def _answers(self, every: Mapping[str, Network], batch: Batch) -> dict[str, Outputs]:
        if self.says is None:
            return answers(every, batch.images)
        asked = self.cohort.asked
        said = answers({name: network for name, network in every.items() if name not in asked}, batch.images)
        return said | {name: self.says(name, every[name], batch) for name in asked}

    def _cosine(self, edge: Transfer, said: Mapping[str, Outputs]) -> Tensor:
        """Of what the loss puts side by side, NaN where that is nothing."""
        student, teacher = self.cohort.compared(edge, said)
        if isinstance(student, tuple) or isinstance(teacher, tuple):
            return torch.full((), torch.nan, device=self.fabric.device)
        pair = edge.loss.side_by_side(student.float(), teacher.float())
        if pair is None:
            return torch.full((), torch.nan, device=self.fabric.device)
        return F.cosine_similarity(*pair, dim=1).mean()

    def _scores(self, name: str, edges: list[Transfer], total: Tensor) -> dict[str, float]:
        mine = [place for place, edge in enumerate(edges) if edge.target == name]
        loss = sum(edges[place].weight * float(total[place, 0]) for place in mine)
        cosines = [float(total[place, 1]) for place in mine if not total[place, 1].isnan()]
        return {KNOWLEDGE_LOSS: loss, **({COSINE: sum(cosines) / len(cosines)} if cosines else {})}
