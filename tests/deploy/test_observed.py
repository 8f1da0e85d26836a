"""The metrics of the program, docs/metrics.md, the alerts and the dashboard are consistent, and Prometheus accepts them."""

import json
import re
import subprocess
import urllib.request

import boto3
import promql_parser
import pytest
import servers
import yaml
from conftest import DEPLOY, ROOT, program

ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "blobfish.json").read_text())
# The labels that Prometheus adds to each sample.
ADDED = {"job", "instance"}


def read_documented():
    """Names and labels in docs/metrics.md."""
    rows = re.findall(r"^\| `(blobfish_\w+)` \|([^|]*)\|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    return {name: {label.strip() for label in labels.split(",") if label.strip()} for name, labels in rows}


def read_registered():
    """Names and labels in the program's source."""
    text = (ROOT / "proxy" / "src" / "telemetry" / "metrics.rs").read_text()
    own = re.search(r"HistogramVec::new\(opts, &\[(.*?)\]", text, re.DOTALL).group(1)
    rows = re.findall(r'counters\(\s*"(\w+)",\s*"[^"]*",\s*&\[(.*?)\]', text, re.DOTALL)
    rows += [(name, '"target"') for name in re.findall(r'gauges\(\s*"(\w+)"', text)]
    rows += [(name, own) for name in re.findall(r'histograms\(\s*"(\w+)"', text)]
    rows = [(f"blobfish_{name}", labels) for name, labels in rows]
    rows += [(name, "") for name in re.findall(r'(?:IntGauge|IntCounter|Gauge)::new\(\s*"(\w+)"', text)]
    info = re.search(r'Opts::new\("(blobfish_build_info)".*?&\[(.*?)\]', text, re.DOTALL)
    return {name: set(re.findall(r'"(\w+)"', labels)) for name, labels in [*rows, info.groups()]}


@pytest.fixture(scope="module")
def scraped(binary):
    """The metrics of a demo after a few requests."""
    with servers.Servers() as running:
        front = running.demo(binary, "--memory")
        s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{front.port}", region_name="us-east-1",
                          aws_access_key_id=servers.DEMO_KEY, aws_secret_access_key=servers.DEMO_SECRET)
        s3.create_bucket(Bucket="a-1250000000")
        s3.put_object(Bucket="a-1250000000", Key="k", Body=b"x")
        s3.copy_object(Bucket="a-1250000000", Key="l", CopySource="a-1250000000/k")
        with urllib.request.urlopen(f"http://127.0.0.1:{front.admin}/metrics", timeout=10) as response:
            return response.read().decode()


def test_documentation_has_every_metric():
    page, source = read_documented(), read_registered()
    assert len(source) > 15 and page == source


def test_program_exports_every_documented_metric(scraped):
    helps = set(re.findall(r"^# HELP (\w+) \S", scraped, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", scraped, re.MULTILINE))
    assert helps == set(types), "each metric has HELP and TYPE"
    own = {name for name in types if name.startswith("blobfish_")}
    assert own <= set(read_documented())
    assert {name for name, labels in read_documented().items() if not labels} <= own
    for name, labels in re.findall(r"^(blobfish_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} ", scraped, re.MULTILINE):
        assert set(re.findall(r'(\w+)="', labels)) - {"le"} == read_documented()[name], name
    check = subprocess.run([program("promtool"), "check", "metrics"], input=scraped, capture_output=True, text=True)
    assert check.returncode == 0, check.stderr


def known_series(scraped):
    """The series that queries may use, with their labels."""
    series = dict(read_documented())
    for name in re.findall(r"^# TYPE (\w+) histogram$", scraped, re.MULTILINE):
        labels = series.pop(name)
        series |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
    series |= {name: set() for name in re.findall(r"^# TYPE (process_\w+) ", scraped, re.MULTILINE)}
    return series | {"up": set()}


def selectors(query):
    """The names and labels in a query."""
    found = []

    def visit(node):
        node = getattr(node, "vector_selector", node)
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, {matcher.name for matcher in node.matchers.matchers}))
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouped.update(node.modifier.labels)
        return True

    grouped = set()
    promql_parser.walk(promql_parser.parse(query), visit)
    return found, grouped


def holds(query, series):
    found, grouped = selectors(query)
    assert found, query
    for name, labels in found:
        assert name in series, f"{name} is not a metric: {query}"
        assert labels <= series[name] | ADDED, f"{name} has no {labels - series[name]}: {query}"
    assert all(grouped <= series[name] | ADDED for name, _ in found), f"grouped by {grouped}: {query}"


def queries(panels):
    for panel in panels:
        yield from ((panel, target) for target in panel.get("targets", []))
        yield from queries(panel.get("panels", []))


def plain(query):
    """A query of the dashboard as Grafana sends it."""
    return query.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$target", ".*")


def test_alerts_use_existing_metrics(scraped):
    for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]:
        holds(rule["expr"], known_series(scraped))
    with pytest.raises(AssertionError, match="not a metric"):
        holds("rate(blobfish_request_total[5m]) > 0", known_series(scraped))
    with pytest.raises(AssertionError, match="colour"):
        holds('sum(blobfish_requests_in_flight{colour="red"})', known_series(scraped))
    with pytest.raises(AssertionError, match="grouped"):
        holds("sum by (bucket) (blobfish_requests_in_flight)", known_series(scraped))


