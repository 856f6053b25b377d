"""Grafana dashboards, recording rules and alerts, built from the catalogue of metrics: `python -m dashboards.build`."""
