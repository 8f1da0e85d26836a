//! The admin port: metrics, health checks, the console and its API, the explanation of a request.
//!
//! Uses: `request`, `target`, `telemetry`.

pub(crate) mod admin_api;
pub(crate) mod config_view;
pub(crate) mod explain;
pub(crate) mod status;
