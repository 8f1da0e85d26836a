//! Connections of clients and what arrives on them: HTTP/1 heads and chunked bodies, HTTP/2 streams, the PROXY
//! protocol and forwarded addresses, limits per address, TLS certificates, shutdown. Knows no buckets or targets.
//!
//! Uses: `telemetry`.

pub mod certificates;
pub mod chunked_body;
pub mod connection;
pub mod connection_error;
pub mod connections_per_address;
pub mod file_descriptors;
pub mod http2;
pub mod http2_flood;
pub mod http2_stream;
pub mod proxy_protocol;
pub mod request_head;
pub mod shutdown;
