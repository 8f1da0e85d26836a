"""The servers of the benchmark, on free ports of loopback: a target that returns fixed responses, nginx, HAProxy and Envoy in
front of it, and Blobfish with that target as S3, JD Cloud, COS and OSS."""

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import signed

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
import servers  # noqa: E402

# Envoy's filter has its credentials in the configuration, and must not look for a metadata service.
TOOLS = {**os.environ, "LD_LIBRARY_PATH": str(HERE / ".tools/lib"), "AWS_EC2_METADATA_DISABLED": "true"}
DIALECTS = ["s3", "jdcloud", "cos", "oss"]
WORKERS = os.cpu_count() or 1
TIME = "2026-01-02T03:04:05.000Z"
VENDOR_HOSTS = r"~^[a-z0-9-]+\.(cos\.ap-guangzhou|oss-cn-hangzhou|s3\.cn-north-1)\.localhost$"


@dataclass
class Server:
    name: str
    pid: int
    port: int
    tls_port: int = 0


def bucket(dialect):
    return f"to-{dialect}-1250000000"


# ---- The target

def listing(dialect, second, encoded):
    """A listing of 1,000 keys, the second version or the first."""
    name = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"' if dialect in ("s3", "jdcloud") else ""
    owner = "" if second else "<Owner><ID>1</ID><DisplayName>owner</DisplayName></Owner>"
    kind = "<Type>Normal</Type>" if dialect == "oss" else ""
    storage = "Standard" if dialect == "oss" else "STANDARD"
    rows = "".join(
        f'<Contents><Key>photos/2026/image-{number:04}.jpg</Key><LastModified>{TIME}</LastModified>'
        f'<ETag>"{hashlib.md5(str(number).encode()).hexdigest()}"</ETag>{kind}<Size>1024</Size>{owner}'
        f'<StorageClass>{storage}</StorageClass></Contents>' for number in range(1000))
    head = f"<Name>{bucket(dialect)}</Name><Prefix></Prefix>"
    head += "<KeyCount>1000</KeyCount>" if second else "<Marker></Marker>"
    head += "<MaxKeys>1000</MaxKeys><Delimiter></Delimiter>" + ("<EncodingType>url</EncodingType>" if encoded else "")
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult{name}>{head}<IsTruncated>false</IsTruncated>{rows}'
            "</ListBucketResult>")


def copied(etag):
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<CopyObjectResult><ETag>"{etag}"</ETag>'
            f"<LastModified>{TIME}</LastModified></CopyObjectResult>")


def deleted():
    rows = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in signed.DELETED)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult>{rows}</DeleteResult>'


def write_files(folder):
    objects, fixed = folder / "objects", folder / "fixed"
    objects.mkdir()
    fixed.mkdir()
    for key in signed.KEYS:
        (objects / key).write_bytes(signed.SMALL)
    (objects / "large").write_bytes(signed.LARGE)
    for dialect in DIALECTS:
        (folder / "path").mkdir(exist_ok=True)
        (folder / "path" / bucket(dialect)).symlink_to("../objects")
        for second in (False, True):
            for encoded in (False, True):
                name = f"list-{dialect}-{2 if second else 1}-{'url' if encoded else 'plain'}"
                (fixed / name).write_text(listing(dialect, second, encoded))
    (fixed / "copy").write_text(copied(hashlib.md5(signed.SMALL).hexdigest()))
    (fixed / "delete").write_text(deleted())


def nginx_head(folder, name):
    temporary = " ".join(f"{kind}_temp_path {folder}/tmp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return (f"daemon off; worker_processes {WORKERS}; worker_rlimit_nofile 20000; pid {folder}/{name}.pid; "
            f"error_log {folder}/{name}.err; events {{ worker_connections 16000; }}\n"
            f"http {{ {temporary} access_log off; sendfile on; keepalive_requests 100000000; keepalive_timeout 600; "
            "client_max_body_size 0; client_header_buffer_size 4k; large_client_header_buffers 8 32k;\n")


