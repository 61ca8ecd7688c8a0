"""Whose turn it is: never two masters of one cluster at a time, clusters side by side."""

from __future__ import annotations

from collections.abc import Sequence


def serial_batches(clusters: Sequence[str]) -> list[int]:
    """How many hosts each turn has, one of every cluster that still has one; the hosts stand in turn_order."""
    counts = [clusters.count(cluster) for cluster in dict.fromkeys(clusters)]
    return [sum(count > turn for count in counts) for turn in range(max(counts, default=0))]


def turn_order(hosts: Sequence[str], clusters: Sequence[str]) -> list[str]:
    """The hosts by their turns: the first of every cluster, then the second of every cluster."""
    seen: dict[str, int] = {}
    turns = []
    for host, cluster in zip(hosts, clusters, strict=True):
        turns.append((seen.setdefault(cluster, 0), host))
        seen[cluster] += 1
    return [host for _, host in sorted(turns, key=lambda turn: turn[0])]
