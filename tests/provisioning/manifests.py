"""kube-apiserver manifests and kubeadm configurations in the styles that are found on masters, small and our own."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml

from kaudit_core.provisioning.intent import AuditIntent, Mount

POLICY: Final = Mount("kaudit-config", "/etc/kubernetes/audit", "/etc/kubernetes/audit", type="Directory")
LOG: Final = Mount("kaudit-log", "/var/log/kubernetes/audit", "/var/log/kubernetes/audit", read_only=False)
FLAGS: Final[dict[str, str | None]] = {
    "audit-policy-file": "/etc/kubernetes/audit/policy.yaml",
    "audit-log-path": "/var/log/kubernetes/audit/audit.log",
    "audit-log-maxage": "30",
    "audit-log-maxbackup": "10",
    "audit-log-maxsize": "100",
}
HASH: Final = "0123456789abcdef" * 4
INTENT: Final = AuditIntent(FLAGS, (POLICY, LOG), {"kaudit.io/policy-sha256": HASH})
NAMED: Final = AuditIntent(
    env={"aliyun_logs_audit-c1": "/var/log/kubernetes/audit/audit.log", "aliyun_logs_audit-c1_jsonfile": "true"},
    host_aliases={"10.96.0.7": ("audit.example.com", "audit"), "fd00::7": ("audit6.example.com",)},
    dns_policy="ClusterFirstWithHostNet",
)
"""Everything of an intent that is neither flag nor mount nor annotation."""

_KUBEADM = """\
apiVersion: v1
kind: Pod
metadata:
{creation}  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.11:6443
{creation}  labels:
    component: kube-apiserver
    tier: control-plane
  name: kube-apiserver
  namespace: kube-system
spec:
  containers:
  - command:
    - kube-apiserver
    - --advertise-address=192.0.2.11
    - --allow-privileged=true
    - --authorization-mode=Node,RBAC
    - --etcd-servers=https://127.0.0.1:2379
    - --secure-port=6443
    - --service-account-issuer=https://kubernetes.default.svc.cluster.local
    - --tls-private-key-file=/etc/kubernetes/pki/apiserver.key
    image: {image}:v{version}
    imagePullPolicy: IfNotPresent
    livenessProbe:
      failureThreshold: 8
      httpGet:
        host: 192.0.2.11
        path: /livez
        port: {port}
        scheme: HTTPS
      initialDelaySeconds: 10
      timeoutSeconds: 15
    name: kube-apiserver
    resources:
      requests:
        cpu: 250m
    volumeMounts:
    - mountPath: /etc/ssl/certs
      name: ca-certs
      readOnly: true
    - mountPath: /etc/kubernetes/pki
      name: k8s-certs
      readOnly: true
  hostNetwork: true
  {priority}
  securityContext:
    seccompProfile:
      type: RuntimeDefault
  volumes:
  - hostPath:
      path: /etc/ssl/certs
      type: DirectoryOrCreate
    name: ca-certs
  - hostPath:
      path: /etc/kubernetes/pki
      type: DirectoryOrCreate
    name: k8s-certs
status: {{}}
"""


def kubeadm(minor: int) -> str:
    """What kubeadm of a minor version writes: fields that came and went with it."""
    return _KUBEADM.format(
        version=f"1.{minor}.3",
        image="k8s.gcr.io/kube-apiserver" if minor < 25 else "registry.k8s.io/kube-apiserver",
        creation="" if minor >= 34 else "  creationTimestamp: null\n" if minor < 24 else "",
        port="probe-port" if minor >= 32 else "6443",
        priority="priorityClassName: system-node-critical",
    ).replace("  creationTimestamp: null\n  labels:", "  labels:")


KIND = kubeadm(33).replace("    - --secure-port=6443\n", "    - --secure-port=6443\n    - --runtime-config=\n")
MINIKUBE = (
    kubeadm(30)
    .replace("/etc/kubernetes/pki", "/var/lib/minikube/certs")
    .replace("v1.30.3", "v1.30.0")
    .replace("192.0.2.11:6443", "192.0.2.49:8443")
)
KUBESPRAY = kubeadm(31).replace("    - --secure-port=6443\n", '    - "--secure-port=6443"\n    - --profiling=False\n')
KOPS = """\
apiVersion: v1
kind: Pod
metadata:
  annotations:
    dns.alpha.kubernetes.io/internal: api.internal.example.com
    kubectl.kubernetes.io/default-container: kube-apiserver
  creationTimestamp: null
  labels:
    k8s-app: kube-apiserver
  name: kube-apiserver
  namespace: kube-system
