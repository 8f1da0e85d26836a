//! The recent events of the console: rejections, lost fields and aborted responses.
//!
//! A request without such an event is not recorded. An event contains no query, header, key or bucket: its request ID
//! leads to the line of the access log.

use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Serialize;

use crate::telemetry::access_log;
use crate::telemetry::access_log::AccessRecord;

/// Maximum number of events in memory.
const EVENTS_MAX: usize = 200;

/// Maximum length of a message in characters.
const MESSAGE_CHARACTERS_MAX: usize = 400;

/// The events of this process.
pub(crate) static EVENTS: LazyLock<Events> = LazyLock::new(Events::default);

/// What is recorded of an event while its request runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventNote {
    /// `rejected`, `lost` or `aborted`.
    pub kind: &'static str,
    /// The error kind, or the field.
    pub reason: String,
    /// The message of the error, or the reason.
    pub message: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are the keys of the JSON response")]
pub(crate) struct Event {
    pub time: String,
    pub id: String,
    pub caller: Option<String>,
    pub caller_dialect: &'static str,
    pub target: Option<String>,
    pub operation: Option<&'static str>,
    pub status: u16,
    pub kind: &'static str,
    pub reason: String,
    pub message: String,
}

/// The recent events.
#[derive(Default)]
pub(crate) struct Events(Mutex<VecDeque<Event>>);

impl Events {
    /// Records the events of a request that has ended.
    pub(crate) fn record_notes(&self, record: &AccessRecord, notes: Vec<EventNote>) {
        if notes.is_empty() {
            return;
        }
        // The events of one request share its end time, as in the access log.
        let time = access_log::format_timestamp(crate::clock::now_ms());
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for EventNote { kind, reason, message } in notes {
            if events.len() >= EVENTS_MAX {
                events.pop_front();
            }
            events.push_back(Event {
                time: time.clone(),
                id: record.id.clone(),
                caller: record.caller.clone(),
                caller_dialect: record.dialect,
                target: record.target.clone(),
                operation: record.operation,
                status: record.status,
                kind,
                reason,
                message: redact_message(&message),
            });
        }
    }

    /// Lists the events, latest first.
    pub(crate) fn list(&self) -> Vec<Event> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().rev().cloned().collect()
    }
}

/// Removes what a message quotes of a form upload's policy, because the policy may contain a token.
fn redact_message(message: &str) -> String {
    // The messages of form uploads quote the failed condition of the policy as JSON, after their own text.
    let prefix = message.split_once(['[', '{']).map(|(own, _)| format!("{own}..."));
    access_log::escape_name(prefix.as_deref().unwrap_or(message))
        .chars()
        .take(MESSAGE_CHARACTERS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_note(message: &str) -> EventNote {
        EventNote { kind: "rejected", reason: "AccessDenied".to_owned(), message: message.to_owned() }
    }

    #[test]
    fn latest_events_are_kept_and_listed_first() {
        let events = Events::default();
        for number in 0..EVENTS_MAX + 5 {
            events.record_notes(
                &AccessRecord { id: number.to_string(), ..AccessRecord::default() },
                vec![make_note("no")],
            );
        }
        let ids: Vec<String> = events.list().into_iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), EVENTS_MAX);
        assert_eq!(ids.first().zip(ids.last()), Some((&"204".to_owned(), &"5".to_owned())));
    }

    #[test]
    fn request_without_notes_is_not_recorded() {
        let events = Events::default();
        events.record_notes(&AccessRecord::default(), Vec::new());
        assert!(events.list().is_empty());
    }

    #[test]
    fn quoted_policies_are_removed() {
        assert_eq!(redact_message("Condition failed: [\"eq\", \"$token\", \"x\"]"), "Condition failed: ...");
        assert_eq!(redact_message("a\nb"), "a\\nb");
        assert!(redact_message(&"x".repeat(5000)).len() <= MESSAGE_CHARACTERS_MAX);
    }
}
