"""Rows M1 to M11 of the semantics of matching: named rules, named requests, one claim a row.

Rules are written as in a policy file, requests as `kaudit policy evaluate` reads them.
tests/policy/test_evaluator.py puts every row to our evaluator, tests/oracle/test_evaluation.py to upstream's.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

Rule = dict[str, Any]
Request = dict[str, Any]


class Matches(NamedTuple):
    """Whether one rule, alone in its policy, decides one request. The id begins with the row's number."""

    id: str
    rule: str
    request: str
    matches: bool


class Decides(NamedTuple):
    """What a policy answers: "rule", "level", "omitStages", "omitManagedFields"."""

    id: str
    policy: dict[str, Any]
    request: str
    answer: dict[str, Any]


def resources(group: str, patterns: list[str] | None = None, names: list[str] | None = None) -> Rule:
    """A rule with one entry of `resources`; None leaves the key out."""
    entry: dict[str, Any] = {"group": group}
    if patterns is not None:
        entry["resources"] = patterns
    if names is not None:
        entry["resourceNames"] = names
    return {"resources": [entry]}


def resource(
    verb: str, what: str, namespace: str = "", name: str = "", group: str = "", version: str = "v1"
) -> Request:
    """Alice asks for "resource" or "resource/subresource"."""
    plural, _, subresource = what.partition("/")
    prefix = f"/apis/{group}/{version}" if group else f"/api/{version}"
    place = f"/namespaces/{namespace}" if namespace and plural != "namespaces" else ""
    named = "" if verb == "list" else name
    return {
        "user": "alice",
        "groups": ["devs", "system:authenticated"],
        "verb": verb,
        "namespace": namespace,
        "apiGroup": group,
        "apiVersion": version,
        "resource": plural,
        "subresource": subresource,
        "name": name,
        "path": "/".join(filter(None, (f"{prefix}{place}/{plural}", named, subresource))),
        "resourceRequest": True,
    }


def path(path: str, verb: str = "get") -> Request:
    """Alice asks for something that is no resource."""
    return {"user": "alice", "groups": ["devs", "system:authenticated"], "verb": verb, "path": path}


def asked_by(user: str | None, *groups: str) -> Request:
    """Somebody lists pods in n; None is nobody at all."""
    request = resource("list", "pods", "n") | {"groups": list(groups)}
    request.pop("user")
    return request if user is None else request | {"user": user}


