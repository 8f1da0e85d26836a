#!/usr/bin/env bash
# Runs each fuzz target for SECONDS_EACH seconds, guided by coverage, starting from tests/corpus and the golden cases. An input
# that fails is written to fuzz/artifacts: add it to tests/corpus together with the fix (fuzz/README.md).
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
cases() { # TARGET CASE: a first byte for the pair, the request, and for some targets the response
  case $(grep -i '^host:' "$2/request.http") in
    *amazonaws*) printf '\x00' ;;
    *jdcloud*) printf '\x01' ;;
    *myqcloud*) printf '\x02' ;;
    *) printf '\x03' ;;
  esac
  cat "$2/request.http"
  if [ "$1" = exchange ]; then
    printf '\n----\n\n----\n'
    sed '1s/^HTTP[^ ]* //' "$2/answer.http"
  fi
}
for target in ${TARGETS:-translation authentication exchange chunks form xml}; do
  folder=fuzz/corpus/$target
  mkdir -p "$folder"
  for case in tests/cases/*/; do
    case $target in translation | exchange) cases "$target" "$case" >"$folder/$(basename "$case")" ;; esac
  done
  # The crates need no newer compiler, only the unstable flags that instrument them for libFuzzer.
  RUSTC_BOOTSTRAP=1 BLOBFISH_FUZZ=$target cargo fuzz run --sanitizer none any "$folder" "tests/corpus/$target" -- \
    -max_total_time="${SECONDS_EACH:-60}" -max_len=8192 -artifact_prefix="fuzz/artifacts/$target-" -print_final_stats=1
done
