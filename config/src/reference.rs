//! The reference of the configuration's keys, for people: the JSON Schema as tables.

use serde_json::{Map, Value};

/// A Markdown document with every key of a schema that [`crate::schema`] made.
pub fn render_reference(schema: &Value) -> String {
    let mut out = String::from(
        "# Every key\n\nPrinted by `blobfish schema --markdown` from how the file is read. \
         [configuration.md](configuration.md) says how keys belong together.\n",
    );
    for (name, value) in list_properties(schema) {
        let (heading, table) = match value.get("items") {
            Some(items) => (format!("[[{name}]]"), items),
            None => (format!("[{name}]"), value),
        };
        let requirement = if is_required(schema, name) { ", at least one" } else { "" };
        out.push_str(&format!(
            "\n## `{heading}`{requirement}\n\n| key | is | default | |\n| --- | --- | --- | --- |\n"
        ));
        render_rows(table, "", &mut out);
    }
    out
}

fn render_rows(table: &Value, prefix: &str, out: &mut String) {
    for (name, value) in list_properties(table) {
        let description = value.get("description").and_then(Value::as_str).unwrap_or_default();
        let requirement = if is_required(table, name) { "needed; " } else { "" };
        let default = value.get("default").map(|default| format!("`{default}`")).unwrap_or_default();
        // Its own column says it.
        let description = if default.is_empty() { description } else { strip_default(description) };
        let [kind_text, description] =
            [&describe_kind(value), description].map(|text| text.replace('|', "\\|").replace('<', "&lt;"));
        out.push_str(&format!(
            "| `{prefix}{name}` | {requirement}{kind_text} | {default} | {description} |\n"
        ));
        match value.get("items") {
            Some(items) => render_rows(items, &format!("{prefix}{name}[]."), out),
            // What a secret may be instead of a text is said by its kind.
            None => render_rows(value, &format!("{prefix}{name}."), out),
        }
    }
}

fn strip_default(description: &str) -> &str {
    description.strip_suffix("default").map_or(description, |rest| rest.trim_end_matches([' ', ';', ',']))
}

fn list_properties(table: &Value) -> impl Iterator<Item = (&String, &Value)> {
    table.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn is_required(table: &Value, name: &str) -> bool {
    let required = table.get("required").and_then(Value::as_array);
    required.is_some_and(|needed| needed.iter().any(|one| one == name))
}

fn describe_kind(value: &Value) -> String {
    if let Some(variants) = value.get("anyOf").and_then(Value::as_array) {
        return variants.iter().map(describe_kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = value.get("enum").and_then(Value::as_array) {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    let get_bound = |name: &str| value.get(name).map(ToString::to_string).unwrap_or_default();
    match value.get("type").and_then(Value::as_str) {
        Some("string") => "text".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => match value.get("items").map(describe_kind) {
            Some(items) => format!("list of {items}"),
            None => "list".to_owned(),
        },
        Some("object") => {
            let keys: Vec<String> = list_properties(value).map(|(name, _)| format!("`{name}`")).collect();
            let between = if value.get("maxProperties").is_some() { " or " } else { ", " };
            format!("{{ {} }}", keys.join(between))
        }
        _ => format!("{} to {}", get_bound("minimum"), get_bound("maximum")),
    }
}
