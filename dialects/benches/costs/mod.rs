//! The costs of six requests that must not grow: a file with one line per request and kind of cost.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/costs.txt");

/// How much more than recorded is accepted, percent.
const TOLERANCE_PERCENT: u64 = 5;

/// Compares measured costs with the recorded ones. With `UPDATE=1` in the environment it records them.
pub(crate) fn compare(kind: &str, measured: &[(&str, u64)]) {
    let recorded = fs::read_to_string(FILE).unwrap_or_default();
    if std::env::var_os("UPDATE").is_some() {
        let others = recorded.lines().filter(|line| !line.starts_with(&format!("{kind} ")));
        let mut lines: Vec<String> = others.map(str::to_owned).collect();
        lines.extend(measured.iter().map(|(name, cost)| format!("{kind} {name} {cost}")));
        lines.sort();
        fs::write(Path::new(FILE), lines.join("\n") + "\n").unwrap();
        return;
    }
    let mut report = String::new();
    for (name, cost) in measured {
        let line = recorded.lines().find_map(|line| line.strip_prefix(&format!("{kind} {name} ")));
        let limit: u64 = line.unwrap_or_else(|| panic!("{FILE} has no {kind} of {name}")).parse().unwrap();
        if *cost * 100 > limit * (100 + TOLERANCE_PERCENT) {
            writeln!(report, "{name}: {cost} {kind}, recorded are {limit}").unwrap();
        }
    }
    assert!(
        report.is_empty(),
        "more than {TOLERANCE_PERCENT} % above tests/costs.txt:\n{report}UPDATE=1 accepts the costs"
    );
}
