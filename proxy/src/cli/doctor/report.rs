//! What was found, and how it is printed.

use std::cell::RefCell;
use std::fmt;
use std::io::Write as _;

use serde::Serialize;

/// Every check, in the order in which they are made.
pub const CHECKS: [&str; 20] = [
    "dns",
    "tcp",
    "tls",
    "credentials",
    "clock",
    "region",
    "bucket",
    "addressing",
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

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// It works, with something to know.
    Warning,
    /// It does not work, or not as the configuration relies on.
    Problem,
    /// It was not tried.
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

/// One thing that was found. Holds no secret and no signature.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Which of [`CHECKS`], or `clean-up`.
    pub check: &'static str,
    /// What it came to.
    pub outcome: CheckStatus,
    /// What was found, in one sentence.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What was found at one target.
#[derive(Debug, Serialize)]
struct TargetReport {
    name: String,
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    findings: Vec<Finding>,
}

/// All that was found. Text is printed as it comes, for a target that is not there takes its time.
pub struct Report {
    json: bool,
    targets: RefCell<Vec<TargetReport>>,
}

impl Report {
    /// An empty one.
    pub fn new(json: bool) -> Self {
        Self { json, targets: RefCell::default() }
    }

    /// What follows is about this target.
    pub fn begin_target(&self, name: &str, endpoint: String, bucket: Option<&str>) {
        match bucket {
            Some(bucket) => self.print(&format!("target {name}: {endpoint}, bucket {bucket}\n")),
            None => self.print(&format!("target {name}: {endpoint}\n")),
        }
        let (name, bucket) = (name.to_owned(), bucket.map(str::to_owned));
        self.targets.borrow_mut().push(TargetReport { name, endpoint, bucket, findings: Vec::new() });
    }

    /// As it should be.
    pub fn add_ok(&self, check: &'static str, message: impl Into<String>) {
        self.add_finding(check, CheckStatus::Ok, message.into(), None);
    }

    /// It works, with something to know.
    pub fn add_warning(&self, check: &'static str, message: impl Into<String>, advice: impl Into<String>) {
        self.add_finding(check, CheckStatus::Warning, message.into(), Some(advice.into()));
    }

    /// It does not work.
    pub fn add_problem(&self, check: &'static str, message: impl Into<String>, advice: impl Into<String>) {
        self.add_finding(check, CheckStatus::Problem, message.into(), Some(advice.into()));
    }

    /// It was not tried.
    pub fn add_skipped(&self, check: &'static str, why: impl Into<String>) {
        self.add_finding(check, CheckStatus::Skipped, why.into(), None);
    }

    /// Whatever was not found out about this target was not tried, for this reason.
    pub fn skip_rest(&self, why: &str) {
        let is_reported = |check: &str| {
            let targets = self.targets.borrow();
            targets.last().is_some_and(|target| target.findings.iter().any(|one| one.check == check))
        };
        CHECKS.into_iter().filter(|check| !is_reported(check)).for_each(|check| self.add_skipped(check, why));
    }

    fn add_finding(
        &self,
        check: &'static str,
        outcome: CheckStatus,
        message: String,
        advice: Option<String>,
    ) {
        let mut text = format!("  {outcome:<8} {check:<12} {message}\n");
        if let Some(advice) = &advice {
            text += &format!("{:24}{advice}\n", "");
        }
        self.print(&text);
        if let Some(target) = self.targets.borrow_mut().last_mut() {
            target.findings.push(Finding { check, outcome, message, advice });
        }
    }

    fn print(&self, text: &str) {
        if !self.json {
            // A reader that went is no fault of ours; the scratch objects are still to be deleted.
            let _ = std::io::stdout().write_all(text.as_bytes());
        }
    }

    fn count(&self, outcome: CheckStatus) -> usize {
        let targets = self.targets.borrow();
        targets.iter().flat_map(|target| &target.findings).filter(|one| one.outcome == outcome).count()
    }

    /// What is left to print, and whether no problem was found.
    pub fn finish(self) -> (String, bool) {
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
            format!("{ok} ok, {warnings} warnings, {problems} problems, {skipped} skipped\n")
        };
        (text, problems == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_tried_is_reported_once_each() {
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
