"""The schema of the chart's values: values.yaml says what there is, `RULES` what more a value has to be.

Names that are not in values.yaml are refused, so that a typo is told with its path. The part for `config` is that of
rlb's own settings file, without what the chart decides itself and without passwords.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dashboards.alerts import ALERT_NAMES
from dashboards.alerts.thresholds import THRESHOLDS, Threshold
from rlb.settings import json_schema
from rlb.telemetry.catalogue import CATALOGUE
from tests.helm.documented import Value, all_values
from tests.support.helm import CHART

SCHEMA = CHART / "values.schema.json"

Schema = dict[str, Any]

THE_CHARTS_OWN: Mapping[str, frozenset[str]] = {
    "redis": frozenset(
        {"url", "username", "password", "password_file", "tls_ca_file", "tls_cert_file", "tls_key_file"}
    ),
    "socket": frozenset({"path", "folder"}),
    "metrics": frozenset({"host", "port"}),
}
"""Settings that have to agree with volumes, ports and probes; they follow from other values."""

DNS_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
DNS_NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
QUANTITY = {"type": ["string", "integer"], "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"}
QUANTITIES: Schema = {"type": "object", "additionalProperties": QUANTITY}
PERCENT_OR_COUNT = {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]{1,3}%$"}
DURATION = {"type": "string", "pattern": "^(([0-9]+(ms|s|m|h))+)?$"}
LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
SECONDS = {"type": "integer", "minimum": 1}
ENABLED = {"enum": [True, False, "auto"]}
HTTP_ADDRESS = {"type": "string", "pattern": r"^(https?://[^\s@]+)?$"}
NAME = {"type": "string", "pattern": f"{DNS_NAME}|^$"}
USER = {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1}

ENVIRONMENT: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            # Settings have a place of their own, where they are checked; and secrets are files.
            "name": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.-]*$", "not": {"pattern": "^RLB_"}},
            "value": {"type": "string"},
            "valueFrom": {"type": "object"},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
}
PROBE: Schema = {
    "type": "object",
    "properties": dict.fromkeys(("periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold"), SECONDS)
    | {"initialDelaySeconds": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
RESOURCES: Schema = {
    "type": "object",
    "properties": {"requests": QUANTITIES, "limits": QUANTITIES, "claims": OBJECTS},
    "additionalProperties": False,
}

RULES: Mapping[str, Schema] = {
    "nameOverride": {"pattern": f"{DNS_LABEL}|^$"},
    "fullnameOverride": {"pattern": f"{DNS_LABEL}|^$", "maxLength": 50},
    "commonLabels": LABELS,
    "commonAnnotations": LABELS,
    "image.registry": {"pattern": r"^[A-Za-z0-9.:/_-]*$"},
    "image.repository": {"pattern": r"^[a-z0-9._/-]+$"},
    "image.tag": {"pattern": r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$|^$"},
    "image.digest": {"pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "image.pullSecrets": {"items": {"type": "string", "pattern": DNS_NAME}},
    # The two are apart so that an address with a password in it is refused without being repeated.
    "redis.url": {
        "allOf": [
            {"pattern": r"^(rediss?://[^/?#\s]+(/[0-9]*)?|unix:///[^?#\s]+(\?db=[0-9]+)?)?$"},
            {
                "not": {"pattern": "@"},
                "description": "no user and no password: redis.username, redis.auth.existingSecret",
            },
        ]
    },
    "redis.auth.existingSecret": NAME,
    "redis.auth.passwordKey": {"minLength": 1},
    "redis.tls.existingSecret": NAME,
    "redis.tls.keyKey": {"minLength": 1},
    "metrics.port": {"minimum": 0, "maximum": 65535},
    "metrics.host": {"pattern": r"^[A-Za-z0-9.:%_-]{1,255}$"},
    "otel.endpoint": HTTP_ADDRESS,
    "otel.protocol": {"enum": ["grpc", "http/protobuf"]},
    "otel.resourceAttributes": {**LABELS, "propertyNames": {"pattern": r"^[A-Za-z0-9_.-]{1,255}$"}},
    "securityContext.runAsUser": USER,
    "securityContext.runAsGroup": USER,
    "extraEnv": ENVIRONMENT,
    "extraVolumes": OBJECTS,
    "extraVolumeMounts": OBJECTS,
    "sidecar.name": {"pattern": DNS_LABEL},
    "sidecar.socketPath": {"pattern": r"^(/[A-Za-z0-9._-]+){2,}$", "maxLength": 107},
    "sidecar.socketVolumeSize": QUANTITY,
    "sidecar.extraEnv": ENVIRONMENT,
    "sidecar.resources": RESOURCES,
    "observer.replicas": {"minimum": 1},
    "observer.extraEnv": ENVIRONMENT,
    "observer.resources": RESOURCES,
    "observer.serviceAccount.name": NAME,
    "observer.serviceAccount.annotations": LABELS,
    "observer.podDisruptionBudget.maxUnavailable": PERCENT_OR_COUNT,
    "observer.spread.topologyKey": {"minLength": 1},
    "observer.spread.whenUnsatisfiable": {"enum": ["ScheduleAnyway", "DoNotSchedule"]},
    "observer.podLabels": LABELS,
    "observer.podAnnotations": LABELS,
    "observer.nodeSelector": LABELS,
    "observer.tolerations": OBJECTS,
    "observer.affinity": {"type": "object"},
    "observer.terminationGracePeriodSeconds": SECONDS,
    "podMonitor.enabled": ENABLED,
    "podMonitor.scope": {"enum": ["release", "cluster"]},
    "podMonitor.namespace": NAME,
    "podMonitor.labels": LABELS,
    "podMonitor.annotations": LABELS,
    "podMonitor.interval": DURATION,
    "podMonitor.scrapeTimeout": DURATION,
    "podMonitor.podTargetLabels": {"items": {"type": "string"}},
    "podMonitor.relabelings": OBJECTS,
    "podMonitor.metricRelabelings": OBJECTS,
    "prometheusRule.enabled": ENABLED,
    "prometheusRule.namespace": NAME,
    "prometheusRule.labels": LABELS,
    "prometheusRule.annotations": LABELS,
    "prometheusRule.alertLabels": LABELS,
    "prometheusRule.disabled": {"items": {"enum": list(ALERT_NAMES)}, "uniqueItems": True},
    "prometheusRule.grafanaUrl": HTTP_ADDRESS,
    "prometheusRule.runbookUrlPrefix": HTTP_ADDRESS,
    "grafanaDashboards.namespace": NAME,
    "grafanaDashboards.label": {"minLength": 1},
    "grafanaDashboards.folderAnnotation": {"minLength": 1},
    "grafanaDashboards.labels": LABELS,
    "grafanaDashboards.annotations": LABELS,
    "grafanaDashboards.operator.enabled": ENABLED,
    "grafanaDashboards.operator.instanceSelector": {"type": "object"},
    "grafanaDashboards.operator.resyncPeriod": {**DURATION, "minLength": 2},
    "networkPolicy.labels": LABELS,
    "networkPolicy.annotations": LABELS,
    **{f"networkPolicy.{name}": OBJECTS for name in ("metricsFrom", "dnsTo", "redisTo", "otlpTo", "extraEgress")},
    "keda.prometheusUrl": HTTP_ADDRESS,
    "keda.matchers": {**LABELS, "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}},
    "keda.lagPerReplica": {"type": "number", "exclusiveMinimum": 0},
    "keda.minReplicas": {"minimum": 1},
    "keda.maxReplicas": {"minimum": 1},
    "keda.pollingInterval": SECONDS,
    "keda.stabilizationSeconds": {"minimum": 0, "maximum": 3600},
    "keda.failureThreshold": SECONDS,
    "keda.staleSeconds": SECONDS,
    "keda.labels": LABELS,
    "keda.annotations": LABELS,
}
HIGHEST = {"tokenIntervalSeconds": 2.5, "timeToFirstTokenSeconds": 160, "eventLoopLagSeconds": 2.5}
"""The highest buckets of what these thresholds are held against: above them nothing is ever found."""

SETTINGS_PATHS = ("config", "sidecar.config", "observer.config")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def values_schema() -> Schema:
    """The schema as data."""
    root: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart rlb",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "global": {"type": "object", "description": "What charts share; nothing here reads it."},
            "enabled": {"type": "boolean", "description": "For the condition of a chart that depends on this one."},
        },
        "definitions": {"settings": settings_schema()},
    }
    for value in all_values():
        parent: Schema | None = root
        for name in value.path[:-1]:
            parent = parent and parent.get("properties", {}).get(name)
        # Below a mapping with a rule of its own, the rule says all.
        if parent and "properties" in parent:
            part = parent["properties"].setdefault(value.path[-1], _of(value))
            if value.text:
                part.setdefault("description", value.text)
    return root


def settings_schema() -> Schema:
    """What may stand in `config`: rlb's settings but for those that the chart decides."""
    schema = json_schema()
    sections = {name: _resolved(schema, part) for name, part in schema["properties"].items()}
    for name, own in THE_CHARTS_OWN.items():
        sections[name]["properties"] = {
            field: part for field, part in sections[name]["properties"].items() if field not in own
        }
    sections = {name: part for name, part in sections.items() if part.get("properties", True)}
    return {"type": "object", "additionalProperties": False, "properties": sections}


