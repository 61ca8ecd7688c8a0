"""Kubernetes versions and what changed in how they read audit policies."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class KubernetesVersion(NamedTuple):
    """A server's minor version; ordered as tuples are."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> KubernetesVersion:
        """Read "1.35", "v1.35.4" or "v1.35.4+k3s1". Raises ValueError with what to write instead."""
        match = re.fullmatch(r"v?(\d{1,4})\.(\d{1,4})(\.\d+)?([+-][0-9A-Za-z.+-]+)?", text)
        if match is None:
            raise ValueError(f"{text!r} is not a Kubernetes version: write it as 1.35 or v1.35.4")
        version = cls(int(match[1]), int(match[2]))
        if not OLDEST <= version <= NEWEST:
            raise ValueError(f"Kubernetes {version} is not supported: {OLDEST} to {NEWEST} are")
        return version


OLDEST: Final = KubernetesVersion(1, 22)
NEWEST: Final = KubernetesVersion(1, 37)
DEFAULT: Final = KubernetesVersion(1, 35)

OMIT_MANAGED_FIELDS_SINCE: Final = KubernetesVersion(1, 23)
"""omitManagedFields is an unknown field before (k8s.io/apiserver commit 8e027735f)."""

ONLY_V1_SINCE: Final = KubernetesVersion(1, 24)
"""audit.k8s.io/v1alpha1 and v1beta1 are gone (commit 871a4b720); their rules had the fields of v1."""

GROUP_WILDCARD_SINCE: Final = KubernetesVersion(1, 36)
"""group "*" is every group; refused as a name before (commit 6728d9492)."""
