//! Servers that speak S3 with stated differences, as targets. Section 11 of the S3 reference.

use crate::engine::dialect::{Absent, Dialect};

/// SeaweedFS: a copy keeps the class of its source unless it is told another.
pub static SEAWEEDFS: Dialect = Dialect {
    name: "seaweedfs",
    absent: Absent { class_always_said: true, ..super::absent::ABSENT },
    ..super::BASE
};