def _resolved(schema: Schema, part: Any) -> Any:
    """The part with references replaced, and without what only describes."""
    if isinstance(part, list):
        return [_resolved(schema, item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _resolved(schema, schema["$defs"][part["$ref"].removeprefix("#/$defs/")])
    if "properties" in part:
        properties = {name: _resolved(schema, item) for name, item in part["properties"].items()}
        return {"type": "object", "additionalProperties": False, "properties": properties}
    return {name: _resolved(schema, item) for name, item in part.items() if name not in ("title", "default", "format")}


def _of(value: Value) -> Schema:
    described = {"description": value.text} if value.text else {}
    if value.path[:-1] == ("prometheusRule", "thresholds"):
        return {
            **described,
            **_of_threshold(next(item for item in THRESHOLDS.values() if item.camel == value.path[-1])),
        }
    if value.name in SETTINGS_PATHS:
        return {**described, "allOf": [{"$ref": "#/definitions/settings"}]}
    if value.path[-1] in PROBES:
        probe = json.loads(json.dumps(PROBE))
        if "redis" in value.default:
            probe["properties"]["redis"] = {"type": "boolean"}
        return {**described, **probe}
    rule = RULES.get(value.name, {})
    if isinstance(value.default, dict) and "type" not in rule:
        return {**described, "type": "object", "additionalProperties": False, "properties": {}}
    kind = {} if "type" in rule or "enum" in rule else {"type": _kind(value.default)}
    return {**described, **kind, **rule}


def _of_threshold(threshold: Threshold) -> Schema:
    if isinstance(threshold.default, str):
        # It stands between quotation marks, in a regular expression of PromQL.
        return {"type": "string", "pattern": r"^[^\"\\\s]*$"}
    if threshold.name == "delivery_seconds":
        return {"enum": list(CATALOGUE["rlb.message.age"].buckets)}
    schema: Schema = {"type": "number", "minimum": 0}
    highest = 1 if threshold.unit == "1" else HIGHEST.get(threshold.camel)
    return schema if highest is None else {**schema, "maximum": highest}


def _kind(default: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return kinds[type(default)]


def text() -> str:
    """The schema as the file has it."""
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"