spec:
  containers:
  - args:
    - --log-file=/var/log/kube-apiserver.log
    - --also-stdout
    - /usr/local/bin/kube-apiserver
    - --allow-privileged=true
    - --v=2
    command:
    - /go-runner
    image: registry.k8s.io/kube-apiserver:v1.28.15@sha256:abcdef
    name: kube-apiserver
    volumeMounts:
    - mountPath: /var/log/kube-apiserver.log
      name: logfile
  - args:
    - --ca-cert=/secrets/ca.crt
    command:
    - /kube-apiserver-healthcheck
    image: registry.k8s.io/kops/kube-apiserver-healthcheck:1.28.7
    name: healthcheck
    volumeMounts:
    - mountPath: /secrets
      name: healthcheck-secrets
  hostNetwork: true
  volumes:
  - hostPath:
      path: /var/log/kube-apiserver.log
    name: logfile
  - hostPath:
      path: /etc/kubernetes/kube-apiserver-healthcheck/secrets
      type: Directory
    name: healthcheck-secrets
status: {}
"""
# RKE2 writes JSON-like args lists into its static pods; its own manifests are made by the supervisor.
RKE2 = """\
apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system, annotations: {etcd.k3s.io/initial: '{}'}}
spec:
  containers:
  - name: kube-apiserver
    image: index.docker.io/rancher/hardened-kubernetes:v1.32.5-rke2r1-build20250515
    command: [kube-apiserver]
    args: ['--allow-privileged=true', '--tls-min-version=VersionTLS12', '--secure-port=6443']
    volumeMounts:
    - {mountPath: /etc/ssl/certs, name: dir0}
  hostNetwork: true
  volumes:
  - {name: dir0, hostPath: {path: /etc/ssl/certs, type: DirectoryOrCreate}}
"""
INDENTED = """\
# Managed by hand since 2019; ask the platform team.
---
apiVersion: "v1"
kind: "Pod"   # static
metadata:
    name: "kube-apiserver"
    namespace: kube-system
spec:
    hostNetwork: true
    containers:
        - name: "kube-apiserver"
          image: "registry.example.com:5000/kube-apiserver:v1.29.1"
          command:
              - "/usr/local/bin/kube-apiserver"   # the binary

              # who may do what
              - "--authorization-mode"
              - "Node,RBAC"
              - '--advertise-address=192.0.2.11'
              # - "--audit-log-path=/tmp/old"
          # nothing is mounted
...
"""
BARE = """\
kind: Pod
apiVersion: v1
spec:
  containers:
  - name: kube-apiserver
    args:
    - --secure-port=6443
metadata:
  name: kube-apiserver"""
EMPTY_LISTS = """\
apiVersion: v1
kind: Pod
metadata:
  annotations: {}   # none yet
  name: kube-apiserver
spec:
  volumes: []
  containers:
  - volumeMounts:
    command:
    - kube-apiserver
    args: []
    name: kube-apiserver
"""
NULLS = """\
apiVersion: v1
kind: Pod
metadata:
  annotations:   # TODO
  name: kube-apiserver
spec:
  containers:
    - name: kube-apiserver
      command: ["kube-apiserver",
        "--v=2",   # noisy
      ]
      volumeMounts: ~
      env: []
  volumes: # []
"""
FLOW = """\
{apiVersion: v1, kind: Pod, metadata: {name: kube-apiserver},
 spec: {containers: [{name: kube-apiserver, command: [kube-apiserver, --v=2]}], hostNetwork: true}}
"""
ANCHORS = """\
apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver
  labels: &labels {tier: control-plane}
