//! `blobfish losses`: which fields are native, emulated, lost or rejected, printed from the tables of the dialects.

use blobfish_dialects::DIALECTS;
use blobfish_dialects::translator::explain::{
    build_matrix, classify_operations, find_lost_elements, find_missing_words, format_markdown,
};
use serde_json::{Value, json};

/// Runs `blobfish losses` and returns its output.
pub(crate) fn run_losses(as_json: bool) -> String {
    if as_json { format!("{:#}\n", collect_losses()) } else { format_markdown(DIALECTS) }
}

fn collect_losses() -> Value {
    let pairs = DIALECTS.iter().flat_map(|caller| DIALECTS.iter().map(move |target| (caller, target)));
    pairs
        .map(|(caller, target)| {
            let fields: Vec<Value> = build_matrix(caller, target)
                .into_iter()
                .map(|row| {
                    json!({
                        "operation": row.operation.name(), "field": row.field.name(), "caller_name": row.caller_name, "target_name": row.target_name,
                        "handling": row.handling.name(), "note": row.note,
                    })
                })
                .collect();
            let words: Vec<Value> = find_missing_words(caller, target)
                .into_iter()
                .map(|(field, word)| json!({"field": field.name(), "word": word}))
                .collect();
            let operations: Vec<Value> = classify_operations(caller, target)
                .into_iter()
                .map(|(operation, handling, note)| {
                    json!({"operation": operation.name(), "handling": handling.name(), "note": note})
                })
                .collect();
            let elements: Vec<Value> = find_lost_elements(caller, target)
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
