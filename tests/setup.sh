#!/usr/bin/env bash
# Installs what the suites need beside Rust, Python 3.11 and Node: names below localhost, the SDKs, a browser. A second run
# does nothing.
set -euo pipefail
cd "$(dirname "$0")"

apt_install() {
  local sudo=
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  $sudo apt-get update -qq
  $sudo apt-get install -y -qq --no-install-recommends "$@"
}

getent hosts probe.localhost >/dev/null || apt_install libnss-myhostname
getent hosts probe.localhost >/dev/null || { echo "names below localhost do not resolve: see the hosts line of nsswitch.conf" >&2; exit 1; }
command -v openssl >/dev/null || apt_install openssl
command -v npm >/dev/null || apt_install nodejs npm
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then apt_install chromium chromium-driver; fi
python=$(command -v python3.11 || command -v python3)
"$python" -c 'import ensurepip' 2>/dev/null || apt_install python3-venv

# Runs a command again only when the files that it follows have changed.
once() {
  local stamp=$1 files=$2 sum
  shift 2
  # shellcheck disable=SC2086 # several files
  sum=$(cat $files | sha256sum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return
  "$@"
  echo "$sum" >"$stamp"
}

python_packages() {
  "$python" -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check -r clients/requirements.txt -r vendors/requirements.txt -r console/requirements.txt
}

node_packages() {
  npm ci --prefix clients/node --no-audit --no-fund --silent
}

once .venv/stamp "clients/requirements.txt vendors/requirements.txt console/requirements.txt" python_packages
once clients/node/node_modules/.stamp "clients/node/package-lock.json" node_packages
