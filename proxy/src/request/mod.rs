//! One request from its head to its response: authentication, routing, the plan and its execution (streams, exchanges,
//! copies, relays, small parts, form uploads, CORS), and the limits of callers.
//!
//! Uses: `inbound`, `target`, `telemetry`.

pub(crate) mod active_config;
pub(crate) mod buffer_budget;
pub(crate) mod context;
pub(crate) mod copy;
pub(crate) mod cors_preflight;
pub(crate) mod cors_rules;
pub(crate) mod dispatch;
pub(crate) mod exchange;
pub(crate) mod exchange_driver;
pub(crate) mod fair_queue;
pub(crate) mod form_upload;
pub(crate) mod grants;
pub(crate) mod keepalive;
pub(crate) mod list_buckets;
pub(crate) mod rate_limit;
pub(crate) mod relay;
pub(crate) mod request_body;
pub(crate) mod routed_request;
pub(crate) mod routing;
pub(crate) mod running_copies;
pub(crate) mod server;
pub(crate) mod small_parts;
pub(crate) mod small_parts_cleanup;
pub(crate) mod spool;
pub(crate) mod streaming;
pub(crate) mod unknown_length_upload;
pub(crate) mod upload;
