//! What happens to a request on its way, told without sending it: one request, or the whole matrix of fields.

use secrecy::SecretString;

use crate::engine::auth::{Payload, Verified};
use crate::engine::conditions;
use crate::engine::dialect::{Dialect, Target};
use crate::engine::loss::{self, LossPolicy};
use crate::engine::staging::{self, Staging};
use crate::engine::way::{SameNames, Way};
use crate::engine::{emulate, hosts, listing, read, settings, write};
use crate::lines::{Line, Thing, lines};
use crate::model::{Field, Operation, Outgoing, OwnKey, RawHead, Refusal, Request, Setting};
use crate::rules;

/// What becomes of a field between two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Said to the target in its own words.
    Native,
    /// Carried out here, or said in another way.
    Emulated,
    /// The target cannot be told. Refused or reported, as the route says.
    Lost,
    /// Refused whatever the route says, because losing it would lose data or expose it.
    Refused,
}

impl Fate {
    /// The word in the printed matrix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Emulated => "emulated",
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }
}

/// One field on one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub field: Field,
    /// What the caller calls it.
    pub said: &'static str,
    /// What the target calls it.
    pub written: Option<&'static str>,
    /// What becomes of it.
    pub fate: Fate,
    /// Why, where that is not plain.
    pub note: &'static str,
}

/// Every field that a caller's dialect can say, on its way to a target's.
pub fn matrix(caller: &Dialect, target: &Dialect) -> Vec<Row> {
    let said = Field::ALL.into_iter().filter_map(|field| Some((field, (caller.name_of)(field)?.as_str())));
    said.map(|(field, said)| {
        let (fate, note) = fate(field, caller, target);
        let written = (target.name_of)(field)
            .filter(|_| fate != Fate::Refused && target.can_say(field))
            .map(|name| name.as_str());
        Row { field, said, written, fate, note }
    })
    .collect()
}

/// What becomes of a field at a target, from the tables alone. Words of one field that the target lacks are lost
/// one by one: see [`missing_words`].
fn fate(field: Field, caller: &Dialect, target: &Dialect) -> (Fate, &'static str) {
    let token = matches!(field, Field::ContinuationToken | Field::StartAfter);
    match field {
        Field::FetchOwner | Field::EncodingType => (Fate::Emulated, "answered here"),
        _ if token && target.route(Operation::ListObjectsV2).is_none() => (Fate::Emulated, "by a marker"),
        Field::StandardRange if !target.absent.lenient_range => (Fate::Native, "by nature"),
        _ if field.names_accounts() && caller.family != target.family => {
            (Fate::Refused, "accounts are a vendor's own")
        }
        _ if target.can_say(field) => (Fate::Native, ""),
        _ if Field::SOURCE_CONDITIONS.contains(&field) => {
            (Fate::Refused, "emulated by a HEAD of the source with conditions = \"check\"")
        }
        _ if field.guards_data() => (Fate::Refused, ""),
        _ => (Fate::Lost, ""),
    }
}

/// The words of a caller's dialect for which a target's has none.
pub fn missing_words(caller: &Dialect, target: &Dialect) -> Vec<(Field, &'static str)> {
    let (from, to) = (caller.words, target.words);
    let class = from.class.0.iter().filter(|row| to.class.word(row.0).is_none());
    let acl =
        from.acl.0.iter().filter(|row| to.acl.word(row.0).is_none() && row.0 != crate::model::Acl::Inherit);
    let ways = from.encryption.0.iter().filter(|row| to.encryption.word(row.0).is_none());
    let class = class.map(|row| (Field::StorageClass, row.1));
    let ways = ways.map(|row| (Field::Encryption, row.1));
    class.chain(acl.map(|row| (Field::Acl, row.1))).chain(ways).collect()
}

/// Every operation that a caller's dialect has, and what becomes of it at a target.
pub fn operations(caller: &Dialect, target: &Dialect) -> Vec<(Operation, Fate, &'static str)> {
    let own = Operation::all().filter(|operation| caller.has(*operation));
    own.map(|operation| {
        let (fate, note) = operation_fate(operation, caller, target);
        (operation, fate, note)
    })
    .collect()
}

/// What becomes of an operation at a target.
pub(crate) fn operation_fate(
    operation: Operation,
    caller: &Dialect,
    target: &Dialect,
) -> (Fate, &'static str) {
    let policy = matches!(operation, Operation::Get(Setting::Policy) | Operation::Put(Setting::Policy));
    match (target.route(operation), emulate::stands_in(target, operation)) {
        (Some(_), _) if policy && caller.family != target.family => {
            (Fate::Refused, "names a vendor's own accounts and actions")
        }
        (Some(_), _) if staging::combines(operation, caller, target) => {
            (Fate::Native, "smaller parts than the target takes are combined")
        }
        (Some(_), _) => (Fate::Native, ""),
        (None, Some(note)) => (Fate::Emulated, note),
        (None, None) => (Fate::Refused, ""),
    }
}

