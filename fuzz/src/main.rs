//! One program for all fuzz targets: `BLOBFISH_FUZZ` names the one to run.
#![no_main]

#[path = "../../dialects/tests/fuzzed/targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("BLOBFISH_FUZZ").unwrap_or_default();
    targets::TARGETS.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("no target {name:?}")).1
});

fuzz_target!(|data: &[u8]| (TARGET)(data));
