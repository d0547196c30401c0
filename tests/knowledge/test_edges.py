import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.edges import logit_pair, need_batch, one_map, paired_maps, teacher_classifier


def probe(student, teacher) -> Probe:
    return Probe(edge="T->S2", task="classification", classes=3, batch_size=2, student=student, teacher=teacher)


def test_errors_name_the_loss_the_edge_and_what_to_do() -> None:
    one, vector = torch.rand(1, 3, 4, 4), torch.rand(1, 3)
    with pytest.raises(UserError, match="at on T->S2 compares maps pair by pair; the student's tap gives 2, the te"):
        paired_maps(probe((one, one), one), "at")
    with pytest.raises(UserError, match=r"mgd on T->S2 compares feature maps .* shape \(1, 3\).\nName a map"):
        one_map(probe(one, vector), "mgd")
    with pytest.raises(UserError, match="kd on T->S2 compares one tensor; the student's tap gives 2"):
        logit_pair(probe((vector, vector), vector), "kd")
    with pytest.raises(UserError, match=r"kd on T->S2 compares class scores; .* \(1, 3\), the teacher's \(1, 4\)"):
        logit_pair(probe(vector, torch.rand(1, 4)), "kd")
    with pytest.raises(UserError, match=r"rkd on T->S2 .* needs at least 3; training.batch_size gives 2"):
        need_batch(probe(vector, vector), "rkd", 3)
    with pytest.raises(UserError, match="srrl on T->S2 passes the student's features through the teacher's class"):
        teacher_classifier(probe(vector, vector), "srrl")


def test_one_logit_and_two_are_the_same_classes() -> None:
    student, teacher = logit_pair(probe(torch.rand(1, 1), torch.rand(1, 2)), "kd")
    assert student.shape == teacher.shape == (1, 2)
