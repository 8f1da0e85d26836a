#!/usr/bin/env bash
# Runs every suite, one after another, also after a failure. The last line has the counts.
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
log=$(mktemp)
setup_log=$(mktemp)
# The SDKs are installed while the compiler runs, because the installation mostly waits for the network.
# sudo asks for its password before.
[ "$(id -u)" -eq 0 ] || sudo -v
bash tests/setup.sh >"$setup_log" 2>&1 &
setup=$!
trap 'wait; rm -f "$log" "$setup_log"' EXIT

# Adds the counts in a suite's closing lines. A suite that exits with an error and counts no failure is one failure.
count() {
  local status=$1 ok bad
  ok=$(sed -nE 's/^test result: [a-zA-Z]+\. ([0-9]+) passed; ([0-9]+) failed.*/\1/p; s/^([0-9]+) passed, ([0-9]+) failed.*/\1/p; s/^(=+ )?([0-9]+ failed, )?([0-9]+) passed.* in [0-9.]+s.*/\3/p' "$log" | paste -sd+ - | bc)
  bad=$(sed -nE 's/^test result: [a-zA-Z]+\. ([0-9]+) passed; ([0-9]+) failed.*/\2/p; s/^([0-9]+) passed, ([0-9]+) failed.*/\2/p; s/^(=+ )?([0-9]+) failed.* in [0-9.]+s.*/\2/p' "$log" | paste -sd+ - | bc)
  passed=$((passed + ${ok:-0}))
  failed=$((failed + ${bad:-0}))
  if [ "$status" -ne 0 ] && [ "${bad:-0}" -eq 0 ]; then failed=$((failed + 1)); fi
}

suite() {
  local title=$1 start=$SECONDS status
  echo
  echo "== $title"
  shift
  "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  count "$status"
  echo "== $((SECONDS - start)) s: $title"
}

# With the tests, because their features differ: a build of the program alone would compile its dependencies twice.
cargo build --workspace --bins --tests || exit 1
binary=target/debug/blobfish
python=tests/.venv/bin/python

suite "Rust: unit, vectors, cases, properties, tidy, store" cargo test --workspace --quiet
if ! wait "$setup"; then
  cat "$setup_log"
  echo "$passed passed, $((failed + 1)) failed"
  exit 1
fi
suite "Instructions of six requests, counted by valgrind" cargo bench --quiet -p blobfish-dialects --profile costs --bench instructions
suite "Vendor doubles with the vendors' own SDKs, without the proxy" "$python" -m pytest -q tests/vendors
suite "Front door: the right bucket for every host, and empty uploads" "$python" tests/clients/front_door.py --binary "$binary"
suite "Values arrive as sent: checksums, CRC-64, metadata, digests" "$python" tests/clients/values.py --binary "$binary"
suite "Explain: what it prints is what the proxy does" "$python" tests/clients/explained.py --binary "$binary"
suite "Rejections: error codes, and no request to a target" "$python" tests/clients/refusals.py --binary "$binary"
suite "Matrix: 4 caller dialects x 4 targets x 2 copy operations" "$python" tests/clients/matrix.py --binary "$binary"
suite "Clients: unmodified SDKs against demo, SeaweedFS and the doubles" "$python" tests/clients/run.py --binary "$binary"
suite "Bucket settings: stored as set, or rejected by name" "$python" tests/clients/bucket_settings.py --binary "$binary"
suite "Less common operations: versions, archives, locks, attributes, presigned URLs" "$python" tests/clients/rare_calls.py --binary "$binary"
suite "Parameters: pages of buckets, parts, empty values, ranges, encoded keys" "$python" tests/clients/limits.py --binary "$binary"
suite "A day of an application: 17 SDKs and command-line tools" "$python" tests/clients/day.py --binary "$binary"
suite "The demo store: parts, append, damaged files, full disks" "$python" tests/clients/demo_store.py --binary "$binary"
suite "Small parts, and bodies of unknown length" "$python" tests/clients/small_parts.py --binary "$binary"
suite "Applications: demo, SeaweedFS, and through another dialect" "$python" tests/clients/applications.py --binary "$binary"
suite "Copies between targets, and above their limits" "$python" tests/clients/copies.py --binary "$binary"
suite "Fidelity: S3 through two proxies and another dialect" "$python" tests/clients/fidelity.py --binary "$binary"
suite "Hot reload of the configuration" "$python" tests/clients/live.py --binary "$binary"
suite "Targets: circuit breaker, connections, DNS, mTLS, credentials" "$python" tests/clients/targets.py --binary "$binary"
suite "Isolation of clients: floods, slow and large bodies, failing objects" "$python" tests/clients/disturbances.py --binary "$binary"
suite "Invalid responses of targets: every kind, operation and dialect" "$python" tests/clients/nonsense.py --binary "$binary"
suite "Slow clients, slow and silent targets, connection limit, clock skew" "$python" tests/clients/slow.py --binary "$binary"
suite "TLS certificates, HTTP/2, load balancers" "$python" tests/clients/tls.py --binary "$binary"
suite "Doctor: healthy and faulty targets" "$python" tests/clients/doctor.py --binary "$binary"
suite "Command line: init, completions, help, version" "$python" tests/clients/command_line.py --binary "$binary"
suite "Schema of the configuration" "$python" tests/clients/schema.py --binary "$binary"
suite "Access log, traces, metrics" "$python" tests/clients/telemetry.py --binary "$binary"
suite "No secret in logs, metrics, traces, pages and responses" "$python" tests/clients/canary.py --binary "$binary"
suite "Upgrade and shutdown of a running proxy" "$python" tests/clients/upgrade.py --binary "$binary"
suite "Deployment: configurations, guides, chart, alerts, dashboard, unit, image" "$python" -m pytest -q tests/deploy --binary "$binary"
suite "Console: the page in Chromium, and requests of other web pages" "$python" tests/console/console.py --binary "$binary"
suite "TLS targets, metrics, logs" "$python" tests/clients/operations.py --binary "$binary"

echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
