"""kaudit: turns Kubernetes audit logging on, proves that it works, and keeps proving it."""

__version__ = "0.1.0"
