"""The lab: throw-away Kubernetes masters on one machine, real from systemd to the API server."""
