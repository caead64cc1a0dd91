"""The chart: what it renders keeps the SuperLink on loopback, and its values are checked by a schema."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml
from tests.deploy.chart import merged, rendered
from tests.deploy.shipped import DEPLOY, DOCKERFILE, fault, health_check, stages

CHART = DEPLOY / "helm" / "intraward-server"
EXAMPLE: dict[str, Any] = yaml.safe_load((CHART / "ci" / "example-values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
EVERYTHING = EXAMPLE | {
    "setup": True,
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "home": {"size": "1Ti", "storageClass": "fast"},
    "service": {"type": "ClusterIP", "port": 443, "annotations": {"team": "fl"}},
}


def manifests(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By kind."""
    found = rendered(CHART, values, "fl")
    assert len({m["kind"] for m in found}) == len(found) == 4
    return {m["kind"]: m for m in found}


def pod(values: dict[str, Any]) -> dict[str, Any]:
    """The pod's specification."""
    spec = manifests(values)["StatefulSet"]["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def test_only_the_proxys_port_is_told_and_served() -> None:
    proxy, superlink = pod(EXAMPLE)["containers"]
    assert [port["containerPort"] for port in proxy["ports"]] == [8443]
    assert "ports" not in superlink
    service = manifests(EXAMPLE)["Service"]["spec"]
    assert [port["targetPort"] for port in service["ports"]] == ["fleet"]
    assert "hostNetwork" not in pod(EXAMPLE) and "hostPort" not in json.dumps(pod(EXAMPLE))


def test_hospitals_may_come_in_and_nothing_may_go_out() -> None:
    policy = manifests(EXAMPLE)["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"] and policy["egress"] == []
    (rule,) = policy["ingress"]
    assert [source["ipBlock"]["cidr"] for source in rule["from"]] == EXAMPLE["allowFrom"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8443}]
    labels = manifests(EXAMPLE)["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == labels


@pytest.mark.parametrize("values", [EXAMPLE, EVERYTHING], ids=["example", "everything"])
def test_every_container_is_hardened(values: dict[str, Any]) -> None:
    spec = pod(values)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
        assert "memory" in container["resources"]["limits"]


def test_it_starts_what_the_image_starts_and_asks_what_the_image_asks() -> None:
    superlink = pod(EXAMPLE)["containers"][1]
    image = stages(DOCKERFILE.read_text())["server"]
    assert superlink["args"] == json.loads(image.last("CMD") or "")
    assert fault(["intraward-server", *superlink["args"]]) == ""
    assert superlink["readinessProbe"]["exec"]["command"] == health_check(image.last("HEALTHCHECK") or "")
    assert pod(EVERYTHING)["containers"][1]["command"] == ["sleep", "infinity"]
    assert "readinessProbe" not in pod(EVERYTHING)["containers"][1]


def test_the_proxy_reads_the_one_configuration() -> None:
    shipped = (DEPLOY / "proxy" / "nginx.conf").read_text()
    assert manifests(EXAMPLE)["ConfigMap"]["data"]["nginx.conf"].split() == shipped.split()
    proxy = pod(EXAMPLE)["containers"][0]
    assert proxy["command"][:3] == ["nginx", "-c", "/etc/intraward/nginx.conf"]
    assert {mount["mountPath"] for mount in proxy["volumeMounts"]} >= {"/etc/intraward/proxy", "/tmp"}


def test_mounts_have_volumes() -> None:
    stateful = manifests(EXAMPLE)["StatefulSet"]["spec"]
    volumes = {volume["name"] for volume in stateful["template"]["spec"]["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in stateful["volumeClaimTemplates"]}
    mounts = {m["name"] for c in stateful["template"]["spec"]["containers"] for m in c["volumeMounts"]}
    assert mounts == volumes


def test_every_value_is_in_the_schema_and_used() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(merged(defaults, EXAMPLE)) == set(SCHEMA["properties"]) - {"global"}
    text = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    assert [key for key in set(SCHEMA["properties"]) - {"global"} if f".Values.{key}" not in text] == []
    for needed in ("digest", "repository"):
        assert {needed} <= set(SCHEMA["properties"]["image"]["required"])
    assert SCHEMA["properties"]["allowFrom"]["minItems"] == 1
    assert re.fullmatch(SCHEMA["definitions"]["digest"]["pattern"], EXAMPLE["image"]["digest"])
    assert "digest" not in defaults["image"] and "digest" not in defaults["proxy"]


def test_a_word_that_the_renderer_does_not_know_is_refused(tmp_path: Any) -> None:
    shutil.copytree(CHART, tmp_path / "chart")
    (tmp_path / "chart" / "templates" / "x.yaml").write_text("a: {{ lookup .Values.image }}\n")
    with pytest.raises(ValueError, match="lookup"):
        rendered(tmp_path / "chart", EXAMPLE, "fl")


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Helm's own words; skips where it is not installed."""
    program = shutil.which("helm")
    if program is None:
        pytest.skip("helm is not installed here")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_helm_renders_the_same_and_refuses_values_that_are_missing() -> None:
    values = str(CHART / "ci" / "example-values.yaml")
    assert helm("lint", "--strict", str(CHART), "--values", values).returncode == 0
    assert helm("template", "fl", str(CHART)).returncode != 0
    told = helm("template", "fl", str(CHART), "--values", values).stdout
    theirs = {m["kind"]: m for m in yaml.safe_load_all(told) if m}
    assert theirs == manifests(EXAMPLE)
