"""The chart, rendered by helm and validated with the schemas of Kubernetes. deploy/kubernetes/ is its output with defaults."""

import json
import os
import subprocess

import kubernetes_validate
import pytest
import yaml
from conftest import DEPLOY, program

CHART = DEPLOY / "chart" / "blobfish"
MANIFESTS = DEPLOY / "kubernetes" / "blobfish.yaml"
# The oldest supported version and the current one.
VERSIONS = ["1.30", "1.35"]
TLS = "[listen]\nhttp = [\"0.0.0.0:9000\"]\nhttps = [{ address = \"0.0.0.0:9443\", cert = \"c\", key = \"k\" }]\n" \
      "[admin]\nlisten = \"0.0.0.0:9090\"\n"
EVERYTHING = {
    "autoscaling": {"enabled": True},
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "ports": {"https": 9443}, "tls": {"existingSecret": "tls"}, "secrets": {"as": "env"}, "config": TLS,
    "image": {"digest": "sha256:" + "0" * 64}, "imagePullSecrets": [{"name": "pull"}],
    "extraEnv": [{"name": "A", "value": "b"}], "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}], "podLabels": {"team": "storage"},
    "podAnnotations": {"note": "x"}, "rollOnChange": True, "nodeSelector": {"disk": "none"}, "priorityClassName": "high",
    "tolerations": [{"key": "a", "operator": "Exists"}], "affinity": {"nodeAffinity": {}},
    "service": {"annotations": {"internal": "true"}}, "serviceAccount": {"annotations": {"role": "x"}},
    "networkPolicy": {"dataFrom": [{"podSelector": {"matchLabels": {"app": "photos"}}}], "targetPorts": [443, 8333]},
}


def helm(*words, values=None):
    return subprocess.run([program("helm"), *words, *(["--values", "-"] if values is not None else [])],
                          input=json.dumps(values), capture_output=True, text=True, timeout=60)


def template(values=None, *more):
    return helm("template", "blobfish", str(CHART), "--namespace", "blobfish", *more, values=values or {})


def documents(values=None):
    done = template(values)
    assert done.returncode == 0, done.stderr
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout) if one}


def test_helm_lint():
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0 and "0 chart(s) failed" in done.stdout, done.stdout


def test_the_manifests_are_the_output_with_defaults():
    """`UPDATE=1 pytest tests/deploy` updates the files."""
    done = template()
    assert done.returncode == 0, done.stderr
    if os.environ.get("UPDATE"):
        MANIFESTS.write_text(done.stdout)
    assert MANIFESTS.read_text() == done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_manifests_match_the_kubernetes_schemas(version, values):
    made = documents(values)
    assert len(made) >= 7
    for (kind, _), document in made.items():
        if kind != "ServiceMonitor":  # The operator's own kind, below.
            kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_detect_an_error():
    deployment = documents()["Deployment", "blobfish"]
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGot"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


def test_selectors_and_references_match():
    made = documents(EVERYTHING)
    pods = made["Deployment", "blobfish"]["spec"]["template"]
    container = pods["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 9000, "https": 9443, "admin": 9090}

    selectors = [made["Deployment", "blobfish"]["spec"]["selector"]["matchLabels"],
                 made["PodDisruptionBudget", "blobfish"]["spec"]["selector"]["matchLabels"],
                 made["NetworkPolicy", "blobfish"]["spec"]["podSelector"]["matchLabels"],
                 made["Service", "blobfish"]["spec"]["selector"], made["Service", "blobfish-admin"]["spec"]["selector"]]
    for selector in selectors:
        assert selector.items() <= pods["metadata"]["labels"].items()
    for name in ("blobfish", "blobfish-admin"):
        for port in made["Service", name]["spec"]["ports"]:
            assert port["targetPort"] in ports
    data = {port["targetPort"] for port in made["Service", "blobfish"]["spec"]["ports"]}
    assert "admin" not in data, "what callers reach has no admin port"

    monitor = made["ServiceMonitor", "blobfish"]["spec"]
    admin = made["Service", "blobfish-admin"]
    assert monitor["selector"]["matchLabels"].items() <= admin["metadata"]["labels"].items()
    assert not monitor["selector"]["matchLabels"].items() <= made["Service", "blobfish"]["metadata"]["labels"].items()
    assert [one["port"] for one in monitor["endpoints"]] == [one["name"] for one in admin["spec"]["ports"]]
    assert admin["metadata"]["labels"][monitor["jobLabel"]] == "blobfish", "the job that alerts look for"

    scaled = made["HorizontalPodAutoscaler", "blobfish"]["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) in made
    assert "replicas" not in made["Deployment", "blobfish"]["spec"], "the chart does not override the number of the autoscaler"
    assert documents()["Deployment", "blobfish"]["spec"]["replicas"] == 2

    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pods["spec"]["volumes"]} == {"config", "tls", "ca"}
    assert container["envFrom"] == [{"secretRef": {"name": "blobfish"}}]
    assert container["image"].endswith("@sha256:" + "0" * 64)


def test_a_changed_configuration_restarts_pods_only_if_configured():
    def annotations(**values):
        return documents(values)["Deployment", "blobfish"]["spec"]["template"]["metadata"].get("annotations", {})

    assert annotations() == {}
    assert annotations(rollOnChange=True) == annotations(rollOnChange=True) != {}
    base = yaml.safe_load((CHART / "values.yaml").read_text())["config"]
    assert annotations(rollOnChange=True) != annotations(rollOnChange=True, config=base + "\n# more")


def test_pods_have_no_more_rights_than_they_need():
    pod = documents()["Deployment", "blobfish"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    secrets = next(volume["secret"] for volume in pod["volumes"] if volume["name"] == "secrets")
    assert secrets["defaultMode"] & 0o007 == 0, "secret files are not readable by other users"
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > sleep + 30, "running requests have 30 seconds"
    admin = documents()["NetworkPolicy", "blobfish"]["spec"]["ingress"][1]
    assert admin["ports"] == [{"port": "admin"}] and admin["from"], "the admin port is not public"


@pytest.mark.parametrize("values, expected", [
    ({"colour": "red"}, "colour"),
    ({"replicas": "two"}, "replicas"),
    ({"secrets": {"as": "literals"}}, "secrets"),
    ({"ports": {"http": 9001}}, "config listens on no such port"),
    ({"ports": {"http": 0}}, "nothing to connect to"),
    ({"ports": {"https": 9443}, "config": TLS}, "tls.existingSecret"),
    ({"terminationGracePeriodSeconds": 35}, "drainSeconds"),
])
def test_invalid_value_is_rejected_by_name(values, expected):
    done = template(values)
    assert done.returncode != 0 and expected in done.stderr, done.stderr


def test_an_older_cluster_is_rejected():
    assert template({}, "--kube-version", "1.29.0").returncode != 0
    assert template({}, "--kube-version", "1.30.0").returncode == 0


def test_the_schema_has_every_value():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def compare(schema, values, place):
        assert set(schema["properties"]) - {"global"} == set(values), place
        for name, value in values.items():
            if schema["properties"][name].get("properties"):
                compare(schema["properties"][name], value, f"{place}.{name}")

    compare(schema, values, "values")


def test_the_chart_has_the_version_of_the_program():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    cargo = (DEPLOY.parent / "Cargo.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in cargo
