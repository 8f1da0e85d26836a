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

# The programs, and the libraries of theirs that a small system does not have. bench.py sets LD_LIBRARY_PATH for them.
packages=(nginx haproxy wrk libluajit-5.1-2 liblua5.3-0 libopentracing1 libopentracing-c-wrapper0 libpcre2-8-0)
if [ ! -f .tools/stamp ] || [ "$(cat .tools/stamp)" != "${packages[*]}" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  chmod 755 "$folder"
  $sudo apt-get update -qq
  (cd "$folder" && apt-get -o APT::Sandbox::User=root download -qq "${packages[@]}")
  rm -rf .tools
  for package in "$folder"/*.deb; do dpkg -x "$package" "$folder/files"; done
  mkdir -p .tools/bin .tools/lib
  install -m 755 "$folder"/files/usr/sbin/{nginx,haproxy} "$folder"/files/usr/bin/wrk .tools/bin
  find "$folder/files/usr/lib" -name '*.so.*' -exec cp -P {} .tools/lib \;
  echo "${packages[*]}" >.tools/stamp
fi
