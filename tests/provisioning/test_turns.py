"""Whose turn it is: never two masters of one cluster at a time."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kaudit_core.provisioning.turns import serial_batches, turn_order

inventories = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12).map(
    lambda clusters: {f"m{number}": cluster for number, cluster in enumerate(clusters)}
)


def turns(inventory: dict[str, str]) -> list[list[str]]:
    """The hosts as `serial` cuts them: order and sizes are computed apart, as in the playbook."""
    order = turn_order(list(inventory), list(inventory.values()))
    sizes = serial_batches([inventory[host] for host in order])
    return [order[sum(sizes[:number]) : sum(sizes[: number + 1])] for number in range(len(sizes))]


@given(inventories)
def test_everyone_has_exactly_one_turn(inventory: dict[str, str]) -> None:
    """No host is lost or changed twice."""
    assert sorted(inventory) == sorted(host for turn in turns(inventory) for host in turn)


@given(inventories)
def test_sizes_sum_to_the_hosts(inventory: dict[str, str]) -> None:
    """Ansible repeats the last size for hosts that are left: none may be."""
    sizes = serial_batches(list(inventory.values()))

    assert len(inventory) == sum(sizes)
    assert all(size > 0 for size in sizes)


@given(inventories)
def test_no_turn_has_two_of_a_cluster(inventory: dict[str, str]) -> None:
    """One master of each cluster at a time."""
    for turn in turns(inventory):
        assert len(turn) == len({inventory[host] for host in turn})


@given(inventories)
def test_clusters_go_side_by_side(inventory: dict[str, str]) -> None:
    """There are as many turns as the largest cluster has masters."""
    assert max(Counter(inventory.values()).values(), default=0) == len(turns(inventory))


@given(inventories)
def test_a_cluster_keeps_its_order(inventory: dict[str, str]) -> None:
    """The inventory's order is the operator's."""
    order = [host for turn in turns(inventory) for host in turn]
    for cluster in set(inventory.values()):
        given_order = [host for host in inventory if inventory[host] == cluster]

        assert given_order == [host for host in order if inventory[host] == cluster]