def target(folder, port, tls_port, inner):
    """The configuration of the target. An upload is read completely before the response: a second server on port `inner`
    returns the fixed response after that."""
    etags = {"small": hashlib.md5(signed.SMALL).hexdigest(), "large": hashlib.md5(signed.LARGE).hexdigest()}
    puts = "".join(f"location = /fixed/put-{size} {{ add_header ETag '\"{etag}\"'; return 200; }}\n"
                   for size, etag in etags.items())
    ids = "x-amz-request-id 0000000000000001", "x-oss-request-id 000000000000000000000001", "x-cos-request-id MDAwMQ=="
    ids = "".join(f"add_header {one};" for one in ids)
    objects = """
        location / {
            if ($kind = put) { rewrite ^ /fixed/put-$size? last; }
            if ($kind = copy) { rewrite ^ /fixed/copy? last; }
        }
        location ~ ^%s$ {
            if ($request_method = POST) { rewrite ^ /fixed/delete? last; }
            rewrite ^ /listings/list-$vendor-$version-$encoding? last;
        }
        location /listings/ { internal; alias %s/fixed/; default_type application/xml; }
        location /fixed/ {
            internal; proxy_pass http://inner; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_method GET; proxy_pass_request_body off; proxy_pass_request_headers off; proxy_set_header Content-Length "";
        }"""
    listen = f"listen 127.0.0.1:{port} backlog=4096 %s; listen 127.0.0.1:{tls_port} ssl backlog=4096 %s;"
    return nginx_head(folder, "target") + f"""
    default_type application/octet-stream; client_body_buffer_size 64k;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    map $host $vendor {{ default s3; ~\\.cos\\. cos; ~\\.oss-cn oss; ~\\.s3\\.cn jdcloud; }}
    map "$request_method|$http_x_amz_copy_source$http_x_cos_copy_source$http_x_oss_copy_source" $kind {{
        default read; ~^PUT\\|. copy; ~^PUT put; }}
    map $uri $size {{ default small; ~large large; }}
    map $args $version {{ default 1; ~list-type=2 2; }}
    map $args $encoding {{ default plain; ~encoding-type=url url; }}
    upstream inner {{ server 127.0.0.1:{inner}; keepalive 256; keepalive_requests 100000000; }}
    server {{ listen 127.0.0.1:{inner} backlog=4096; root {folder}; default_type application/xml; {puts} }}
    server {{ {listen % ("default_server", "default_server")} root {folder}/path; {ids} {objects % ("/[^/]+/?", folder)} }}
    server {{ {listen.replace(" backlog=4096", "") % ("", "")} server_name {VENDOR_HOSTS};
        root {folder}/objects; {ids} {objects % ("/", folder)} }}
}}
"""


# ---- What stands in front of it

def plain_nginx(folder, port, tls_port, back, back_tls):
    return nginx_head(folder, "nginx") + f"""
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key; ssl_protocols TLSv1.2 TLSv1.3;
    upstream back {{ server 127.0.0.1:{back}; keepalive 256; keepalive_requests 100000000; }}
    upstream back_tls {{ server 127.0.0.1:{back_tls}; keepalive 256; keepalive_requests 100000000; }}
    server {{ listen 127.0.0.1:{port} backlog=4096; listen 127.0.0.1:{tls_port} ssl backlog=4096;
        location / {{ proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_request_buffering off; proxy_max_temp_file_size 0; }}
        location /{bucket("tls")}/ {{
            rewrite ^/[^/]+(/.*)$ /{bucket("s3")}$1 break;
            proxy_pass https://back_tls; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_ssl_verify on; proxy_ssl_trusted_certificate {folder}/ca.pem; proxy_ssl_name localhost; }} }}
}}
"""


def plain_haproxy(folder, port, tls_port, back):
    return f"""global
  nbthread {WORKERS}
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 60s
frontend front
  bind 127.0.0.1:{port} backlog 4096
  bind 127.0.0.1:{tls_port} ssl crt {folder}/both.pem
  default_backend back
backend back
  http-reuse always
  server target 127.0.0.1:{back}
"""


def signing_envoy(port, back):
    """Envoy with its filter for AWS signatures: it signs, and neither verifies nor translates."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    return f"""static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {kind}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: back, timeout: 0s}}}}]}}]}}
          http_filters:
          - name: envoy.filters.http.aws_request_signing
            typed_config:
              "@type": {kind}.http.aws_request_signing.v3.AwsRequestSigning
              service_name: s3
              region: us-east-1
              use_unsigned_payload: true
              credential_provider:
                custom_credential_provider_chain: true
                inline_credential: {{access_key_id: {servers.TARGET_KEY}, secret_access_key: {servers.TARGET_SECRET}}}
              host_rewrite: 127.0.0.1:{back}
          - name: envoy.filters.http.router
            typed_config: {{"@type": {kind}.http.router.v3.Router}}
  clusters:
  - name: back
    type: STATIC
    circuit_breakers: {{thresholds: [{{max_connections: 10000, max_pending_requests: 10000, max_requests: 10000}}]}}
    load_assignment: {{cluster_name: back, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {back}}}}}}}}}]}}]}}
