import torch

from preceptor.bench import machine
from preceptor.bench.machine import Best, measure_best


def test_the_rate_is_work_over_the_shortest_time(monkeypatch):
    """Calls of 5, 4, 8 ms at 100, then 30, 25, 28 ms at 400 multiply-adds: 100/4 ms is the higher rate."""
    times = iter([0.005, 0.004, 0.008, 0.030, 0.025, 0.028])
    sizes = []
    monkeypatch.setattr(machine, "_seconds", lambda call: next(times))

    def make(size):
        sizes.append(size)
        return lambda: None, 100 * size**2

    assert machine._rate(make) == 100 / 0.004
    assert sizes == [1, 2]


def test_multiply_adds_are_those_of_the_operations():
    cpu, plain = torch.device("cpu"), torch.contiguous_format
    call, work = machine._product(1, cpu, torch.float32)
    assert call().shape == (512, 512)
    assert work == 512**3
    call, work = machine._convolution(1, cpu, torch.float32, plain)
    assert call().shape == (8, 128, 28, 28)
    assert work == call().numel() * 9 * 128


def test_the_best_is_the_higher_of_the_two(monkeypatch):
    monkeypatch.setattr(machine, "LONG_ENOUGH", 0.0)
    found = measure_best(torch.device("cpu"), torch.bfloat16)
    assert found.product > 0
    assert found.convolution > 0
    assert Best(product=2.0, convolution=3.0).rate == 3.0
