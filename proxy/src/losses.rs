//! `blobfish losses`: who loses what, printed from the tables.

use blobfish_dialects::ALL;
use blobfish_dialects::explain::{lost_elements, markdown, matrix, missing_words, operations};
use serde_json::{Value, json};

/// Gives the text to print.
pub fn run(as_json: bool) -> String {
    if as_json { format!("{:#}\n", pairs()) } else { markdown(ALL) }
}

fn pairs() -> Value {
    let pairs = ALL.iter().flat_map(|caller| ALL.iter().map(move |target| (caller, target)));
    pairs
        .map(|(caller, target)| {
            let fields: Vec<Value> = matrix(caller, target)
                .into_iter()
                .map(|row| {
                    json!({
                        "operation": row.operation.name(), "field": row.field.name(), "said": row.said, "written": row.written,
                        "fate": row.fate.name(), "note": row.note,
                    })
                })
                .collect();
            let words: Vec<Value> = missing_words(caller, target)
                .into_iter()
                .map(|(field, word)| json!({"field": field.name(), "word": word}))
                .collect();
            let operations: Vec<Value> = operations(caller, target)
                .into_iter()
                .map(|(operation, fate, note)| {
                    json!({"operation": operation.name(), "fate": fate.name(), "note": note})
                })
                .collect();
            let elements: Vec<Value> = lost_elements(caller, target)
                .into_iter()
                .map(|(setting, path)| json!({"setting": setting.name(), "element": path}))
                .collect();
            json!({
                "caller": caller.name, "target": target.name, "operations": operations, "fields": fields,
                "words_without_counterpart": words, "elements_without_counterpart": elements,
            })
        })
        .collect()
}
