//! The reference of the configuration's keys, for people: the JSON Schema as tables.

use serde_json::{Map, Value};

/// A Markdown document with every key of a schema that [`crate::schema`] made.
pub fn reference(schema: &Value) -> String {
    let mut out = String::from(
        "# Every key\n\nPrinted by `blobfish schema --markdown` from how the file is read. \
         [configuration.md](configuration.md) says how keys belong together.\n",
    );
    for (name, value) in properties(schema) {
        let (heading, table) = match value.get("items") {
            Some(items) => (format!("[[{name}]]"), items),
            None => (format!("[{name}]"), value),
        };
        let must = if needs(schema, name) { ", at least one" } else { "" };
        out.push_str(&format!(
            "\n## `{heading}`{must}\n\n| key | is | default | |\n| --- | --- | --- | --- |\n"
        ));
        rows(table, "", &mut out);
    }
    out
}

fn rows(table: &Value, prefix: &str, out: &mut String) {
    for (name, value) in properties(table) {
        let about = value.get("description").and_then(Value::as_str).unwrap_or_default();
        let must = if needs(table, name) { "needed; " } else { "" };
        let default = value.get("default").map(|default| format!("`{default}`")).unwrap_or_default();
        // Its own column says it.
        let about = if default.is_empty() { about } else { without_default(about) };
        let [is, about] = [&kind(value), about].map(|text| text.replace('|', "\\|").replace('<', "&lt;"));
        out.push_str(&format!("| `{prefix}{name}` | {must}{is} | {default} | {about} |\n"));
        match value.get("items") {
            Some(items) => rows(items, &format!("{prefix}{name}[]."), out),
            // What a secret may be instead of a text is said by its kind.
            None => rows(value, &format!("{prefix}{name}."), out),
        }
    }
}

fn without_default(about: &str) -> &str {
    about.strip_suffix("default").map_or(about, |rest| rest.trim_end_matches([' ', ';', ',']))
}

fn properties(table: &Value) -> impl Iterator<Item = (&String, &Value)> {
    table.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn needs(table: &Value, name: &str) -> bool {
    let needed = table.get("required").and_then(Value::as_array);
    needed.is_some_and(|needed| needed.iter().any(|one| one == name))
}

fn kind(value: &Value) -> String {
    if let Some(ways) = value.get("anyOf").and_then(Value::as_array) {
        return ways.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = value.get("enum").and_then(Value::as_array) {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    let bound = |name: &str| value.get(name).map(ToString::to_string).unwrap_or_default();
    match value.get("type").and_then(Value::as_str) {
        Some("string") => "text".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => match value.get("items").map(kind) {
            Some(items) => format!("list of {items}"),
            None => "list".to_owned(),
        },
        Some("object") => {
            let keys: Vec<String> = properties(value).map(|(name, _)| format!("`{name}`")).collect();
            let between = if value.get("maxProperties").is_some() { " or " } else { ", " };
            format!("{{ {} }}", keys.join(between))
        }
        _ => format!("{} to {}", bound("minimum"), bound("maximum")),
    }
}
