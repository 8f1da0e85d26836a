//! The last refusals, losses and broken answers, for people who look at the console.
//!
//! Only what went wrong comes here, after its caller was told; a request that goes well never does. An event holds no
//! query, header, key or bucket: its id leads to the line of the access log.

use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Serialize;

use crate::telemetry::access_log;
use crate::telemetry::access_log::AccessRecord;

/// Events that are kept.
const EVENTS_MAX: usize = 200;

/// Characters of a message.
const MESSAGE_CHARACTERS_MAX: usize = 400;

/// The events of this process.
pub static EVENTS: LazyLock<Events> = LazyLock::new(Events::default);

/// What is worth an event while a request runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventNote {
    /// `refused`, `lost` or `cut`.
    pub kind: &'static str,
    /// The fault, or the field.
    pub reason: String,
    /// What the caller is told, or why.
    pub message: String,
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are the keys of the answer")]
pub struct Event {
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

/// The last events.
#[derive(Default)]
pub struct Events(Mutex<VecDeque<Event>>);

impl Events {
    /// Keeps what was noted of a request.
    pub fn record_notes(&self, record: &AccessRecord, notes: Vec<EventNote>) {
        if notes.is_empty() {
            return;
        }
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

    /// All that are kept, the latest first.
    pub fn list(&self) -> Vec<Event> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().rev().cloned().collect()
    }
}

/// A message without what it quotes of a caller's policy, where there may be a token.
fn redact_message(message: &str) -> String {
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
        EventNote { kind: "refused", reason: "AccessDenied".to_owned(), message: message.to_owned() }
    }

    #[test]
    fn the_latest_are_kept_and_come_first() {
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
    fn what_goes_well_is_no_event() {
        let events = Events::default();
        events.record_notes(&AccessRecord::default(), Vec::new());
        assert!(events.list().is_empty());
    }

    #[test]
    fn policies_are_not_quoted() {
        assert_eq!(redact_message("Condition failed: [\"eq\", \"$token\", \"x\"]"), "Condition failed: ...");
        assert_eq!(redact_message("a\nb"), "a\\nb");
        assert!(redact_message(&"x".repeat(5000)).len() <= MESSAGE_CHARACTERS_MAX);
    }
}
