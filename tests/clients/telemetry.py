"""What is written down and sent out about requests: the access log in both formats, traces, metrics under the names that
the documents have. The last line counts."""

import argparse
import contextlib
import json
import os
import re
import sys
import time

import servers
from api import CallError
from live import Changeable

BUCKET = "telemetry-1250000000"
FORGED = 'k" status=200 x="\r\n{"id":"forged","status":200}\nid=forged status=200\x85\u2028\x7f\\'


def lines_of(proxy, is_line):
    """The lines of the access log, split as the strictest reader does."""
    return [line for line in proxy.log.read_text().splitlines() if is_line(line)]


def pairs(line):
    """A line of logfmt; values are bare, or strings of JSON."""
    found, at = {}, 0
    while at < len(line):
        name, at = line[at:line.index("=", at)], line.index("=", at) + 1
        if line[at] == '"':
            value, at = json.JSONDecoder().raw_decode(line, at)
        else:
            end = line.find(" ", at) if " " in line[at:] else len(line)
            value, at = line[at:end], end
        assert name not in found and re.fullmatch("[a-z_]+", name) and line[at:at + 1] in ("", " "), line
        found[name], at = value, at + 1
    return found


def logs(binary, running, options):
    """Both formats tell the same, switched while the proxy runs, and a hostile key stays a key in both."""
    live = Changeable(binary, running)
    live.client.create_bucket(BUCKET)

    def asked():
        live.client.put(BUCKET, "a key", b"hello")
        with contextlib.suppress(CallError):
            live.client.put(BUCKET, FORGED, b"x")
        time.sleep(0.3)

    asked()
    told = [json.loads(line) for line in lines_of(live.proxy, lambda line: line.startswith("{"))]
    live.rewrite_and_wait(live.first + '[log]\nformat = "logfmt"\n')
    asked()
    again = [pairs(line) for line in lines_of(live.proxy, lambda line: line.startswith("time="))]
    assert [row["operation"] for row in told] == ["CreateBucket", "PutObject", "PutObject"], told
    assert [row["operation"] for row in again] == ["PutObject", "PutObject"], again
    for before, after in zip(told[1:], again, strict=True):
        assert list(before) == list(after), "the same fields in the same order"
        differing = {name for name in before if str(before[name]) != after[name]}
        assert differing <= {"time", "id", "ms", "upstream_id"}, differing
    assert told[1]["key"] == "a key" and told[2]["key"].startswith('k" status=200 x="\\r\\n{"id":"forged"'), told
    assert not any("forged" in row["id"] for row in told + again)


def level(binary, running, options):
    """How much the process tells of itself follows a reload."""
    live = Changeable(binary, running)
    live.client.create_bucket(BUCKET)

    def loud(words):
        before = len(lines_of(live.proxy, lambda line: "loaded again" in line))
        live.rewrite_and_wait(live.first + f"[log]\n{words}\n")
        time.sleep(0.1)
        return len(lines_of(live.proxy, lambda line: "loaded again" in line)) > before

    assert loud("") and not loud('level = "warn"') and loud('level = "debug"')


ALL = [logs, level]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    sys.exit(servers.checks(ALL, options))


if __name__ == "__main__":
    main()
