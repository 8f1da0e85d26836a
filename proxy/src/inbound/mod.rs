//! Connections of clients and what arrives on them: HTTP/1 heads and chunked bodies, HTTP/2 streams, the PROXY
//! protocol and forwarded addresses, limits per address, TLS certificates, shutdown. Independent of buckets and
//! targets.
//!
//! Uses: `telemetry`.

pub(crate) mod certificates;
pub(crate) mod connection;
pub(crate) mod connection_error;
pub(crate) mod connections_per_address;
pub(crate) mod file_descriptors;
pub(crate) mod http2;
pub(crate) mod http2_flood;
pub(crate) mod http2_stream;
pub(crate) mod proxy_protocol;
pub(crate) mod request_head;
pub(crate) mod shutdown;
