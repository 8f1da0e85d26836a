//! What happens to a request on its way, told without sending it: one request, or the whole matrix of fields.

use secrecy::SecretString;

use crate::engine::auth::{Payload, Place, Verified};
use crate::engine::conditions;
use crate::engine::dialect::{Dialect, Target};
use crate::engine::loss::{self, LossPolicy};
use crate::engine::way::{SameNames, Way};
use crate::engine::{buckets, emulate, hosts, listing, read, settings, stream, write};
use crate::lines::{HIDDEN, Line, Thing, is_secret, lines};
use crate::model::{Fault, Field, Operation, Outgoing, OwnKey, RawHead, Refusal, Request, Setting};
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

/// One field of one operation on one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is said.
    pub operation: Operation,
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

/// Every field that a caller's dialect can say, operation by operation, on its way to a target's. An operation that is
/// refused has no rows: see [`operations`].
pub fn matrix(caller: &Dialect, target: &Dialect) -> Vec<Row> {
    let carried_out = operations(caller, target).into_iter().filter(|row| row.1 != Fate::Refused);
    carried_out
        .flat_map(|row| Field::ALL.map(|field| (row.0, field)))
        .filter_map(|(operation, field)| {
            let said = caller.name_in(field, operation)?.as_str();
            let (fate, note) = fate(operation, field, caller, target);
            let told = emulate::sent_as(target, operation).and_then(|sent| target.says(field, sent));
            let written = told.filter(|_| fate == Fate::Native).map(|name| name.as_str());
            Some(Row { operation, field, said, written, fate, note })
        })
        .collect()
}

/// What becomes of a field of an operation at a target, from the tables alone. Words of one field that the target lacks are
/// lost one by one: see [`missing_words`].
fn fate(operation: Operation, field: Field, caller: &Dialect, target: &Dialect) -> (Fate, &'static str) {
    let sent = emulate::sent_as(target, operation).unwrap_or(operation);
    let says = target.says(field, sent).is_some();
    let reads = matches!(operation, Operation::GetObject | Operation::HeadObject);
    let of_parts = matches!(field, Field::MaxParts | Field::PartNumberMarker);
    match field {
        Field::BucketTagKey | Field::BucketTagValue => (Fate::Refused, "tags of buckets are not looked at"),
        _ if operation == Operation::ListBuckets => (Fate::Emulated, "answered here"),
        Field::FetchOwner | Field::EncodingType => (Fate::Emulated, "answered here"),
        Field::IfRange => (Fate::Emulated, "compared here"),
        Field::ContentMd5 if !operation.uploads() => (Fate::Emulated, "compared here"),
        Field::ContinuationToken | Field::StartAfter if sent == Operation::ListObjects => {
            (Fate::Emulated, "by a marker")
        }
        Field::PartNumber if reads && !says => (Fate::Emulated, "the object is told as one part"),
        Field::Attributes if sent == Operation::HeadObject => {
            (Fate::Emulated, "by a HEAD; parts of an object that has some are refused")
        }
        _ if of_parts && sent == Operation::HeadObject => (Fate::Emulated, NO_PARTS),
        Field::StandardRange if !target.absent.lenient_range => (Fate::Native, "by nature"),
        _ if field.is_of_checksums() && !target.keeps_checksums() => {
            (Fate::Emulated, "checksums are compared on the way, and not kept")
        }
        _ if field.names_accounts() && caller.family != target.family => (
            Fate::Refused,
            "accounts are a vendor's own; what is granted to everybody is said by a canned list",
        ),
        _ if says => (Fate::Native, ""),
        _ if field.is_said_again(operation) => {
            (Fate::Emulated, "not sent: it was said where the upload began")
        }
        Field::BypassLock => (Fate::Emulated, "not sent: what is locked there is not deleted"),
        _ if Field::SOURCE_CONDITIONS.contains(&field) => (
            Fate::Emulated,
            "by a HEAD of the source before and after the copy; refused with conditions = \"native\"",
        ),
        _ if field.guards_data() => (Fate::Refused, ""),
        _ => (Fate::Lost, ""),
    }
}

