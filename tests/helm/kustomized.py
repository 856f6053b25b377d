"""The parts of the kustomize components that are the chart's: made of what it renders, so that they cannot part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.helm.user_chart import user_chart
from tests.support.helm import CHART, HELM_4, MONITORING_APIS, REPOSITORY

KUSTOMIZE = REPOSITORY / "helm" / "kustomize"
RELEASE = "rlb"
REDIS = {"url": "redis://redis:6379"}
AUTH = {**REDIS, "auth": {"existingSecret": "rlb-redis"}}

Object = dict[str, Any]


def sidecar_pod(redis: Mapping[str, Any]) -> Object:
    """The template of a pod with the sidecar in it, as a chart that includes ours renders it."""
    with user_chart() as chart:
        values = yaml.safe_load((chart / "values.yaml").read_text())
        values["rlb"]["redis"] = dict(redis)
        (chart / "values.yaml").write_text(yaml.safe_dump(values))
        objects = HELM_4.render(chart, release=RELEASE)
    return _deployment(objects)["spec"]["template"]  # type: ignore[no-any-return]


def chart_objects(redis: Mapping[str, Any]) -> list[Object]:
    """What the chart makes of itself, with the monitors of the whole cluster."""
    values = {"redis": dict(redis), "podMonitor": {"scope": "cluster"}}
    return [_neutral(item) for item in HELM_4.render(CHART, values, release=RELEASE, api_versions=MONITORING_APIS)]


def generated() -> Iterator[tuple[Path, list[Object]]]:
    """Each file that is written, with the objects in it."""
    yield KUSTOMIZE / "sidecar" / "patch.yaml", [sidecar_patch()]
    plain, secret = sidecar_pod(REDIS)["spec"], sidecar_pod(AUTH)["spec"]
    patch = {
        "initContainers": [{"name": "rlb", "volumeMounts": _more("mountPath", _mounts(secret), _mounts(plain))}],
        "volumes": _more("name", secret["volumes"], plain["volumes"]),
    }
    yield KUSTOMIZE / "redis-auth" / "patch-sidecar.yaml", [_patch({"spec": patch})]
    objects, with_secret = chart_objects(REDIS), chart_objects(AUTH)
    before, after = (_deployment(found)["spec"]["template"]["spec"] for found in (objects, with_secret))
    mounts = [spec["containers"][0]["volumeMounts"] for spec in (after, before)]
    patch = {
        "containers": [{"name": "observer", "volumeMounts": _more("mountPath", *mounts)}],
        "volumes": _more("name", after["volumes"], before["volumes"]),
    }
    yield KUSTOMIZE / "redis-auth" / "patch-observer.yaml", [_patch({"spec": patch})]
    kinds = ("Deployment", "PodDisruptionBudget", "ServiceAccount")
    yield KUSTOMIZE / "observer" / "observer.yaml", [item for item in objects if item["kind"] in kinds]
    yield KUSTOMIZE / "podmonitor" / "podmonitor.yaml", [item for item in objects if item["kind"] == "PodMonitor"]


def sidecar_patch() -> Object:
    """What the sidecar adds to a pod, for a strategic merge."""
    pod = sidecar_pod(REDIS)
    added = {name: text for name, text in pod["metadata"]["labels"].items() if name != "app"}
    return _patch(
        {
            "metadata": {"labels": added},
            "spec": {key: pod["spec"][key] for key in ("securityContext", "initContainers", "volumes")},
        }
    )


def _patch(template: Object) -> Object:
    # The name is anything: a patch with a target goes to whatever is chosen there.
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "any"},
        "spec": {"template": template},
    }


def _deployment(objects: list[Object]) -> Object:
    return next(item for item in objects if item["kind"] == "Deployment")


def _mounts(spec: Mapping[str, Any]) -> list[Object]:
    found: list[Object] = spec["initContainers"][0]["volumeMounts"]
    return found


def _more(key: str, those: list[Object], these: list[Object]) -> list[Object]:
    """What is among those and not among these, by a key."""
    known = {item[key] for item in these}
    return [item for item in those if item[key] not in known]


def _neutral(item: Object) -> Object:
    """An object without what is Helm's: its labels, the namespace, and the sum of settings that rolls pods.

    Kustomize gives a generated ConfigMap a name of its own for each content, which rolls them as well.
    """
    labels = {k: v for k, v in item["metadata"]["labels"].items() if k.split("/")[0] != "helm.sh" and v != "Helm"}
    metadata = {key: text for key, text in item["metadata"].items() if key != "namespace"} | {"labels": labels}
    item = {**item, "metadata": metadata}
    if item["kind"] == "Deployment":
        item["spec"]["template"]["metadata"].pop("annotations")
    elif item["kind"] == "PodMonitor" and "matchNames" in item["spec"]["namespaceSelector"]:
        del item["spec"]["namespaceSelector"]  # then it looks in its own namespace, whichever that is
    return item