RULES: Final[dict[str, Rule]] = {
    "anything": {},
    # M2
    "users-alice": {"users": ["alice"]},
    "users-empty-name": {"users": [""]},
    "users-star": {"users": ["*"]},
    "users-service-account-star": {"users": ["system:serviceaccount:*"]},
    "groups-devs-or-ops": {"userGroups": ["devs", "ops"]},
    "groups-empty-name": {"userGroups": [""]},
    "groups-star": {"userGroups": ["*"]},
    "alice-of-ops": {"users": ["alice"], "userGroups": ["ops"]},
    "alice-lists": {"users": ["alice"], "verbs": ["list"]},
    "all-fields": {
        "users": ["alice", "bob"],
        "userGroups": ["devs"],
        "verbs": ["get", "list"],
        "namespaces": ["n", ""],
        "resources": [{"group": "", "resources": ["pods"]}],
    },
    # M3
    "verbs-list-watch": {"verbs": ["list", "watch"]},
    "verbs-star": {"verbs": ["*"]},
    "verbs-upper-case": {"verbs": ["LIST", "List"]},
    "verbs-empty": {"verbs": [""]},
    # M4, M5, M6
    "namespaces-n": {"namespaces": ["n"]},
    "namespaces-empty": {"namespaces": [""]},
    "namespaces-n-or-empty": {"namespaces": ["n", ""]},
    "namespaces-star": {"namespaces": ["*"]},
    "namespaces-n-pods": {"namespaces": ["n"]} | resources("", ["pods"]),
    "urls-any": {"nonResourceURLs": ["*"]},
    # M7
    "core-everything": resources(""),
    "apps-everything": resources("apps"),
    "any-group-everything": resources("*"),
    "any-group-deployments": resources("*", ["deployments"]),
    "core-or-apps": {"resources": [{"group": "batch"}, {"group": ""}, {"group": "apps", "resources": ["deployments"]}]},
    # M8
    "pods": resources("", ["pods"]),
    "pods-log": resources("", ["pods/log"]),
    "pods-star": resources("", ["pods/*"]),
    "star": resources("", ["*"]),
    "star-status": resources("", ["*/status"]),
    "star-star": resources("", ["*/*"]),
    "star-slash": resources("", ["*/"]),
    "slash-star": resources("", ["/*"]),
    "pods-slash": resources("", ["pods/"]),
    "pods-log-star": resources("", ["pods/log/*"]),
    "pod-prefix-star": resources("", ["pod*"]),
    "pods-upper-case": resources("", ["Pods", "PODS"]),
    "empty-resource": resources("", [""]),
    "slash": resources("", ["/"]),
    # M9
    "config-maps-named-x": resources("", ["configmaps"], ["x"]),
    "config-maps-nameless": resources("", ["configmaps"], [""]),
    "config-maps-named-star": resources("", ["configmaps"], ["*"]),
    "pods-log-named-x": resources("", ["pods/log"], ["x"]),
    "named-x-or-secrets": {
        "resources": [
            {"group": "", "resources": ["configmaps"], "resourceNames": ["x"]},
            {"group": "", "resources": ["secrets"]},
        ]
    },
    # M10
    "url-version": {"nonResourceURLs": ["/version"]},
    "url-healthz-star": {"nonResourceURLs": ["/healthz*"]},
    "url-healthz-slash-star": {"nonResourceURLs": ["/healthz/*"]},
    "url-slash": {"nonResourceURLs": ["/"]},
    "url-slash-star": {"nonResourceURLs": ["/*"]},
    "url-logs-or-version": {"nonResourceURLs": ["/logs", "/version"]},
    "url-space": {"nonResourceURLs": ["/a b", "/ż*"]},
}

UNLOADABLE_RULES: Final[dict[str, Rule]] = {
    "everything-named-x": resources("", [], ["x"]),
    "url-healthz-two-stars": {"nonResourceURLs": ["/healthz**"]},
    "url-star-star": {"nonResourceURLs": ["**"]},
    "url-star-inside": {"nonResourceURLs": ["/a*b"]},
    "url-without-slash": {"nonResourceURLs": ["healthz*"]},
    "url-empty": {"nonResourceURLs": [""]},
    "resources-and-urls": resources("", ["pods"]) | {"nonResourceURLs": ["/version"]},
}
"""Rules that every server refuses to load; what they would match is still the evaluator's to say."""

ONLY_SINCE_1_36: Final = ("any-group-everything", "any-group-deployments")
"""Rules with group "*": an older server refuses them."""

