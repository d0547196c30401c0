import numpy as np

from preceptor.analysis.disagreements import find_disagreements

LABELS = np.array([0, 0, 0, 1, 1])


def test_only_different_choices_count_and_the_surest_come_first():
    """Sample 1: first right; 2: second right, surer; 3: agree; 4: neither right of three classes."""
    first = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.3, 0.7, 0], [0.1, 0.9, 0], [0.6, 0.1, 0.3]])
    second = np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.9, 0.1, 0], [0.2, 0.8, 0], [0.1, 0.1, 0.8]])
    found = find_disagreements(first, second, LABELS, most=2)
    assert (found.count, found.of, found.first_right, found.second_right) == (3, 5, 1, 1)
    assert found.positions.tolist() == [1, 2]  # one of each kind, before the one that neither gets right
    assert find_disagreements(first, second, LABELS, most=9).positions.tolist() == [1, 2, 4]


def test_no_disagreement():
    one = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = find_disagreements(one, one, np.array([0, 1]), most=3)
    assert found.count == 0
    assert not len(found.positions)
