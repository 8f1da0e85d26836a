//! Everything towards a target: its runtime state, connections, HTTP/1, DNS, circuit breaker, connection limit, health,
//! credentials and their refresh, certificates, errors. Also the connection to the collector of traces.
//!
//! Uses: `telemetry`.

pub mod certificate_authorities;
pub mod circuit_breaker;
pub mod client;
pub mod client_certificate;
pub mod collector_client;
pub mod connection_limit;
pub mod credential_fetch;
pub mod credential_refresher;
pub mod dns;
pub mod error;
pub mod health;
pub mod http1;
pub mod initiator;
pub mod issued_credentials;
pub mod runtime;
pub mod socket_options;
