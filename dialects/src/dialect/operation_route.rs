//! The method, the level and the query parameters that select an operation.

use crate::model::Operation;

/// What the path of a request addresses.
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
    /// What the path addresses.
    pub level: ResourceLevel,
    /// Required query parameters: a name, or `name=value`.
    pub parameters: &'static [&'static str],
    /// Whether the request must have a copy source header (`Some(true)`) or must not have one (`Some(false)`).
    // PutObject and CopyObject, like UploadPart and UploadPartCopy, differ only in this header.
    pub copy_source: Option<bool>,
    /// The operation.
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

    /// The same row, only for requests with a copy source, or only for requests without one.
    #[must_use]
    pub const fn with_source(mut self, required: bool) -> Self {
        self.copy_source = Some(required);
        self
    }
}