REQUESTS: Final[dict[str, Request]] = {
    "alice-lists-pods": resource("list", "pods", "n"),
    "alice-lists-pods-everywhere": resource("list", "pods"),
    "alice-lists-pods-in-n2": resource("list", "pods", "n2"),
    "alice-gets-version": path("/version"),
    "alice-gets-version-upper-case": path("/version", "GET"),
    "alice-lists-pods-without-verb": resource("", "pods", "n"),
    "bob-of-devs": asked_by("bob", "devs"),
    "alice-of-devs": asked_by("alice", "devs"),
    "alice-of-ops-at-last": asked_by("alice", "x", "y", "ops"),
    "alice-without-groups": asked_by("alice"),
    "alice-upper-case": asked_by("Alice"),
    "empty-user": asked_by(""),
    "empty-user-and-group": asked_by("", ""),
    "star-user-and-group": asked_by("*", "*"),
    "nobody": asked_by(None),
    "nobody-with-groups": asked_by(None, "devs", ""),
    "service-account": asked_by("system:serviceaccount:n:s", "system:serviceaccounts"),
    "verb-star": resource("*", "pods", "n"),
    "namespace-star": resource("list", "pods", "*"),
    "non-resource-with-namespace": path("/version") | {"namespace": "n", "resource": "pods"},
    "get-namespace-n": resource("get", "namespaces", "n", "n"),
    "create-namespace": resource("create", "namespaces"),
    "get-node": resource("get", "nodes", "", "node-1"),
    "update-namespace-status": resource("update", "namespaces/status", "n", "n"),
    "get-pod": resource("get", "pods", "n", "p"),
    "get-pod-log": resource("get", "pods/log", "n", "p"),
    "get-pod-x-log": resource("get", "pods/log", "n", "x"),
    "update-pod-status": resource("update", "pods/status", "n", "p"),
    "get-pod-log-tail": resource("get", "pods/log", "n", "p") | {"subresource": "log/x"},
    "subresource-star": resource("get", "pods/*", "n", "p"),
    "resource-star": resource("get", "*", "n", "p"),
    "resource-star-subresource-star": resource("get", "*/*", "n", "p"),
    "resource-empty": resource("list", "", "n", "pods"),
    "resource-empty-status": resource("get", "/status", "n", "pods"),
    "list-pod-prefixes": resource("list", "podtemplates", "n"),
    "get-deployment": resource("get", "deployments", "n", "d", "apps"),
    "get-deployment-v1beta1": resource("get", "deployments", "n", "d", "apps", "v1beta1"),
    "update-deployment-scale": resource("update", "deployments/scale", "n", "d", "apps"),
    "get-extensions-deployment": resource("get", "deployments", "n", "d", "extensions"),
    "get-job": resource("get", "jobs", "n", "j", "batch"),
    "get-config-map-x": resource("get", "configmaps", "n", "x"),
    "get-config-map-y": resource("get", "configmaps", "n", "y"),
    "get-config-map-star": resource("get", "configmaps", "n", "*"),
    "list-config-maps": resource("list", "configmaps", "n"),
    "list-config-maps-with-name-selector-x": resource("list", "configmaps", "n", "x"),
    "create-config-map": resource("create", "configmaps", "n"),
    "deletecollection-config-maps": resource("deletecollection", "configmaps", "n"),
    "get-secret-y": resource("get", "secrets", "n", "y"),
    "healthz": path("/healthz"),
    "healthzfoo": path("/healthzfoo"),
    "healthz-etcd": path("/healthz/etcd"),
    "healthz-slash": path("/healthz/"),
    "healthz-upper-case": path("/Healthz"),
    "healthz-literal-star": path("/healthz*"),
    "livez-healthz": path("/livez/healthz"),
    "root": path("/"),
    "no-path": path(""),
    "path-with-space": path("/a b"),
    "path-with-percent": path("/a%20b"),
    "path-beyond-ascii": path("/żółw"),
    "path-a-star-b": path("/a*b"),
    "path-axb": path("/axb"),
    "options-asterisk": path("*", "options"),
}

