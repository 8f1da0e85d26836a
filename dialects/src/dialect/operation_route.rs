//! Which method, level and parameters select an operation.

use crate::model::Operation;

/// What a path may address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceLevel {
    /// The account.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// One row of a routing table.
#[derive(Debug, Clone, Copy)]
pub struct OperationRoute {
    /// HTTP method.
    pub method: &'static str,
    /// What is addressed.
    pub level: ResourceLevel,
    /// Parameters that must be there: a bare name, or `name=value`.
    pub parameters: &'static [&'static str],
    /// Whether the copy source header must be there (`Some(true)`) or must not (`Some(false)`).
    pub copy_source: Option<bool>,
    /// What it means.
    pub operation: Operation,
}

impl OperationRoute {
    /// A row without parameters.
    pub const fn new(method: &'static str, level: ResourceLevel, operation: Operation) -> Self {
        Self { method, level, parameters: &[], copy_source: None, operation }
    }

    /// A row with parameters.
    pub const fn with_parameters(
        method: &'static str,
        level: ResourceLevel,
        parameters: &'static [&'static str],
        operation: Operation,
    ) -> Self {
        Self { method, level, parameters, copy_source: None, operation }
    }

    /// The same row for requests that name a copy source, or do not.
    #[must_use]
    pub const fn with_source(mut self, required: bool) -> Self {
        self.copy_source = Some(required);
        self
    }
}
