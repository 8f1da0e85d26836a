//! Everything towards a target: its runtime state, connections, HTTP/1, DNS, circuit breaker, connection limit, health,
//! credentials and their refresh, certificates, errors. Also the connection to the trace collector.
//!
//! Uses: `telemetry`.

pub(crate) mod certificate_authorities;
pub(crate) mod circuit_breaker;
pub(crate) mod client;
pub(crate) mod client_certificate;
pub(crate) mod collector_client;
pub(crate) mod connection_limit;
pub(crate) mod connection_pool;
pub(crate) mod credential_fetch;
pub(crate) mod credential_refresher;
pub(crate) mod dns;
pub(crate) mod error;
pub(crate) mod health;
pub(crate) mod http1;
pub(crate) mod initiator;
pub(crate) mod issued_credentials;
pub(crate) mod runtime;
pub(crate) mod session;
pub(crate) mod socket_options;