def test_dashboard_uses_existing_metrics(scraped):
    series, queried = known_series(scraped), set()
    for _, target in queries(DASHBOARD["panels"]):
        holds(plain(target["expr"]), series)
        queried |= {name for name, _ in selectors(plain(target["expr"]))[0]}
    drawn = {re.sub("_bucket$", "", name) for name in queried}
    assert {name for name in read_documented()} <= drawn, "every metric has a panel"
    for variable in DASHBOARD["templating"]["list"]:
        for name in re.findall(r"label_values\((\w+)", str(variable["query"])):
            assert name in series


def test_dashboard_is_consistent():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["targets"] and panel["datasource"]["uid"] == "${datasource}", panel["title"]
    for _, target in queries(panels):
        labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        _, grouped = selectors(plain(target["expr"]))
        assert labels <= grouped | ADDED, target
    provider = yaml.safe_load((DEPLOY / "compose" / "grafana" / "dashboards.yaml").read_text())["providers"][0]
    volumes = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    assert any(volume.split(":")[1].startswith(provider["options"]["path"] + "/") for volume in volumes)


def promtool(*words):
    return subprocess.run([program("promtool"), *words], capture_output=True, text=True, timeout=60)


def test_prometheus_accepts_alerts_and_dashboard(tmp_path):
    done = promtool("check", "rules", str(ALERTS))
    assert done.returncode == 0, done.stderr
    rules = [{"record": f"panel:{panel['id']}:{at}", "expr": plain(target["expr"])}
             for at, (panel, target) in enumerate(queries(DASHBOARD["panels"]))]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(path))
    assert done.returncode == 0 and f"{len(rules)} rules found" in done.stdout, done.stderr
    path.write_text(yaml.safe_dump({"groups": [{"name": "bad", "rules": [{"record": "a", "expr": "rate(up)"}]}]}))
    assert promtool("check", "rules", str(path)).returncode != 0


def test_prometheus_accepts_the_configuration_of_compose(tmp_path):
    text = (DEPLOY / "compose" / "prometheus.yaml").read_text()
    path = tmp_path / "prometheus.yaml"
    path.write_text(text.replace("/etc/prometheus/alerts.yaml", str(ALERTS)))
    done = promtool("check", "config", str(path))
    assert done.returncode == 0 and f"{len(CASES)} rules found" in done.stdout, done.stdout + done.stderr
    jobs = [one["job_name"] for one in yaml.safe_load(text)["scrape_configs"]]
    assert jobs == ["blobfish"], "the job that the alerts select"


def times(name, labels, *buckets):
    """A histogram: (bound, increase per minute)."""
    return {f'{name}_bucket{{{labels},le="{bound}"}}': f"0+{count}x40" for bound, count in buckets}


