//! Limits the instructions of six requests, counted by valgrind, so that the result does not depend on the speed or load
//! of the machine. `cargo bench -p blobfish-dialects --profile costs --bench instructions` compares them with
//! `tests/costs.txt`, and rewrites the file with `UPDATE=1`. It needs valgrind. The counts are those of x86-64.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod costs;
mod requests;

use std::path::Path;
use std::process::Command;

use divan::black_box;
use requests::SampleRequest;

/// Set for the process that valgrind runs: the name of its request.
const REQUEST_VARIABLE: &str = "BLOBFISH_COSTS_REQUEST";

fn main() {
    if let Ok(name) = std::env::var(REQUEST_VARIABLE) {
        return process_twice(&name);
    }
    if !cfg!(target_arch = "x86_64") {
        println!("skipped: the recorded counts are those of x86-64");
        return;
    }
    let measured = requests::NAMES.map(|name| (name, count_instructions(name)));
    for (name, instructions) in measured {
        println!("{name}: {instructions} instructions");
    }
    costs::compare("instructions", &measured);
    println!("{} passed, 0 failed", measured.len());
}

/// Processes a request twice. Valgrind counts the second time: the first one also initializes statics.
fn process_twice(name: &str) {
    let sample = SampleRequest::load(name);
    drop(black_box(sample.process()));
    process_counted(&sample);
}

#[inline(never)]
fn process_counted(sample: &SampleRequest) {
    drop(black_box(sample.process()));
}

fn count_instructions(name: &str) -> u64 {
    let out_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind.{name}"));
    let program = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*process_counted*"])
        .arg(format!("--callgrind-out-file={}", out_file.display()))
        .arg(program)
        .env(REQUEST_VARIABLE, name)
        .output()
        .unwrap_or_else(|error| panic!("cannot run valgrind: {error}"));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let collected = log.lines().find_map(|line| line.split_once("Collected :"));
    collected.unwrap_or_else(|| panic!("{log}")).1.trim().parse().unwrap()
}