MATCHES: Final = (
    Matches("M1-rule-without-fields-matches-a-resource", "anything", "alice-lists-pods", True),
    Matches("M1-rule-without-fields-matches-a-path", "anything", "alice-gets-version", True),
    Matches("M1-rule-without-fields-matches-nobody", "anything", "nobody", True),
    # M2: users and groups
    Matches("M2-user-is-in-the-list", "users-alice", "alice-lists-pods", True),
    Matches("M2-user-sees-paths-too", "users-alice", "alice-gets-version", True),
    Matches("M2-other-user-is-not", "users-alice", "bob-of-devs", False),
    Matches("M2-letter-case-of-users-counts", "users-alice", "alice-upper-case", False),
    Matches("M2-nobody-is-no-user", "users-alice", "nobody", False),
    Matches("M2-nobody-is-not-the-empty-user", "users-empty-name", "nobody", False),
    Matches("M2-empty-user-is-a-user", "users-empty-name", "empty-user", True),
    Matches("M2-empty-user-is-not-any-user", "users-alice", "empty-user", False),
    Matches("M2-star-is-no-wildcard-for-users", "users-star", "alice-lists-pods", False),
    Matches("M2-star-user-is-a-literal", "users-star", "star-user-and-group", True),
    Matches("M2-trailing-star-is-no-wildcard-for-users", "users-service-account-star", "service-account", False),
    Matches("M2-one-group-in-common-is-enough", "groups-devs-or-ops", "alice-lists-pods", True),
    Matches("M2-last-group-counts", "groups-devs-or-ops", "alice-of-ops-at-last", True),
    Matches("M2-no-groups-match-no-list", "groups-devs-or-ops", "alice-without-groups", False),
    Matches("M2-groups-without-user-are-not-looked-at", "groups-devs-or-ops", "nobody-with-groups", False),
    Matches("M2-empty-group-needs-a-user", "groups-empty-name", "nobody-with-groups", False),
    Matches("M2-empty-group-is-a-group", "groups-empty-name", "empty-user-and-group", True),
    Matches("M2-no-groups-are-not-the-empty-group", "groups-empty-name", "empty-user", False),
    Matches("M2-star-is-no-wildcard-for-groups", "groups-star", "alice-lists-pods", False),
    Matches("M2-star-group-is-a-literal", "groups-star", "star-user-and-group", True),
    Matches("M2-user-and-group-must-both-match", "alice-of-ops", "alice-of-ops-at-last", True),
    Matches("M2-user-without-the-group-does-not", "alice-of-ops", "alice-of-devs", False),
    Matches("M2-user-and-verb-must-both-match", "alice-lists", "alice-gets-version", False),
    Matches("M2-all-fields-match", "all-fields", "alice-lists-pods", True),
    Matches("M2-all-fields-match-in-all-namespaces", "all-fields", "alice-lists-pods-everywhere", True),
    Matches("M2-one-field-of-all-does-not", "all-fields", "alice-lists-pods-in-n2", False),
    # M3: verbs
    Matches("M3-verb-is-in-the-list", "verbs-list-watch", "alice-lists-pods", True),
    Matches("M3-other-verb-is-not", "verbs-list-watch", "get-pod", False),
    Matches("M3-star-is-no-wildcard-for-verbs", "verbs-star", "alice-lists-pods", False),
    Matches("M3-star-verb-is-a-literal", "verbs-star", "verb-star", True),
    Matches("M3-letter-case-of-verbs-counts", "verbs-upper-case", "alice-lists-pods", False),
    Matches("M3-empty-verb-is-a-verb", "verbs-empty", "alice-lists-pods-without-verb", True),
    Matches("M3-empty-verb-is-not-any-verb", "verbs-empty", "alice-lists-pods", False),
    Matches("M3-verbs-are-compared-on-paths-too", "verbs-upper-case", "alice-gets-version-upper-case", False),
    # M4: which kind of request a rule sees
    Matches("M4-namespaces-never-see-paths", "namespaces-empty", "alice-gets-version", False),
    Matches("M4-namespaces-never-see-paths-with-stray-fields", "namespaces-n", "non-resource-with-namespace", False),
    Matches("M4-resources-never-see-paths", "star", "alice-gets-version", False),
    Matches("M4-group-never-sees-paths", "core-everything", "non-resource-with-namespace", False),
    Matches("M4-urls-never-see-resources", "urls-any", "alice-lists-pods", False),
    Matches("M4-urls-see-paths", "urls-any", "alice-gets-version", True),
    Matches("M4-rule-about-users-sees-resources", "users-alice", "get-node", True),
    Matches("M4-rule-about-verbs-sees-paths", "verbs-star", "alice-gets-version", False),
    # M5: namespaces
    Matches("M5-namespace-is-in-the-list", "namespaces-n", "alice-lists-pods", True),
    Matches("M5-other-namespace-is-not", "namespaces-n", "alice-lists-pods-in-n2", False),
    Matches("M5-namespaced-rule-misses-lists-of-all-namespaces", "namespaces-n", "alice-lists-pods-everywhere", False),
    Matches("M5-empty-namespace-is-all-namespaces", "namespaces-empty", "alice-lists-pods-everywhere", True),
    Matches("M5-empty-namespace-is-cluster-scoped", "namespaces-empty", "get-node", True),
    Matches("M5-empty-namespace-is-not-any-namespace", "namespaces-empty", "alice-lists-pods", False),
    Matches("M5-both-namespaces-match", "namespaces-n-or-empty", "alice-lists-pods-everywhere", True),
    Matches("M5-star-is-no-wildcard-for-namespaces", "namespaces-star", "alice-lists-pods", False),
    Matches("M5-star-is-not-all-namespaces", "namespaces-star", "alice-lists-pods-everywhere", False),
    Matches("M5-star-namespace-is-a-literal", "namespaces-star", "namespace-star", True),
    Matches("M5-namespace-and-resource-must-both-match", "namespaces-n-pods", "get-pod", True),
    Matches("M5-namespace-without-the-resource-does-not", "namespaces-n-pods", "get-config-map-x", False),
    Matches("M5-resource-without-the-namespace-does-not", "namespaces-n-pods", "alice-lists-pods-in-n2", False),
    # M6: the namespace of a namespace is itself
    Matches("M6-namespace-object-is-in-its-own-namespace", "namespaces-n", "get-namespace-n", True),
    Matches("M6-namespace-object-is-not-cluster-scoped", "namespaces-empty", "get-namespace-n", False),
    Matches("M6-its-status-is-there-too", "namespaces-n", "update-namespace-status", True),
    Matches("M6-creating-one-is-cluster-scoped", "namespaces-empty", "create-namespace", True),
    # M7: groups
    Matches("M7-empty-group-is-core", "core-everything", "get-pod", True),
    Matches("M7-empty-group-is-not-any-group", "core-everything", "get-deployment", False),
    Matches("M7-group-without-resources-is-all-of-it", "apps-everything", "get-deployment", True),
    Matches("M7-group-without-resources-has-its-subresources", "apps-everything", "update-deployment-scale", True),
    Matches("M7-version-is-not-looked-at", "apps-everything", "get-deployment-v1beta1", True),
    Matches("M7-other-group-is-not", "apps-everything", "get-extensions-deployment", False),
    Matches("M7-group-star-is-every-group", "any-group-everything", "get-extensions-deployment", True),
    Matches("M7-group-star-is-core-too", "any-group-everything", "get-pod", True),
    Matches("M7-group-star-never-sees-paths", "any-group-everything", "alice-gets-version", False),
    Matches("M7-group-star-still-needs-the-resource", "any-group-deployments", "get-job", False),
    Matches("M7-group-star-with-the-resource", "any-group-deployments", "get-extensions-deployment", True),
    Matches("M7-any-entry-is-enough", "core-or-apps", "get-deployment", True),
    Matches("M7-entries-do-not-mix", "core-or-apps", "update-deployment-scale", False),
    # M8: resources
    Matches("M8-resource-is-exact", "pods", "get-pod", True),
    Matches("M8-pods-is-not-pods-log", "pods", "get-pod-log", False),
    Matches("M8-pods-is-not-a-prefix", "pods", "list-pod-prefixes", False),
    Matches("M8-pods-log-is-exact", "pods-log", "get-pod-log", True),
    Matches("M8-pods-log-is-not-pods", "pods-log", "get-pod", False),
    Matches("M8-pods-log-is-not-pods-status", "pods-log", "update-pod-status", False),
    Matches("M8-pods-star-matches-pods-log", "pods-star", "get-pod-log", True),
    Matches("M8-pods-star-matches-plain-pods", "pods-star", "get-pod", True),
    Matches("M8-pods-star-is-not-a-prefix", "pods-star", "list-pod-prefixes", False),
    Matches("M8-star-matches-a-resource", "star", "get-pod", True),
    Matches("M8-star-matches-a-subresource", "star", "get-pod-log", True),
    Matches("M8-star-stays-in-its-group", "star", "get-deployment", False),
    Matches("M8-star-matches-an-empty-resource", "star", "resource-empty", True),
    Matches("M8-star-status-matches-any-status", "star-status", "update-pod-status", True),
    Matches("M8-star-status-matches-a-namespace-status", "star-status", "update-namespace-status", True),
    Matches("M8-star-status-is-no-other-subresource", "star-status", "get-pod-log", False),
    Matches("M8-star-status-is-no-plain-resource", "star-status", "get-pod", False),
    Matches("M8-star-status-of-an-empty-resource", "star-status", "resource-empty-status", True),
    Matches("M8-star-star-matches-no-resource", "star-star", "get-pod", False),
    Matches("M8-star-star-matches-no-subresource", "star-star", "get-pod-log", False),
    Matches("M8-star-star-is-a-literal-subresource", "star-star", "subresource-star", True),
    Matches("M8-star-star-is-a-literal-resource", "star-star", "resource-star", True),
    Matches("M8-star-star-is-the-literal-pair", "star-star", "resource-star-subresource-star", True),
    Matches("M8-star-slash-needs-a-subresource", "star-slash", "get-pod", False),
    Matches("M8-slash-star-is-the-empty-resource", "slash-star", "resource-empty", True),
    Matches("M8-slash-star-is-no-other-resource", "slash-star", "get-pod-log", False),
    Matches("M8-pods-slash-is-not-pods", "pods-slash", "get-pod", False),
    Matches("M8-pods-slash-is-not-pods-log", "pods-slash", "get-pod-log", False),
    Matches("M8-pods-log-star-compares-the-stem-with-the-resource", "pods-log-star", "get-pod-log", False),
    Matches("M8-subresource-keeps-its-slashes", "pods-log", "get-pod-log-tail", False),
    Matches("M8-star-inside-a-word-is-a-literal", "pod-prefix-star", "get-pod", False),
    Matches("M8-letter-case-of-resources-counts", "pods-upper-case", "get-pod", False),
    Matches("M8-empty-resource-is-a-literal", "empty-resource", "resource-empty", True),
    Matches("M8-empty-resource-is-not-any-resource", "empty-resource", "get-pod", False),
    Matches("M8-slash-is-not-the-empty-resource", "slash", "resource-empty", False),
    # M9: names
    Matches("M9-name-is-in-the-list", "config-maps-named-x", "get-config-map-x", True),
    Matches("M9-other-name-is-not", "config-maps-named-x", "get-config-map-y", False),
    Matches("M9-name-of-another-resource-is-not", "config-maps-named-x", "get-secret-y", False),
    Matches(
        "M9-list-with-a-selector-has-the-name", "config-maps-named-x", "list-config-maps-with-name-selector-x", True
    ),
    Matches("M9-list-has-no-name", "config-maps-named-x", "list-config-maps", False),
    Matches("M9-create-has-no-name", "config-maps-named-x", "create-config-map", False),
    Matches("M9-deletecollection-has-no-name", "config-maps-named-x", "deletecollection-config-maps", False),
    Matches("M9-empty-name-is-a-nameless-request", "config-maps-nameless", "create-config-map", True),
    Matches("M9-empty-name-is-not-any-name", "config-maps-nameless", "get-config-map-x", False),
    Matches("M9-star-is-no-wildcard-for-names", "config-maps-named-star", "get-config-map-x", False),
    Matches("M9-star-name-is-a-literal", "config-maps-named-star", "get-config-map-star", True),
    Matches("M9-subresource-has-the-name-of-its-parent", "pods-log-named-x", "get-pod-x-log", True),
    Matches("M9-subresource-of-another-parent-is-not", "pods-log-named-x", "get-pod-log", False),
    Matches("M9-names-are-those-of-their-entry", "named-x-or-secrets", "get-secret-y", True),
    Matches("M9-names-of-another-entry-do-not-count", "named-x-or-secrets", "get-config-map-y", False),
    # M10: paths
    Matches("M10-star-is-any-path", "urls-any", "healthz-etcd", True),
    Matches("M10-star-is-no-path-at-all-too", "urls-any", "no-path", True),
    Matches("M10-path-is-exact", "url-version", "alice-gets-version", True),
    Matches("M10-other-path-is-not", "url-version", "healthz", False),
    Matches("M10-prefix-matches-itself", "url-healthz-star", "healthz", True),
    Matches("M10-prefix-matches-below", "url-healthz-star", "healthz-etcd", True),
    Matches("M10-healthz-star-matches-healthzfoo", "url-healthz-star", "healthzfoo", True),
    Matches("M10-prefix-is-at-the-start", "url-healthz-star", "livez-healthz", False),
    Matches("M10-letter-case-of-paths-counts", "url-healthz-star", "healthz-upper-case", False),
    Matches("M10-healthz-slash-star-is-not-healthz", "url-healthz-slash-star", "healthz", False),
    Matches("M10-healthz-slash-star-is-not-healthzfoo", "url-healthz-slash-star", "healthzfoo", False),
    Matches("M10-healthz-slash-star-matches-healthz-slash", "url-healthz-slash-star", "healthz-slash", True),
    Matches("M10-slash-is-the-root-alone", "url-slash", "root", True),
    Matches("M10-slash-is-no-other-path", "url-slash", "healthz", False),
    Matches("M10-slash-is-not-the-empty-path", "url-slash", "no-path", False),
    Matches("M10-slash-star-is-every-path-with-a-slash", "url-slash-star", "healthz", True),
    Matches("M10-slash-star-is-the-root-too", "url-slash-star", "root", True),
    Matches("M10-slash-star-is-not-the-empty-path", "url-slash-star", "no-path", False),
    Matches("M10-slash-star-is-not-options-asterisk", "url-slash-star", "options-asterisk", False),
    Matches("M10-star-is-options-asterisk", "urls-any", "options-asterisk", True),
    Matches("M10-any-entry-is-enough", "url-logs-or-version", "alice-gets-version", True),
    Matches("M10-path-is-compared-decoded", "url-space", "path-with-space", True),
    Matches("M10-path-is-not-decoded-twice", "url-space", "path-with-percent", False),
    Matches("M10-paths-are-not-only-ascii", "url-space", "path-beyond-ascii", True),
    Matches("M10-literal-star-in-a-path-is-a-character", "url-healthz-star", "healthz-literal-star", True),
)