# alert: (minutes, series that fire it, series that do not). A value is `start+step x times`, one per minute.
UP = {"up": "1x90"}
READ, HEAD, PUT = 'target="t",operation="GetObject"', 'operation="HeadObject"', 'operation="PutObject"'
UPSTREAM, REQUEST = "blobfish_target_response_seconds", "blobfish_request_duration_seconds"
CASES = {
    "BlobfishAbsent": (5, {"up": "_x10"}, UP),
    "BlobfishInstanceDown": (10, {'up{instance="b"}': "0x60"}, {'up{instance="b"}': "1x60"}),
    "BlobfishRestarts": (30, {"process_start_time_seconds": "1x5 2x5 3x5 4x20"},
                         {"process_start_time_seconds": "1x10 2x40"}),
    "BlobfishReloadFailed": (10, {'blobfish_config_reloads_total{outcome="failure"}': "_x5 1x20"},
                              {'blobfish_config_reloads_total{outcome="success"}': "_x5 1x20"}),
    "BlobfishVersionsDiffer": (70, {f'blobfish_build_info{{version="{version}"}}': "1x80" for version in "12"},
                               {'blobfish_build_info{version="1"}': "1x80"}),
    "BlobfishTargetUnreachable": (12, {'blobfish_target_errors_total{target="t",kind="tls"}': "0+12x20"},
                                  {'blobfish_target_errors_total{target="t",kind="truncated"}': "0+12x20"}),
    "BlobfishTargetCircuitOpen": (15, {'blobfish_target_circuit_breaker_closed{target="t"}': "1x3 0x20"},
                             {'blobfish_target_circuit_breaker_closed{target="t"}': "1x5 0 1x20"}),
    "BlobfishTargetErrors": (20, {'blobfish_target_errors_total{target="t",kind="truncated"}': "0+10x30",
                                  'blobfish_requests_total{target="t",status="200"}': "0+100x30"},
                             {'blobfish_target_errors_total{target="t",kind="truncated"}': "0+1x30",
                              'blobfish_requests_total{target="t",status="200"}': "0+100x30"}),
    "BlobfishTargetSlow": (30, times(UPSTREAM, READ, ("1", 1), ("5", 9), ("+Inf", 9)),
                           times(UPSTREAM, READ, ("1", 9), ("+Inf", 9))),
    "BlobfishServerErrors": (20, {'blobfish_requests_total{target="t",status="503"}': "0+5x30",
                                  'blobfish_requests_total{target="t",status="200"}': "0+95x30"},
                             {'blobfish_requests_total{target="t",status="503"}': "0+1x30",
                              'blobfish_requests_total{target="t",status="200"}': "0+99x30"}),
    "BlobfishSlow": (30, times(REQUEST, HEAD, ("2.5", 1), ("5", 9), ("+Inf", 9)),
                     times(REQUEST, PUT, ("2.5", 1), ("5", 9), ("+Inf", 9))),
    "BlobfishNotImplemented": (10, {'blobfish_requests_total{operation="CopyObject",status="501"}': "_x5 1x20"},
                               {'blobfish_requests_total{operation="CopyObject",status="200"}': "_x5 1x20"}),
    "BlobfishSignaturesRejected": (20, {'blobfish_rejections_total{reason="SignatureDoesNotMatch"}': "0+90x30"},
                                  {'blobfish_rejections_total{reason="SignatureDoesNotMatch"}': "0+9x30"}),
    "BlobfishClockSkew": (15, {'blobfish_rejections_total{reason="RequestTimeTooSkewed"}': "0+1x30"},
                          {'blobfish_rejections_total{reason="NoSuchKey"}': "0+1x30"}),
    "BlobfishSlowDown": (15, {'blobfish_rejections_total{reason="SlowDown"}': "0+60x30"},
                         {'blobfish_rejections_total{reason="SlowDown"}': "0+1x30"}),
    "BlobfishCopyMismatch": (10, {'blobfish_integrity_failures_total{kind="copy"}': "_x5 1x20"},
                               {'blobfish_integrity_failures_total{kind="BadDigest"}': "_x5 1x20"}),
    "BlobfishUploadsDamaged": (15, {'blobfish_integrity_failures_total{kind="BadDigest"}': "0+1x30"},
                               {'blobfish_integrity_failures_total{kind="BadDigest"}': "0x10 2x20"}),
    "BlobfishUploadsOrphaned": (10, {"blobfish_copy_uploads_orphaned_total": "0x5 1x20"},
                            {"blobfish_copy_uploads_orphaned_total": "3x20"}),
    "BlobfishCopiesFail": (40, {'blobfish_copies_total{plan="relay",outcome="failure"}': "0+3x60",
                                'blobfish_copies_total{plan="relay",outcome="success"}': "0+7x60"},
                           {'blobfish_copies_total{plan="exchange",outcome="failure"}': "0+3x60",
                            'blobfish_copies_total{plan="exchange",outcome="success"}': "0+7x60"}),
    "BlobfishCopiesSaturated": (15, {"blobfish_copies_in_progress": "60x30"}, {"blobfish_copies_in_progress": "20x30"}),
    "BlobfishConnectionsSaturated": (10, {"blobfish_client_connections": "9500x30"}, {"blobfish_client_connections": "5000x30"}),
    "BlobfishFileDescriptors": (10, {"process_open_fds": "900x30", "process_max_fds": "1024x30"},
                            {"process_open_fds": "900x30", "process_max_fds": "65536x30"}),
    "BlobfishLogDropped": (10, {"blobfish_log_dropped_total": "0x5 9x20"}, {"blobfish_log_dropped_total": "9x20"}),
}


def add_labels(series):
    """Adds the labels that scraping adds."""
    name, _, labels = series.partition("{")
    own = [] if 'instance="' in labels else ['instance="a"']
    return f"{name}{{{','.join(['job=' + chr(34) + 'blobfish' + chr(34), *own, *filter(None, [labels.rstrip('}')])])}}}"


def situation(minutes, series, firing):
    values = {add_labels(name): value for name, value in {**UP, **series}.items()}
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
    query = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{minutes}m",
             "exp_samples": expected}
    return {"interval": "1m", "input_series": [{"series": name, "values": value} for name, value in values.items()],
            "promql_expr_test": [query]}


def run_rule_tests(tmp_path, tests):
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    return promtool("test", "rules", str(path))


def test_each_alert_fires_only_in_its_cases(tmp_path):
    names = [rule["alert"] for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]]
    assert names == list(CASES), "every alert has a case"
    tests = []
    for name, (minutes, fires, quiet) in CASES.items():
        tests += [situation(minutes, fires, [name]), situation(minutes, quiet, [])]
    done = run_rule_tests(tmp_path, tests)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run_rule_tests(tmp_path, [situation(5, UP, ["BlobfishAbsent"])])
    assert done.returncode != 0, "a wrong expectation is noticed"


def test_alerts_have_severity_and_texts():
    for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        _, grouped = selectors(rule["expr"])
        assert used <= grouped | ADDED, f"{rule['alert']} has no {used}"


def test_troubleshooting_has_every_alert():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert [name for name in CASES if f"`{name}`" not in text] == []
