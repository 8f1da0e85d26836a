//! One request from its head to its response: authentication, routing, the plan and its execution (streams, exchanges,
//! copies, relays, small parts, form uploads, CORS), and the limits of callers.
//!
//! Uses: `inbound`, `target`, `telemetry`.

pub mod active_config;
pub mod buffer_budget;
pub mod context;
pub mod copy;
pub mod cors_preflight;
pub mod cors_rules;
pub mod dispatch;
pub mod exchange;
pub mod exchange_driver;
pub mod fair_queue;
pub mod form_upload;
pub mod grants;
pub mod keepalive;
pub mod list_buckets;
pub mod rate_limit;
pub mod relay;
pub mod request_body;
pub mod routed_request;
pub mod routing;
pub mod running_copies;
pub mod server;
pub mod small_parts;
pub mod small_parts_cleanup;
pub mod spool;
pub mod streaming;
pub mod unknown_length_upload;
pub mod upload;
