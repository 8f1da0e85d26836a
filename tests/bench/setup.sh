#!/usr/bin/env bash
# Installs what the benchmark needs beside Rust and Python 3.11, in .venv and .tools of this folder: the peers, the load
# generator, and the SDKs that sign. Debian's packages are extracted and not installed, because installing nginx or HAProxy
# starts a server. A second run does nothing.
set -euo pipefail
cd "$(dirname "$0")"

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
python=$(command -v python3.11 || command -v python3)

getent hosts probe.localhost >/dev/null || { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends libnss-myhostname; }
"$python" -c 'import ensurepip' 2>/dev/null || { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends python3-venv; }

sum=$(sha256sum <requirements.txt)
if [ ! -f .venv/stamp ] || [ "$(cat .venv/stamp)" != "$sum" ]; then
  "$python" -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
  echo "$sum" >.venv/stamp
fi

# The libraries among the dependencies of these packages that are not installed.
missing_libraries() {
  apt-cache depends "$@" | sed -nE 's/^ *\|?Depends: (lib[^ ]+)$/\1/p' | sort -u | while read -r library; do
    dpkg-query -W -f '${Status}\n' "$library" 2>/dev/null | grep -q 'ok installed' || echo "$library"
  done
}

# bench.py sets LD_LIBRARY_PATH for the libraries.
programs=(nginx haproxy wrk)
if [ ! -f .tools/stamp ] || [ "$(cat .tools/stamp)" != "${programs[*]}" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  chmod 755 "$folder"
  $sudo apt-get update -qq
  first=$(missing_libraries "${programs[@]}")
  # shellcheck disable=SC2086 # several packages
  second=$([ -z "$first" ] || missing_libraries $first)
  for package in "${programs[@]}" $first $second; do
    # One of two alternatives may be missing in a release; the check below shows whether a program lacks a library.
    (cd "$folder" && apt-get -o APT::Sandbox::User=root download -qq "$package") || echo "not available: $package" >&2
  done
  rm -rf .tools
  for package in "$folder"/*.deb; do dpkg -x "$package" "$folder/files"; done
  mkdir -p .tools/bin .tools/lib
  install -m 755 "$folder"/files/usr/sbin/{nginx,haproxy} "$folder"/files/usr/bin/wrk .tools/bin
  find "$folder/files" -name '*.so.*' -exec cp -P {} .tools/lib \;
  for program in "${programs[@]}"; do
    if LD_LIBRARY_PATH=.tools/lib ldd ".tools/bin/$program" | grep 'not found'; then
      echo "$program lacks these libraries" >&2
      exit 1
    fi
  done
  echo "${programs[*]}" >.tools/stamp
fi
