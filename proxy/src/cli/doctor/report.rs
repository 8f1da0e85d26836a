//! The findings, and how they are printed.

use std::cell::RefCell;
use std::fmt;
use std::io::Write as _;

use serde::Serialize;

/// Every check, in order.
pub(super) const CHECKS: [&str; 20] = [
    "dns",
    "tcp",
    "tls",
    "credentials",
    "clock",
    "region",
    "addressing",
    "bucket",
    "versioning",
    "small parts",
    "put",
    "head",
    "get",
    "checksum",
    "copy",
    "conditions",
    "overwrite",
    "part copy",
    "tags",
    "limits",
];

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckStatus {
    /// It works.
    Ok,
    /// It works with a restriction.
    Warning,
    /// It does not work, or not as the configuration requires.
    Problem,
    /// The check did not run.
    Skipped,
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Skipped => "skipped",
        })
    }
}

/// The result of one check. It contains no secret and no signature.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// Which of [`CHECKS`], or `clean-up`.
    pub check: &'static str,
    /// The outcome.
    pub outcome: CheckStatus,
    /// The result in one sentence.
    pub message: String,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// The findings of one target.
#[derive(Debug, Serialize)]
struct TargetReport {
    name: String,
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    findings: Vec<Finding>,
}

/// All findings. Text is printed immediately, because checks of an unreachable target take long.
pub(super) struct Report {
    json: bool,
    targets: RefCell<Vec<TargetReport>>,
}

impl Report {
    /// Creates an empty report.
    pub(super) fn new(json: bool) -> Self {
        Self { json, targets: RefCell::default() }
    }

    /// Begins the findings of a target.
    pub(super) fn begin_target(&self, name: &str, endpoint: String, bucket: Option<&str>) {
        match bucket {
            Some(bucket) => self.print(&format!("target {name}: {endpoint}, bucket {bucket}\n")),
            None => self.print(&format!("target {name}: {endpoint}\n")),
        }
        let (name, bucket) = (name.to_owned(), bucket.map(str::to_owned));
        self.targets.borrow_mut().push(TargetReport { name, endpoint, bucket, findings: Vec::new() });
    }

    /// Adds a finding that is as it should be.
    pub(super) fn add_ok(&self, check: &'static str, message: impl Into<String>) {
        self.add_finding(check, CheckStatus::Ok, message.into(), None);
    }

    /// Adds a finding that works with a restriction.
    pub(super) fn add_warning(
        &self,
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add_finding(check, CheckStatus::Warning, message.into(), Some(advice.into()));
    }

    /// Adds a finding that does not work.
    pub(super) fn add_problem(
        &self,
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add_finding(check, CheckStatus::Problem, message.into(), Some(advice.into()));
    }

    /// Adds a check that did not run.
    pub(super) fn add_skipped(&self, check: &'static str, why: impl Into<String>) {
        self.add_finding(check, CheckStatus::Skipped, why.into(), None);
    }

    /// Adds every check without a finding as skipped, for this reason.
    pub(super) fn skip_rest(&self, why: &str) {
        let is_reported = |check: &str| {
            let targets = self.targets.borrow();
            targets.last().is_some_and(|target| target.findings.iter().any(|one| one.check == check))
        };
        let skipped: Vec<_> = CHECKS.into_iter().filter(|check| !is_reported(check)).collect();
        // As text, one line for all of them: of an unreachable target they would be eighteen equal lines.
        match skipped.len() {
            0 => {}
            1 => skipped.into_iter().for_each(|check| self.add_skipped(check, why)),
            count => {
                self.print(&format_line(CheckStatus::Skipped, &format!("{count} checks"), why));
                for check in skipped {
                    self.record_finding(check, CheckStatus::Skipped, why.to_owned(), None);
                }
            }
        }
    }

    fn add_finding(
        &self,
        check: &'static str,
        outcome: CheckStatus,
        message: String,
        advice: Option<String>,
    ) {
        let mut text = format_line(outcome, check, &message);
        if let Some(advice) = &advice {
            text += &format!("{:24}{advice}\n", "");
        }
        self.print(&text);
        self.record_finding(check, outcome, message, advice);
    }

    fn record_finding(
        &self,
        check: &'static str,
        outcome: CheckStatus,
        message: String,
        advice: Option<String>,
    ) {
        if let Some(target) = self.targets.borrow_mut().last_mut() {
            target.findings.push(Finding { check, outcome, message, advice });
        }
    }

    fn print(&self, text: &str) {
        if !self.json {
            // If the reader of a pipe has exited, continue anyway: the scratch objects must still be deleted.
            let _ = std::io::stdout().write_all(text.as_bytes());
        }
    }

    fn count(&self, outcome: CheckStatus) -> usize {
        let targets = self.targets.borrow();
        targets.iter().flat_map(|target| &target.findings).filter(|one| one.outcome == outcome).count()
    }

    /// Returns the rest of the output, and whether there was no problem.
    pub(super) fn finish(self) -> (String, bool) {
        let [ok, warnings, problems, skipped] =
            [CheckStatus::Ok, CheckStatus::Warning, CheckStatus::Problem, CheckStatus::Skipped]
                .map(|one| self.count(one));
        let text = if self.json {
            let targets = &*self.targets.borrow();
            let all = serde_json::json!({
                "targets": targets, "ok": ok, "warnings": warnings, "problems": problems, "skipped": skipped,
            });
            format!("{all:#}\n")
        } else {
            let (warnings, problems_text) =
                (format_count(warnings, "warning"), format_count(problems, "problem"));
            format!("{ok} ok, {warnings}, {problems_text}, {skipped} skipped\n")
        };
        (text, problems == 0)
    }
}

fn format_line(outcome: CheckStatus, check: &str, message: &str) -> String {
    format!("  {outcome:<8} {check:<12} {message}\n")
}

/// Formats a count with a noun in the singular or plural.
fn format_count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_checks_are_reported_once() {
        let report = Report::new(true);
        report.begin_target("one", "http://localhost:1".to_owned(), None);
        report.add_problem("dns", "no address", "look");
        report.skip_rest("no address");
        assert_eq!(report.count(CheckStatus::Skipped), CHECKS.len() - 1);
        report.begin_target("two", "http://localhost:2".to_owned(), None);
        report.skip_rest("interrupted");
        let (text, is_fine) = report.finish();
        assert!(!is_fine);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["targets"][1]["findings"].as_array().unwrap().len(), CHECKS.len());
        assert_eq!(value["targets"][0]["findings"][0]["outcome"], "problem");
    }
}
