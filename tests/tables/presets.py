"""What each preset promises: one request a row, one level a preset.

N is None, M Metadata, Q Request, R RequestResponse. tests/policy/test_presets.py puts every row to our evaluator,
tests/oracle/test_presets.py to upstream's.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

ALICE: Final = ("alice", "devs", "system:authenticated")
NODE: Final = ("system:node:n1", "system:nodes", "system:authenticated")
SCHEDULER: Final = ("system:kube-scheduler", "system:authenticated")
CONTROLLERS: Final = ("system:kube-controller-manager", "system:authenticated")
PROXY: Final = ("system:kube-proxy", "system:node-proxier", "system:authenticated")
SERVER: Final = ("system:apiserver", "system:authenticated", "system:masters")
ROBOT: Final = (
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccounts",
    "system:serviceaccounts:kube-system",
    "system:authenticated",
)
ANYONE: Final = ("system:anonymous", "system:unauthenticated")
NOBODY: Final = (None,)
"""Authentication failed: the server judges a request without any user."""

COLUMNS: Final = ("secure", "metadata", "write-bodies", "all-bodies", "openshift-default", "gce", "ack")
LEVEL: Final = {"N": "None", "M": "Metadata", "Q": "Request", "R": "RequestResponse"}

NS: Final = "/api/v1/namespaces/shop"
SYSTEM: Final = "/api/v1/namespaces/kube-system"
APPS: Final = "/apis/apps/v1/namespaces/shop"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces"
OAUTH: Final = "/apis/oauth.openshift.io/v1"


class Promise(NamedTuple):
    """A request, and a letter for each of COLUMNS."""

    id: str
    who: tuple[Any, ...]
    method: str
    uri: str
    letters: str


PROMISES: Final = (
    #                                                                                    sec met wri all ope gce ack
    Promise("secret-read", ALICE, "GET", f"{NS}/secrets/s", "M M M M M M M"),
    Promise("secrets-of-all", ALICE, "GET", "/api/v1/secrets", "M M M M M M M"),
    Promise("secret-written", ALICE, "PUT", f"{NS}/secrets/s", "M M M M M M M"),
    Promise("secrets-swept", ROBOT, "DELETE", f"{NS}/secrets", "M M M M M M M"),
    Promise("configmap-written", ALICE, "POST", f"{NS}/configmaps", "M M R R M M M"),
    Promise("token-made", ALICE, "POST", f"{NS}/serviceaccounts/a/token", "M M M M M M R"),
    Promise("token-made-by-node", NODE, "POST", f"{NS}/serviceaccounts/a/token", "M M M M M M R"),
    Promise("token-reviewed", ALICE, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", "M M M M M M M"),
    Promise("oauth-token-made", ALICE, "POST", f"{OAUTH}/oauthaccesstokens", "M M M M R M M"),
    Promise("oauth-token-read", ALICE, "GET", f"{OAUTH}/oauthaccesstokens/t", "M M M M M M M"),
    Promise("oauth-client-written", ALICE, "PUT", f"{OAUTH}/oauthclients/c", "M M M M M M M"),
    Promise("identity-made", ALICE, "POST", "/apis/user.openshift.io/v1/identities", "M M R R R M M"),
    Promise("route-made", ALICE, "POST", "/apis/route.openshift.io/v1/namespaces/shop/routes", "M M M M M M M"),
    Promise("role-bound", ALICE, "POST", f"{RBAC}/clusterrolebindings", "R M R R M R R"),
    Promise("role-unbound", ALICE, "DELETE", f"{RBAC}/clusterrolebindings/b", "R M R R M R R"),
    Promise("roles-listed", ALICE, "GET", f"{RBAC}/clusterroles", "M M M R M Q Q"),
    Promise(
        "webhook-changed",
        ALICE,
        "PATCH",
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/w",
        "R M R R M R R",
    ),
    Promise(
        "certificate-approved",
        ALICE,
        "PUT",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests/c/approval",
        "R M R R M R R",
    ),
    Promise("namespace-labelled", ALICE, "PATCH", NS, "R M R R M R R"),
    Promise("account-made", ALICE, "POST", f"{NS}/serviceaccounts", "R M R R M R R"),
    Promise("pod-made", ALICE, "POST", f"{NS}/pods", "Q M R R M R R"),
    Promise("debug-container-put-in", ALICE, "PATCH", f"{NS}/pods/p/ephemeralcontainers", "Q M R R M R R"),
    Promise("pod-deleted", ALICE, "DELETE", f"{NS}/pods/p", "M M R R M R R"),
    Promise("pods-listed", ALICE, "GET", f"{NS}/pods", "M M M R M Q Q"),
    Promise("pods-watched", ALICE, "GET", f"{NS}/pods?watch=1", "M M M R M Q Q"),
    Promise("shell-by-get", ALICE, "GET", f"{NS}/pods/p/exec?command=sh", "R M M R M Q Q"),
    Promise("shell-by-post", ALICE, "POST", f"{NS}/pods/p/exec?command=sh", "R M R R M R R"),
    Promise("node-entered", ALICE, "GET", "/api/v1/nodes/n/proxy/run", "R M M R M Q Q"),
    Promise("deployment-changed", ALICE, "PATCH", f"{APPS}/deployments/d", "Q M R R M R R"),
    Promise("deployment-status", ROBOT, "PUT", f"{APPS}/deployments/d/status", "M M R R M R R"),
    Promise("custom-resource-made", ALICE, "POST", "/apis/example.org/v1/namespaces/shop/things", "M M R R M M M"),
    Promise(
        "rights-asked-for", ALICE, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "Q M R R M R R"
    ),
    Promise("pod-status", NODE, "PATCH", f"{NS}/pods/p/status", "M M R R M Q R"),
    Promise("node-looked-up", NODE, "GET", "/api/v1/nodes/n1", "M M M R M N N"),
    Promise("heartbeat", NODE, "PUT", f"{LEASES}/kube-node-lease/leases/n1", "N M R R M M M"),
    Promise("heartbeat-forged", ALICE, "PUT", f"{LEASES}/kube-node-lease/leases/n1", "M M R R M M M"),
    Promise("lease-deleted-by-node", NODE, "DELETE", f"{LEASES}/kube-node-lease/leases/n1", "M M R R M M M"),
    Promise("leader", SCHEDULER, "PUT", f"{LEASES}/kube-system/leases/kube-scheduler", "N M R R M M M"),
    Promise("leader-forged", ALICE, "PUT", f"{LEASES}/kube-system/leases/kube-scheduler", "M M R R M M M"),
    Promise("leader-by-endpoints", SCHEDULER, "PUT", f"{SYSTEM}/endpoints/kube-scheduler", "M M R R M N N"),
    Promise("endpoints-watched", PROXY, "GET", "/api/v1/endpoints?watch=true", "M M M R M N N"),
    Promise("namespace-looked-up", SERVER, "GET", NS, "M M M R M N N"),
    Promise("metrics-read", CONTROLLERS, "GET", "/apis/metrics.k8s.io/v1beta1/pods", "M M M R M N M"),
    Promise("event-written", NODE, "POST", f"{NS}/events", "N M N N N N N"),
    Promise("event-written-by-alice", ALICE, "POST", f"{NS}/events", "M M N N N N N"),
    Promise("events-deleted", ALICE, "DELETE", f"{NS}/events", "M M N N N N N"),
    Promise("events-swept", ROBOT, "DELETE", f"{NS}/events", "M M N N N N N"),
    Promise("health-asked", ANYONE, "GET", "/readyz", "N M N N N M M"),
    Promise("health-asked-of-old", ANYONE, "GET", "/healthz", "N M N N N N N"),
    Promise("health-asked-in-part", ANYONE, "GET", "/livez/etcd", "N M M R M M M"),
    Promise("health-asked-with-token", ALICE, "GET", "/healthz", "M M N N N N N"),
    Promise("health-asked-with-bad-token", NOBODY, "GET", "/healthz", "M M M R M N N"),
    Promise("discovery", ALICE, "GET", "/apis", "M M N N N M M"),
    Promise("discovery-by-anyone", ANYONE, "GET", "/api", "M M N N N M M"),
    Promise("version", ALICE, "GET", "/version", "M M N N N N N"),
    Promise("metrics", ALICE, "GET", "/metrics", "M M M R M M M"),
    Promise("bad-token", NOBODY, "GET", f"{NS}/pods", "M M M R M Q Q"),
)
