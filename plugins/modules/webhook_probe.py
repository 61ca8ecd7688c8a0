#!/usr/bin/python
# Runs on masters: the standard library and Python 3.8 must do.
"""Asks a webhook receiver, as the API server of this host will, whether it takes audit events."""

from __future__ import annotations

DOCUMENTATION = r"""
module: webhook_probe
short_description: Ask a webhook receiver, as the API server of this host will, whether it takes audit events
version_added: 0.1.0
description:
  - Takes the steps of an API server one after the other, and names the one that fails. They are C(name) (resolve the
    host), C(TCP) (connect), C(TLS) (encrypt, and verify the receiver's certificate), C(client) (be accepted by the
    receiver) and C(post) (deliver an EventList).
  - Every address is tried. One that can't be connected to is only named where another one can, because an API server
    goes on to the next; one that can must pass all steps.
  - The EventList that is posted has no events, so that a receiver has nothing to store; it is posted in check mode too.
  - Proxies of the environment are not used.
options:
  host:
    description: The name or address in the URL. The receiver's certificate must be for it.
    type: str
    required: true
  port:
    description: The port in the URL.
    type: int
    required: true
  path:
    description: The path in the URL.
    type: str
    required: true
  tls:
    description: Whether the URL begins with https.
    type: bool
    default: true
  addresses:
    description: What the name is pinned to; without any, this host resolves it.
    type: list
    elements: str
    default: []
  ca:
    description: The certificates, in PEM, that the receiver's is verified with; without any, those of this host.
    type: str
    default: ""
  certificate:
    description: The client's certificate in PEM.
    type: str
    default: ""
  key:
    description: Its private key in PEM.
    type: str
    default: ""
  token:
    description: A bearer token.
    type: str
    default: ""
  server_name:
    description: The name in the receiver's certificate, where it is not I(host).
    type: str
    default: ""
  insecure:
    description: Don't verify the receiver's certificate.
    type: bool
    default: false
  counted_as:
    description:
      - The names under which a kaudit receiver may count the events of this API server. With them I(accepted) is
        returned.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds for each step.
    type: float
    default: 10.0
attributes:
  check_mode:
    support: full
    description: It does the same in check mode, and posts the empty EventList.
  diff_mode:
    support: none
    description: Nothing is changed.
author:
  - kaudit contributors
"""

EXAMPLES = r"""
- name: Ask the receiver
  kaudit.k8s.webhook_probe:
    host: kaudit-receiver
    port: 8443
    path: /reportAuditEvent/master-1
    addresses: [192.0.2.10]
    ca: "{{ lookup('ansible.builtin.file', 'ca.crt') }}"
    certificate: "{{ lookup('ansible.builtin.file', 'webhook.crt') }}"
    key: "{{ lookup('ansible.builtin.file', 'webhook.key') }}"
  no_log: true
"""

RETURN = r"""
step:
  description: The step that failed, empty if none did.
  type: str
  returned: always
  sample: TLS
posted:
  description: Whether an EventList without events was delivered.
  type: bool
  returned: always
addresses:
  description: What was found at each address.
  type: list
  elements: dict
  returned: always
  sample: [{"address": "192.0.2.10", "step": "", "problem": ""}]
accepted:
  description:
    - How many events of this API server the receivers have accepted since they were started, together; none where a
      receiver doesn't tell.
  type: int
  returned: always
  sample: 1204
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.webhook_steps import probe_all


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
            "path": {"type": "str", "required": True},
            "tls": {"type": "bool", "default": True},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "ca": {"type": "str", "default": ""},
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
            "token": {"type": "str", "default": "", "no_log": True},
            "server_name": {"type": "str", "default": ""},
            "insecure": {"type": "bool", "default": False},
            "counted_as": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "float", "default": 10.0},
        },
        supports_check_mode=True,
    )
    result = probe_all(module.params, module.tmpdir)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
