//! One program for all fuzz targets; the environment variable `BLOBFISH_FUZZ` selects the one to run.
#![no_main]

#[path = "../../dialects/tests/fuzz_targets/targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("BLOBFISH_FUZZ").unwrap_or_default();
    targets::TARGETS.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("no target {name:?}")).1
});

fuzz_target!(|data: &[u8]| (TARGET)(data));