spec:
  containers:
  - name: kube-apiserver
    command:
    - kube-apiserver
    livenessProbe: &probe
      httpGet: {port: 6443, path: /livez}
    readinessProbe: *probe
  nodeSelector: *labels
"""
FOLDED = """\
apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver
  annotations:
    note: |
      two
      lines

spec:
  containers:
  - name: kube-apiserver
    command:
    - kube-apiserver
    - >-
      --authorization-mode=Node,RBAC

    env:
    - name: NOTE
      value: |-
        # not a comment
        - --audit-log-path=/no
"""
_POD: dict[str, Any] = yaml.safe_load(BARE)
JSON_COMPACT = json.dumps(_POD, separators=(",", ":"))
JSON_PRETTY = json.dumps({**_POD, "spec": {**_POD["spec"], "volumes": []}}, indent=4) + "\n"
JSON_TABS = json.dumps(yaml.safe_load(KOPS), indent="\t")

MANIFESTS: Final[dict[str, str]] = {
    **{f"kubeadm-1.{minor}": kubeadm(minor) for minor in (22, 24, 27, 31, 33, 36)},
    "kind": KIND,
    "minikube": MINIKUBE,
    "kubespray": KUBESPRAY,
    "kops": KOPS,
    "rke2": RKE2,
    "indented": INDENTED,
    "bare": BARE,
    "empty-lists": EMPTY_LISTS,
    "nulls": NULLS,
    "flow": FLOW,
    "anchors-elsewhere": ANCHORS,
    "folded": FOLDED,
    "crlf": kubeadm(35).replace("\n", "\r\n"),
    "no-final-newline": kubeadm(35).removesuffix("status: {}\n").rstrip("\n"),
    "json-compact": JSON_COMPACT,
    "json-pretty": JSON_PRETTY,
    "json-tabs": JSON_TABS,
}

V1BETA3 = """\
apiServer:
  extraArgs:
    authorization-mode: Node,RBAC
  timeoutForControlPlane: 4m0s
apiVersion: kubeadm.k8s.io/v1beta3
certificatesDir: /etc/kubernetes/pki
clusterName: kubernetes
controllerManager: {}
dns: {}
etcd:
  local:
    dataDir: /var/lib/etcd
imageRepository: registry.k8s.io
kind: ClusterConfiguration
kubernetesVersion: v1.28.3
networking:
  dnsDomain: cluster.local
  serviceSubnet: 10.96.0.0/12
scheduler: {}
"""
V1BETA4 = """\
apiServer: {}
apiVersion: kubeadm.k8s.io/v1beta4
caCertificateValidityPeriod: 87600h0m0s
kind: ClusterConfiguration
kubernetesVersion: v1.35.4
networking:
  dnsDomain: cluster.local
proxy: {}
"""
V1BETA4_ARGS = V1BETA4.replace(
    "apiServer: {}\n",
    """\
apiServer:
  certSANs:
  - api.example.com
  extraArgs:
  - name: authorization-mode
    value: Node,RBAC
  - name: runtime-config
    value: ""
  extraVolumes:
  - hostPath: /etc/pki
    mountPath: /etc/pki
    name: pki
    readOnly: true
""",
)
CONFIGURATIONS: Final[dict[str, str]] = {
    "v1beta2": V1BETA3.replace("v1beta3", "v1beta2"),
    "v1beta3": V1BETA3,
    "v1beta3-only-timeout": V1BETA3.replace("  extraArgs:\n    authorization-mode: Node,RBAC\n", ""),
    "v1beta4": V1BETA4,
    "v1beta4-args": V1BETA4_ARGS,
    "v1beta4-null": V1BETA4.replace("apiServer: {}", "apiServer:"),
    "v1beta4-no-api-server": V1BETA4.replace("apiServer: {}\n", ""),
    "v1beta4-crlf": V1BETA4_ARGS.replace("\n", "\r\n"),
    "v1beta4-empty": V1BETA4.replace("apiServer: {}", "apiServer:\n    extraArgs: []\n    extraVolumes: null"),
    "v1beta4-json": json.dumps(yaml.safe_load(V1BETA4_ARGS), indent=2),
    "v1beta4-json-empty": json.dumps(yaml.safe_load(V1BETA4)),
}