/// The elements of a caller's documents that a target's have no place for: refused by name.
pub fn lost_elements(caller: &Dialect, target: &Dialect) -> Vec<(Setting, String)> {
    let mut lost = Vec::new();
    for form in caller.settings.iter().filter(|form| form.puts) {
        let Some(written) = target.form(form.setting) else { continue };
        for (path, node) in settings::samples(caller, form) {
            let untold = settings::read(caller, form, node)
                .is_ok_and(|tree| !settings::write(target, written, &tree).1.is_empty());
            if untold {
                lost.push((form.setting, path));
            }
        }
    }
    lost
}

fn operations_markdown(caller: &Dialect, dialects: &[&'static Dialect], out: &mut String) {
    let names: Vec<&str> = dialects.iter().map(|target| target.name).collect();
    out.push_str(&format!(
        "\n| operation | {} |\n| --- |{}\n",
        names.join(" | "),
        " --- |".repeat(names.len())
    ));
    let columns: Vec<_> = dialects.iter().map(|target| operations(caller, target)).collect();
    for (at, (operation, ..)) in columns.first().into_iter().flatten().enumerate() {
        let cells = columns.iter().filter_map(|column| column.get(at)).map(|(_, fate, note)| match *note {
            "" => fate.name().to_owned(),
            note => format!("{} ({note})", fate.name()),
        });
        out.push_str(&format!("| {} | {} |\n", operation.name(), cells.collect::<Vec<_>>().join(" | ")));
    }
    for target in dialects {
        let lost = lost_elements(caller, target);
        let documents = caller.settings.iter().filter_map(|form| {
            let names = lost.iter().filter(|row| row.0 == form.setting).map(|row| format!("`{}`", row.1));
            let names: Vec<String> = names.collect();
            (!names.is_empty()).then(|| format!("{}: {}", form.setting.name(), names.join(", ")))
        });
        let documents: Vec<String> = documents.collect();
        if !documents.is_empty() {
            out.push_str(&format!(
                "\nTowards {} these elements are refused. {}.\n",
                target.name,
                documents.join("; ")
            ));
        }
    }
}

/// The matrix of every pair of dialects as a Markdown document.
pub fn markdown(dialects: &[&'static Dialect]) -> String {
    let mut out =
        String::from("# What each target can be told\n\nPrinted by `blobfish losses` from the tables.\n");
    for caller in dialects {
        let names: Vec<&str> = dialects.iter().map(|target| target.name).collect();
        out.push_str(&format!("\n## Callers that speak {}\n", caller.name));
        operations_markdown(caller, dialects, &mut out);
        out.push_str(&format!("\n| said as | {} |\n", names.join(" | ")));
        out.push_str(&format!("| --- |{}\n", " --- |".repeat(names.len())));
        let columns: Vec<Vec<Row>> = dialects.iter().map(|target| matrix(caller, target)).collect();
        for (at, row) in columns.first().into_iter().flatten().enumerate() {
            let cells = columns.iter().filter_map(|column| column.get(at)).map(|row| match row.note {
                "" => row.fate.name().to_owned(),
                note => format!("{} ({note})", row.fate.name()),
            });
            out.push_str(&format!("| `{}` | {} |\n", row.said, cells.collect::<Vec<_>>().join(" | ")));
        }
        for target in dialects {
            if staging::combines(Operation::UploadPart, caller, target) {
                out.push_str(&format!(
                    "\nTowards {} parts of less than {} KiB are kept as objects and combined when their upload is completed; \
                     with `small_parts = \"refuse\"` the first that is not the last is refused.\n",
                    target.name,
                    target.limits.part_bytes_min / 1024
                ));
            }
            let missing = missing_words(caller, target);
            if !missing.is_empty() {
                let words: Vec<String> =
                    missing.iter().map(|(field, word)| format!("`{word}` ({})", field.name())).collect();
                out.push_str(&format!(
                    "\nTowards {} there is no word for {}.\n",
                    target.name,
                    words.join(", ")
                ));
            }
            for (operation, field) in target.lacks_in {
                if let Some(name) = caller.name_in(*field, *operation) {
                    let (operation, name) = (operation.name(), name.as_str());
                    out.push_str(&format!(
                        "\nTowards {} `{name}` of {operation} is refused: it is known in other operations only.\n",
                        target.name
                    ));
                }
            }
        }
    }
    out
}

/// What became of one request.
#[derive(Debug)]
pub struct Explained {
    /// What it means.
    pub request: Request,
    /// How it would be carried out.
    pub plan: &'static str,
    /// What would be sent, unsigned; the first request where there are several.
    pub outgoing: Outgoing,
    /// Each thing that it says: the caller's name, what becomes of it, why.
    pub fields: Vec<(String, Fate, String)>,
    /// Whether it would be refused, under each policy.
    pub refused: Option<Refusal>,
    /// Its lines, each with what becomes of it.
    pub said: Vec<Line>,
    /// The lines of what would be sent, each with the pair that joins it to its origin.
    pub written: Vec<Line>,
    /// The vendors' documents that describe it: the caller's and the target's.
    pub documents: (String, String),
    /// Headers that it could say besides, each as a line to begin with.
    pub more: Vec<String>,
}

/// Explains one request as text of HTTP, in a dialect, towards a target's dialect. Signatures are not looked at.
///
/// # Errors
/// What the caller would be told: the request is not one of this dialect, or the target cannot hold it.
pub fn explain(text: &str, caller: &'static Dialect, target: &'static Dialect) -> Result<Explained, Refusal> {
    let head = parse(text).ok_or_else(|| {
        Refusal::say(crate::model::Fault::InvalidRequest, "This is not the head of an HTTP request.")
    })?;
    let place = hosts::place(&head, caller, &[])?;
    let verified = Verified {
        payload: Payload::Unsigned,
        unsigned: Vec::new(),
        credential_parameters: caller.auth.credential_parameters(),
    };
    let request = read::request(caller, &head, &place, &verified)?;
    let target = sample_target(target);
    let way = sample_way(caller, &target, &request);
    let sent = listing::adapted(&way, &request)?;
    let (mut outgoing, losses) = write::request(&way, &sent)?;
    hide_keys(way.target.dialect, &mut outgoing);
    let mut fates: Vec<(Thing, String, Fate, String)> = Vec::new();
    for (field, _) in request.fields.iter() {
        let name = (caller.name_of)(field).map_or_else(|| field.name(), |name| name.as_str().to_owned());
        let loss = losses.iter().find(|loss| loss.what == loss::Lost::Field(field));
        let (fate, note) = fate(field, caller, way.target.dialect);
        match loss {
            Some(loss) if field.guards_data() => {
                fates.push((Thing::Field(field), name, Fate::Refused, loss.why.clone()));
            }
            Some(loss) => fates.push((Thing::Field(field), name, Fate::Lost, loss.why.clone())),
            None => fates.push((Thing::Field(field), name, fate, note.to_owned())),
        }
    }
    for (own, _) in &request.metadata {
        let name = format!("{}{own}", caller.metadata_prefix);
        let loss = losses.iter().find(|loss| loss.name_for(caller) == name);
        let fate = if loss.is_some() { Fate::Refused } else { Fate::Native };
        let why = loss.map(|loss| loss.why.clone()).unwrap_or_default();
        fates.push((Thing::Metadata(own.clone()), name, fate, why));
    }
    let refused = loss::judge(&losses, LossPolicy::Refuse, caller).err();
    let (said, written) = lines(caller, &head, way.target.dialect, (&request, &sent), &outgoing, &fates);
    let fields = fates.into_iter().map(|(_, name, fate, why)| (name, fate, why)).collect();
    let to = way.target.dialect;
    let documents = (rules::document(caller, request.operation), rules::document(to, sent.operation));
    let (plan, more) = (plan(&way, &request), rules::more(caller, &request));
    Ok(Explained { plan, request, outgoing, fields, refused, said, written, documents, more })
}

/// What is printed may end in a ticket: customers' keys are not shown.
fn hide_keys(target: &Dialect, outgoing: &mut Outgoing) {
    let keys = [Field::CustomerKey, Field::SourceCustomerKey].map(|field| (target.name_of)(field));
    for (name, value) in &mut outgoing.headers {
        if keys.iter().flatten().any(|key| key.as_str() == name) {
            *value = b"(hidden)".to_vec();
        }
    }
}

fn plan(way: &Way<'_>, request: &Request) -> &'static str {
    let several = conditions::count(&request.fields) > 0
        && !conditions::same_rules(way.caller, way.target.dialect, &request.fields);
    match request.operation {
        Operation::ListBuckets => "Local: answered from the configuration",
        operation if operation.streams() => "Stream: the payload passes through",
        _ if several => "Exchange: a HEAD of the source first, then the request",
        _ => "Exchange: one request to the target",
    }
}

/// A target that exists only on paper: the dialect's own end point and a key that opens nothing.
pub fn sample_target(dialect: &'static Dialect) -> Target {
    Target {
        name: dialect.name.to_owned(),
        dialect,
        auth: dialect.auth,
        authority: dialect.sample_endpoint.to_owned(),
        region: String::new(),
        path_style: false,
        credentials: OwnKey::none(),
        seal: SecretString::from(String::new()),
        kms_keys: Vec::new(),
        staging: Staging::default(),
    }
}

/// The way of a request to such a target, every bucket keeping its name.
pub fn sample_way<'a>(caller: &'static Dialect, target: &'a Target, request: &Request) -> Way<'a> {
    Way {
        caller,
        target,
        bucket: request.bucket.clone().unwrap_or_default(),
        source_bucket: request.source.as_ref().map(|source| source.bucket.clone()),
        policy: LossPolicy::Refuse,
        check_conditions: false,
        names: std::sync::Arc::new(SameNames),
    }
}

/// Reads the head of a request as documents print it: a request line, headers, an empty line or the end.
pub fn parse(text: &str) -> Option<RawHead> {
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let mut words = lines.next()?.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    for line in lines.take_while(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().as_bytes().to_vec()));
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Some(RawHead { method, path: path.to_owned(), query: query.map(str::to_owned), headers, secure: false })
}