"""


def blobfish(folder, back, back_tls, tls_port):
    """With the access log on, and limits that one client address of this benchmark does not reach."""
    targets = [servers.one_target("seaweedfs" if kind == "s3" else kind, back, name=kind) for kind in DIALECTS]
    targets[0] = targets[0].replace('profile = "seaweedfs"\n', "")
    targets.append(servers.one_target("seaweedfs", back_tls, name="tls", scheme="https", ca=f"{folder}/ca.pem")
                   .replace('profile = "seaweedfs"\n', ""))
    buckets = [f'[[bucket]]\nname = "{bucket(name)}"\ntarget = "{name}"\n' for name in DIALECTS]
    buckets.append(f'[[bucket]]\nname = "{bucket("tls")}"\ntarget = "tls"\ntarget_bucket = "{bucket("s3")}"\n')
    https = f'https = [{{ address = "127.0.0.1:{tls_port}", cert = "{folder}/server.pem", key = "{folder}/server.key" }}]\n'
    limits = "[limits]\nconnections_per_address_max = 10000\nkeepalive_timeout_seconds = 600\n"
    text = servers.configuration(targets, buckets)
    return text.replace("[admin]\n", https + limits + "[admin]\n", 1)


def certificates(folder):
    """A certificate authority, and an EC certificate for 127.0.0.1 as all servers of the benchmark have it."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Benchmark authority")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    Path(folder, "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-out", "server.pem", "-extfile", "names")
    Path(folder, "both.pem").write_text(Path(folder, "server.pem").read_text() + Path(folder, "server.key").read_text())
    for name in ("server.key", "ca.key", "both.pem"):
        Path(folder, name).chmod(0o600)


def find_envoy():
    return next((HERE / ".venv/lib").glob("python*/site-packages/envoy/_bin/envoy"))


def start(running, binary):
    """Starts everything. Returns the servers under load by their names."""
    folder = Path(tempfile.mkdtemp(prefix="blobfish-bench-"))
    folder.chmod(0o755)
    # An idle process that stops last and removes the folder with it.
    running.started.append(servers.Process(subprocess.Popen(["sleep", "infinity"]), str(folder)))
    (folder / "tmp").mkdir()
    write_files(folder)
    certificates(folder)
    subprocess.run(["chmod", "-R", "a+rX", *(str(folder / name) for name in ("objects", "fixed", "path"))], check=True)
    (folder / "tmp").chmod(0o777)
    ports = servers.free_ports(9)
    back, back_tls, inner = ports[:3]

    def run(name, command, port, tls_port=0):
        log = Path(folder, name + ".log")
        child = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, env=TOOLS, cwd=folder)
        running.started.append(servers.Process(child, "", port, log=log))
        try:
            servers.wait_for(lambda: servers.connects(port), 20, name)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; its log: {log.read_text()[-2000:]}") from error
        return Server(name, child.pid, port, tls_port)

    def write(name, text):
        path = folder / name
        path.write_text(text)
        return str(path)

    tools = HERE / ".tools/bin"
    run("target", [tools / "nginx", "-p", folder, "-c", write("target.conf", target(folder, back, back_tls, inner))], back)
    found = {"nginx": run("nginx", [tools / "nginx", "-p", folder, "-c", write(
        "nginx.conf", plain_nginx(folder, ports[3], ports[4], back, back_tls))], ports[3], ports[4])}
    found["haproxy"] = run("haproxy", [tools / "haproxy", "-db", "-f", write(
        "haproxy.cfg", plain_haproxy(folder, ports[5], ports[6], back))], ports[5], ports[6])
    found["envoy"] = run("envoy", [find_envoy(), "--disable-hot-restart", "--concurrency", str(WORKERS), "-l", "error", "-c",
                                   write("envoy.yaml", signing_envoy(ports[7], back))], ports[7])
    try:
        proxy = running.proxy(binary, blobfish(folder, back, back_tls, ports[8]))
    except RuntimeError as error:
        raise RuntimeError(f"Blobfish; its log: {running.started[-1].log.read_text()[-2000:]}") from error
    found["blobfish"] = Server("blobfish", proxy.child.pid, proxy.port, ports[8])
    return folder, found


def versions(binary):
    def first(*command):
        done = subprocess.run(command, capture_output=True, text=True, env=TOOLS)
        return next(line for line in (done.stdout + done.stderr).splitlines() if line.strip()).strip()

    tools, programs = HERE / ".tools/bin", HERE / ".venv/bin"
    envoy = first(find_envoy(), "--version").rsplit("version: ", 1)[-1].split("/")[1]
    return {"Blobfish": first(binary, "--version").removeprefix("blobfish "), "nginx": first(tools / "nginx", "-v").rsplit("/", 1)[-1],
            "HAProxy": first(tools / "haproxy", "-v").split()[2], "Envoy": envoy,
            "wrk": first(tools / "wrk", "-v").split()[1], "rclone": first(programs / "rclone", "version").split()[-1],
            "at": formatdate(usegmt=True)}