UNLOADABLE_MATCHES: Final = (
    Matches("M7-names-without-resources-are-not-looked-at", "everything-named-x", "get-config-map-y", True),
    Matches("M7-nor-for-subresources", "everything-named-x", "get-pod-log", True),
    Matches("M7-nor-in-another-group", "everything-named-x", "get-deployment", False),
    Matches("M10-all-trailing-stars-are-trimmed", "url-healthz-two-stars", "healthzfoo", True),
    Matches("M10-trailing-stars-are-trimmed-for-the-prefix-itself", "url-healthz-two-stars", "healthz", True),
    Matches("M10-two-stars-are-any-path", "url-star-star", "healthz", True),
    Matches("M10-two-stars-are-no-path-at-all-too", "url-star-star", "no-path", True),
    Matches("M10-star-inside-is-a-literal", "url-star-inside", "path-a-star-b", True),
    Matches("M10-star-inside-is-no-wildcard", "url-star-inside", "path-axb", False),
    Matches("M10-prefix-without-slash-is-compared-as-it-stands", "url-without-slash", "healthz", False),
    Matches("M10-empty-spec-is-the-empty-path", "url-empty", "no-path", True),
    Matches("M10-empty-spec-is-no-other-path", "url-empty", "root", False),
    Matches("M4-resources-win-over-urls", "resources-and-urls", "get-pod", True),
    Matches("M4-urls-beside-resources-are-not-looked-at", "resources-and-urls", "alice-gets-version", False),
)


