"""A trace collector on loopback. It accepts OTLP over HTTP as protobuf, and can be busy or silent."""

import http.server
import ssl
import threading
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

KINDS = {2: "server", 3: "client"}


class Span:
    """One span, with its attributes as a dictionary."""

    def __init__(self, span, resource):
        self.name, self.kind = span.name, KINDS[span.kind]
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.state, self.links = span.trace_state, [link.trace_id.hex() for link in span.links]
        self.attributes, self.resource = read_attributes(span.attributes), resource
        self.status, self.seconds = span.status.code, (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9

    def __getitem__(self, name):
        return self.attributes.get(name)

    def __repr__(self):
        return f"{self.kind} {self.name} {self.attributes}"


def read_attributes(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


class Collector:
    """`exports` has the request bodies, `heads` the headers of each. `status` is the status to return, or "silent"."""

    def __init__(self, status=200, rejected=0, cert=None, key=None):
        self.status, self.rejected, self.exports, self.heads, self.paths = status, rejected, [], [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if outer.status == "silent":
                    time.sleep(30)
                    return
                outer.exports.append(body)
                outer.heads.append(dict(self.headers))
                outer.paths.append(self.path)
                response = ExportTraceServiceResponse()
                if outer.rejected:
                    response.partial_success.rejected_spans = outer.rejected
                document = response.SerializeToString()
                self.send_response(outer.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = f"https://collector.localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def spans(self):
        """All received spans."""
        found = []
        for body in self.exports:
            for row in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = read_attributes(row.resource.attributes)
                found += [Span(span, resource) for scope in row.scope_spans for span in scope.spans]
        return found