/// Why pages of an object's parts need not be asked for.
const NO_PARTS: &str = "there is nothing to page: parts of an object that has some are refused";

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

/// Operations in which a name fares alike, and how at each target; `None` where the operation itself is refused.
struct Alike {
    said: &'static str,
    operations: Vec<Operation>,
    cells: Vec<Option<String>>,
}

impl Alike {
    /// Takes a further operation if it contradicts nothing.
    fn takes(&mut self, said: &str, operation: Operation, cells: &[Option<String>]) -> bool {
        let agrees = |pair: (&Option<String>, &Option<String>)| match pair {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let alike = self.said == said && self.cells.iter().zip(cells).all(agrees);
        if alike {
            self.operations.push(operation);
            for (own, other) in self.cells.iter_mut().zip(cells) {
                *own = own.take().or_else(|| other.clone());
            }
        }
        alike
    }
}

fn fields_markdown(caller: &Dialect, dialects: &[&'static Dialect], out: &mut String) {
    let names: Vec<&str> = dialects.iter().map(|target| target.name).collect();
    out.push_str(&format!("\n| said as | in | {} |\n", names.join(" | ")));
    out.push_str(&format!("| --- | --- |{}\n", " --- |".repeat(names.len())));
    for field in Field::ALL {
        let own = Operation::all().filter(|operation| caller.has(*operation));
        let own: Vec<_> = own
            .filter_map(|operation| Some((operation, caller.name_in(field, operation)?.as_str())))
            .collect();
        let mut groups: Vec<Alike> = Vec::new();
        for (operation, said) in &own {
            let cell = |target: &&'static Dialect| {
                let refused = operation_fate(*operation, caller, target).0 == Fate::Refused;
                let (fate, note) = fate(*operation, field, caller, target);
                (!refused).then(|| match note {
                    "" => fate.name().to_owned(),
                    note => format!("{} ({note})", fate.name()),
                })
            };
            let cells: Vec<Option<String>> = dialects.iter().map(cell).collect();
            if !groups.iter_mut().any(|group| group.takes(said, *operation, &cells)) {
                groups.push(Alike { said, operations: vec![*operation], cells });
            }
        }
        for group in groups {
            let cells = group.cells.iter().map(|cell| cell.as_deref().unwrap_or("refused"));
            let cells = cells.collect::<Vec<_>>().join(" | ");
            let place = match group.operations.len() {
                count if count == own.len() && count > NAMED_MAX => format!("{count} operations"),
                _ => group.operations.iter().map(|one| one.name()).collect::<Vec<_>>().join(", "),
            };
            out.push_str(&format!("| `{}` | {place} | {cells} |\n", group.said));
        }
    }
}

/// Operations of a row that are named one by one, where a field fares alike in all of its operations.
const NAMED_MAX: usize = 8;

/// The matrix of every pair of dialects as a Markdown document.
pub fn markdown(dialects: &[&'static Dialect]) -> String {
    let mut out =
        String::from("# What each target can be told\n\nPrinted by `blobfish losses` from the tables.\n");
    for caller in dialects {
        out.push_str(&format!("\n## Callers that speak {}\n", caller.name));
        operations_markdown(caller, dialects, &mut out);
        fields_markdown(caller, dialects, &mut out);
        for target in dialects {
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
    let head = parse(text)
        .ok_or_else(|| Refusal::say(Fault::InvalidRequest, "This is not the head of an HTTP request."))?;
    let place = place_anywhere(&head, caller)?;
    let verified = Verified {
        payload: Payload::Unsigned,
        unsigned: Vec::new(),
        credential_parameters: caller.auth.credential_parameters(),
        key: None,
    };
    let request = read::request(caller, &head, &place, &verified)?;
    let target = sample_target(target);
    let way = sample_way(caller, &target, &request);
    let (mut sent, refused) = adapted(&way, &request)?;
    if way.check_conditions {
        Field::SOURCE_CONDITIONS.iter().for_each(|field| drop(sent.fields.remove(*field)));
    }
    emulate::access_after(&way, &mut sent);
    let (mut outgoing, losses) = write::request(&way, &sent)?;
    hide_keys(way.target.dialect, &mut outgoing);
    let mut fates: Vec<(Thing, String, Fate, String)> = Vec::new();
    for (field, _) in request.fields.iter() {
        let name = caller.name_in(field, request.operation);
        let name = name.map_or_else(|| field.name(), |name| name.as_str().to_owned());
        let loss = losses.iter().find(|loss| loss.what == loss::Lost::Field(field));
        let (fate, note) = fate(request.operation, field, caller, way.target.dialect);
        match loss {
            Some(loss) if field.guards_data() => {
                fates.push((Thing::Field(field), name, Fate::Refused, loss.why.clone()));
            }
            Some(loss) => fates.push((Thing::Field(field), name, Fate::Lost, loss.why.clone())),
            None if fate == Fate::Refused && field.names_accounts() => {
                fates.push((Thing::Field(field), name, Fate::Emulated, "by a canned list".to_owned()));
            }
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
    let refused = refused.or_else(|| loss::judge(&losses, LossPolicy::Refuse, caller).err());
    let (said, written) = lines(caller, &head, way.target.dialect, (&request, &sent), &outgoing, &fates);
    let fields = fates.into_iter().map(|(_, name, fate, why)| (name, fate, why)).collect();
    let to = way.target.dialect;
    let documents = (rules::document(caller, request.operation), rules::document(to, sent.operation));
    let (plan, more) = (plan(&way, &request), rules::more(caller, &request));
    Ok(Explained { plan, request, outgoing, fields, refused, said, written, documents, more })
}

/// The request as the target is asked, and what is refused here.
///
/// # Errors
/// As [`listing::adapted`].
fn adapted(way: &Way<'_>, request: &Request) -> Result<(Request, Option<Refusal>), Refusal> {
    if request.operation == Operation::ListBuckets {
        let refused = buckets::check(way.caller, request).err();
        return Ok((buckets::question(way.target.dialect, None), refused));
    }
    let part = stream::only_part(way, request).map(|(sent, _)| sent);
    let sent = listing::adapted(way, part.as_ref().unwrap_or(request))?;
    Ok((emulate::adapted(way, sent), None))
}

/// What is printed may end in a ticket: customers' keys, and what is called like a secret, are not shown.
fn hide_keys(target: &Dialect, outgoing: &mut Outgoing) {
    let keys = [Field::CustomerKey, Field::SourceCustomerKey].map(|field| (target.name_of)(field));
    for (name, value) in &mut outgoing.headers {
        if keys.iter().flatten().any(|key| key.as_str() == name) || is_secret(name) {
            *value = HIDDEN.into();
        }
    }
}

fn plan(way: &Way<'_>, request: &Request) -> &'static str {
    let given = conditions::count(&request.fields) > 0;
    let checked = given && way.check_conditions;
    let several = given && !conditions::same_rules(way.caller, way.target.dialect, &request.fields);
    match request.operation {
        Operation::ListBuckets => "Local: answered from the configuration, and from the targets of patterns",
        operation if operation.streams() => "Stream: the payload passes through",
        _ if checked => "Exchange: a HEAD of the source before and after the request",
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
        check_conditions: !target.dialect.has_conditions(),
        names: std::sync::Arc::new(SameNames),
    }
}

/// Where a request is addressed. The configuration is not known here, so a host that is no vendor's counts as a base name,
/// with the bucket before it where the dialect has no path style.
fn place_anywhere(head: &RawHead, caller: &'static Dialect) -> Result<Place, Refusal> {
    let host = hosts::without_port(head.host());
    let behind_bucket = host.split_once('.').map_or(host, |(_, rest)| rest);
    let base = if caller.path_style { host } else { behind_bucket };
    let found = hosts::place(head, caller, crate::ALL, &[]);
    match &found {
        Err(refusal) if refusal.fault == Fault::UnknownHost => {
            hosts::place(head, caller, crate::ALL, &[base.to_owned()])
        }
        _ => found,
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