def policy(*rules: Rule, **fields: Any) -> dict[str, Any]:
    """A policy as its file has it; each rule has the level Metadata unless it names one."""
    made = [{"level": "Metadata"} | rule for rule in rules]
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", **fields, "rules": made}


def answer(rule: int | None, level: str, stages: tuple[str, ...] = (), managed: bool = False) -> dict[str, Any]:
    """An answer in the words of `kaudit policy evaluate`."""
    return {"rule": rule, "level": level, "omitStages": list(stages), "omitManagedFields": managed}


RECEIVED, STARTED, COMPLETE, PANIC = "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"
NEVER = {"users": ["nobody-has-this-name"]}
WATCHED = {"level": "Request", "omitStages": [STARTED]}

DECIDES: Final = (
    Decides(
        "M1-first-matching-rule-wins",
        policy({"level": "None", **RULES["pods"]}, {"level": "Request", **RULES["users-alice"]}, {"level": "Metadata"}),
        "get-pod",
        answer(0, "None"),
    ),
    Decides(
        "M1-order-decides-not-narrowness",
        policy({"level": "Metadata"}, {"level": "RequestResponse", **RULES["all-fields"]}),
        "alice-lists-pods",
        answer(0, "Metadata"),
    ),
    Decides(
        "M1-rules-that-do-not-match-are-passed-over",
        policy(NEVER, RULES["urls-any"], {"level": "RequestResponse", **RULES["pods"]}),
        "get-pod",
        answer(2, "RequestResponse"),
    ),
    Decides("M1-level-none-is-a-decision", policy({"level": "None"}), "get-pod", answer(0, "None")),
    Decides("M1-no-rule-is-level-none", policy(NEVER), "get-pod", answer(None, "None")),
    Decides(
        "M1-no-rule-has-the-stages-of-the-policy",
        policy(NEVER | WATCHED, omitStages=[RECEIVED]),
        "get-pod",
        answer(None, "None", (RECEIVED,)),
    ),
    Decides(
        "M1-no-rule-has-the-managed-fields-of-the-policy",
        policy(NEVER | {"omitManagedFields": False}, omitManagedFields=True),
        "get-pod",
        answer(None, "None", (), True),
    ),
    Decides("M11-no-stages-are-omitted-unless-named", policy({}), "get-pod", answer(0, "Metadata")),
    Decides(
        "M11-stages-of-the-policy-are-those-of-every-rule",
        policy(NEVER, {}, omitStages=[RECEIVED]),
        "get-pod",
        answer(1, "Metadata", (RECEIVED,)),
    ),
    Decides(
        "M11-stages-are-joined",
        policy(WATCHED, omitStages=[RECEIVED]),
        "get-pod",
        answer(0, "Request", (RECEIVED, STARTED)),
    ),
    Decides(
        "M11-stages-count-once",
        policy(WATCHED | {"omitStages": [STARTED, RECEIVED, STARTED]}, omitStages=[RECEIVED, RECEIVED]),
        "get-pod",
        answer(0, "Request", (RECEIVED, STARTED)),
    ),
    Decides(
        "M11-every-stage-can-be-omitted",
        policy({"omitStages": [STARTED, RECEIVED]}, omitStages=[PANIC, COMPLETE]),
        "get-pod",
        answer(0, "Metadata", tuple(sorted((PANIC, COMPLETE, STARTED, RECEIVED)))),
    ),
    Decides(
        "M11-stages-of-another-rule-do-not-count",
        policy(NEVER | {"omitStages": [PANIC]}, WATCHED, {"omitStages": [COMPLETE]}),
        "get-pod",
        answer(1, "Request", (STARTED,)),
    ),
    Decides(
        "M11-rule-without-a-word-takes-the-managed-fields-of-the-policy",
        policy({}, omitManagedFields=True),
        "get-pod",
        answer(0, "Metadata", (), True),
    ),
    Decides(
        "M11-rule-keeps-managed-fields-that-the-policy-omits",
        policy({"omitManagedFields": False}, omitManagedFields=True),
        "get-pod",
        answer(0, "Metadata"),
    ),
    Decides(
        "M11-rule-omits-managed-fields-that-the-policy-keeps",
        policy({"omitManagedFields": True}, omitManagedFields=False),
        "get-pod",
        answer(0, "Metadata", (), True),
    ),
)
