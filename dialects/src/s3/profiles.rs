//! Servers that speak S3 with stated differences, as targets. Section 11 of the S3 reference.

use crate::engine::dialect::{Absent, Dialect};
use crate::model::{Operation, Setting};

/// Amazon S3 itself.
pub static AWS: Dialect = Dialect { name: "aws", settings_known: true, ..super::BASE };

/// SeaweedFS: a copy keeps the class of its source unless it is told another. What is asked about websites, and what sets
/// who pays, is taken for requests about the bucket itself.
pub static SEAWEEDFS: Dialect = Dialect {
    name: "seaweedfs",
    absent: Absent { class_always_said: true, ..super::absent::ABSENT },
    lacks_calls: &[
        Operation::Get(Setting::Website),
        Operation::Put(Setting::Website),
        Operation::Delete(Setting::Website),
        Operation::Put(Setting::RequestPayment),
    ],
    endpoint: None,
    ..super::BASE
};
