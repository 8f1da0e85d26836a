//! Telemetry: metrics, access log, traces and their exporter, recent events. It takes plain values, so that every
//! other folder can use it.
//!
//! Uses: nothing.

pub(crate) mod access_log;
pub(crate) mod exporter;
pub(crate) mod metrics;
pub(crate) mod recent_events;
pub(crate) mod request_metrics;
pub(crate) mod traces;
