//! What happens to a request on its way, told without sending it: one request, or the whole matrix of fields.

use secrecy::SecretString;

use crate::dialect::route::{LossPolicy, Route, RouteScope, SameBucketNames};
use crate::dialect::signature::{Payload, ResourceAddress, VerifiedSignature};
use crate::dialect::target::PREFIX_DEFAULT;
use crate::dialect::{Dialect, SmallPartsConfig, Target, addressing};
use crate::documents::{bucket_pages, listing, settings_documents};
use crate::engine::{conditions, emulation, loss, read_request, small_parts, streaming, write_request};
use crate::model::{
    ErrorKind, Field, Operation, OutgoingRequest, RawHead, Rejection, Request, Setting, SharedCredentials,
    TargetClock,
};
use crate::translator::handling::{Handling, classify_operation};
use crate::translator::line_subject::LineSubject;
use crate::translator::lines::{HIDDEN, Line, is_secret, pair_lines};
use crate::translator::rules;

/// One field of one operation on one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldHandling {
    /// Where it is said.
    pub operation: Operation,
    /// What it is.
    pub field: Field,
    /// What the caller calls it.
    pub caller_name: &'static str,
    /// What the target calls it.
    pub target_name: Option<&'static str>,
    /// What becomes of it.
    pub handling: Handling,
    /// Why, where that is not plain.
    pub note: &'static str,
}

/// Every field that a caller's dialect can say, operation by operation, on its way to a target's. An operation that is
/// refused has no rows: see `operations`.
pub fn build_matrix(caller: &Dialect, target: &Dialect) -> Vec<FieldHandling> {
    let supported = classify_operations(caller, target).into_iter().filter(|row| row.1 != Handling::Rejected);
    supported
        .flat_map(|row| Field::ALL.map(|field| (row.0, field)))
        .filter_map(|(operation, field)| {
            let caller_name = caller.field_name_in(field, operation)?.as_str();
            let (handling, note) = classify_field(operation, field, caller, target);
            let name_at_target = emulation::select_target_operation(target, operation)
                .and_then(|sent| target.target_field_name(field, sent));
            let target_name =
                name_at_target.filter(|_| handling == Handling::Native).map(|name| name.as_str());
            Some(FieldHandling { operation, field, caller_name, target_name, handling, note })
        })
        .collect()
}

/// What becomes of a field of an operation at a target, from the tables alone. Words of one field that the target lacks are
/// lost one by one: see [`missing_words`].
fn classify_field(
    operation: Operation,
    field: Field,
    caller: &Dialect,
    target: &Dialect,
) -> (Handling, &'static str) {
    let sent_operation = emulation::select_target_operation(target, operation).unwrap_or(operation);
    let is_supported = target.target_field_name(field, sent_operation).is_some();
    let is_read = matches!(operation, Operation::GetObject | Operation::HeadObject);
    let is_part_paging = matches!(field, Field::MaxParts | Field::PartNumberMarker);
    match field {
        Field::BucketTagKey | Field::BucketTagValue => {
            (Handling::Rejected, "tags of buckets are not looked at")
        }
        _ if operation == Operation::ListBuckets => (Handling::Emulated, "answered here"),
        Field::FetchOwner | Field::EncodingType => (Handling::Emulated, "answered here"),
        Field::IfRange => (Handling::Emulated, "compared here"),
        Field::ContentMd5 if !operation.is_upload() => (Handling::Emulated, "compared here"),
        Field::ContinuationToken | Field::StartAfter if sent_operation == Operation::ListObjects => {
            (Handling::Emulated, "by a marker")
        }
        Field::PartNumber if is_read && !is_supported => {
            (Handling::Emulated, "the object is told as one part")
        }
        Field::Attributes if sent_operation == Operation::HeadObject => {
            (Handling::Emulated, "by a HEAD; parts of an object that has some are refused")
        }
        _ if is_part_paging && sent_operation == Operation::HeadObject => (Handling::Emulated, NO_PARTS),
        Field::StandardRange if !target.defaults.lenient_range => (Handling::Native, "by nature"),
        Field::ObjectSize if !is_supported => (Handling::Emulated, "compared here with the list of parts"),
        _ if field.is_checksum_option() && !target.keeps_checksums() => {
            (Handling::Emulated, "checksums are compared on the way, and not kept")
        }
        _ if field.has_account_ids() && caller.family != target.family => (
            Handling::Rejected,
            "accounts are a vendor's own; what is granted to everybody is said by a canned list",
        ),
        _ if is_supported => (Handling::Native, ""),
        _ if field.is_repeated_in(operation) => {
            (Handling::Emulated, "not sent: it was said where the upload began")
        }
        Field::Acl
            if operation == Operation::CompleteMultipartUpload
                && target.supports_field(Field::Acl)
                && target.find_route(Operation::Put(Setting::ObjectAcl)).is_some() =>
        {
            (Handling::Emulated, "set once the object is there")
        }
        Field::BypassLock => (Handling::Emulated, "not sent: what is locked there is not deleted"),
        Field::ConfirmPolicyLockout => {
            (Handling::Emulated, "not sent: it only permits what the target decides")
        }
        _ if Field::SOURCE_CONDITIONS.contains(&field) => (
            Handling::Emulated,
            "by a HEAD of the source before and after the copy; refused with conditions = \"native\"",
        ),
        _ if field.guards_data() => (Handling::Rejected, ""),
        _ => (Handling::Lost, ""),
    }
}

/// Why pages of an object's parts need not be asked for.
const NO_PARTS: &str = "there is nothing to page: parts of an object that has some are refused";

/// The words of a caller's dialect for which a target's has none.
pub fn find_missing_words(caller: &Dialect, target: &Dialect) -> Vec<(Field, &'static str)> {
    let (from, to) = (caller.words, target.words);
    let class = from.class.0.iter().filter(|row| to.class.word(row.0).is_none());
    let acl = from
        .acl
        .0
        .iter()
        .filter(|row| to.acl.word(row.0).is_none() && row.0 != crate::model::CannedAcl::Inherit);
    let encryption = from.encryption.0.iter().filter(|row| to.encryption.word(row.0).is_none());
    let class = class.map(|row| (Field::StorageClass, row.1));
    let encryption = encryption.map(|row| (Field::Encryption, row.1));
    class.chain(acl.map(|row| (Field::Acl, row.1))).chain(encryption).collect()
}

/// Every operation that a caller's dialect has, and what becomes of it at a target.
pub fn classify_operations(caller: &Dialect, target: &Dialect) -> Vec<(Operation, Handling, &'static str)> {
    let operations = Operation::all().filter(|operation| caller.has_operation(*operation));
    operations
        .map(|operation| {
            let (handling, note) = classify_operation(operation, caller, target);
            (operation, handling, note)
        })
        .collect()
}

/// The elements of a caller's documents that a target's have no place for: refused by name.
pub fn find_lost_elements(caller: &Dialect, target: &Dialect) -> Vec<(Setting, String)> {
    let mut lost = Vec::new();
    for form in caller.settings.iter().filter(|form| form.can_put) {
        let Some(written) = target.setting_schema(form.setting) else { continue };
        for (path, node) in settings_documents::build_samples(caller, form) {
            let is_lost = settings_documents::parse_setting(caller, form, node)
                .is_ok_and(|tree| !settings_documents::write_setting(target, written, &tree).1.is_empty());
            if is_lost {
                lost.push((form.setting, path));
            }
        }
    }
    lost
}

fn write_operations_markdown(caller: &Dialect, dialects: &[&'static Dialect], out: &mut String) {
    let names: Vec<&str> = dialects.iter().map(|target| target.name).collect();
    out.push_str(&format!(
        "\n| operation | {} |\n| --- |{}\n",
        names.join(" | "),
        " --- |".repeat(names.len())
    ));
    let columns: Vec<_> = dialects.iter().map(|target| classify_operations(caller, target)).collect();
    for (at, (operation, ..)) in columns.first().into_iter().flatten().enumerate() {
        let cells =
            columns.iter().filter_map(|column| column.get(at)).map(|(_, handling, note)| match *note {
                "" => handling.name().to_owned(),
                note => format!("{} ({note})", handling.name()),
            });
        out.push_str(&format!("| {} | {} |\n", operation.name(), cells.collect::<Vec<_>>().join(" | ")));
    }
    for target in dialects {
        let lost = find_lost_elements(caller, target);
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
struct FieldGroup {
    caller_name: &'static str,
    operations: Vec<Operation>,
    cells: Vec<Option<String>>,
}

impl FieldGroup {
    /// Takes a further operation if it contradicts nothing.
    fn try_add(&mut self, caller_name: &str, operation: Operation, cells: &[Option<String>]) -> bool {
        let cells_agree = |pair: (&Option<String>, &Option<String>)| match pair {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        let is_same = self.caller_name == caller_name && self.cells.iter().zip(cells).all(cells_agree);
        if is_same {
            self.operations.push(operation);
            for (own, other) in self.cells.iter_mut().zip(cells) {
                *own = own.take().or_else(|| other.clone());
            }
        }
        is_same
    }
}

fn write_fields_markdown(caller: &Dialect, dialects: &[&'static Dialect], out: &mut String) {
    let names: Vec<&str> = dialects.iter().map(|target| target.name).collect();
    out.push_str(&format!("\n| said as | in | {} |\n", names.join(" | ")));
    out.push_str(&format!("| --- | --- |{}\n", " --- |".repeat(names.len())));
    for field in Field::ALL {
        let operations = Operation::all().filter(|operation| caller.has_operation(*operation));
        let names_by_operation: Vec<_> = operations
            .filter_map(|operation| Some((operation, caller.field_name_in(field, operation)?.as_str())))
            .collect();
        let mut groups: Vec<FieldGroup> = Vec::new();
        for (operation, said) in &names_by_operation {
            let cell = |target: &&'static Dialect| {
                let is_rejected = classify_operation(*operation, caller, target).0 == Handling::Rejected;
                let (handling, note) = classify_field(*operation, field, caller, target);
                (!is_rejected).then(|| match note {
                    "" => handling.name().to_owned(),
                    note => format!("{} ({note})", handling.name()),
                })
            };
            let cells: Vec<Option<String>> = dialects.iter().map(cell).collect();
            if !groups.iter_mut().any(|group| group.try_add(said, *operation, &cells)) {
                groups.push(FieldGroup { caller_name: said, operations: vec![*operation], cells });
            }
        }
        for group in groups {
            let cells = group.cells.iter().map(|cell| cell.as_deref().unwrap_or("refused"));
            let cells = cells.collect::<Vec<_>>().join(" | ");
            let place = match group.operations.len() {
                count if count == names_by_operation.len() && count > OPERATIONS_NAMED_MAX => {
                    format!("{count} operations")
                }
                _ => group.operations.iter().map(|one| one.name()).collect::<Vec<_>>().join(", "),
            };
            out.push_str(&format!("| `{}` | {place} | {cells} |\n", group.caller_name));
        }
    }
}

/// Operations of a row that are named one by one, where a field fares alike in all of its operations.
const OPERATIONS_NAMED_MAX: usize = 8;

/// The matrix of every pair of dialects as a Markdown document.
pub fn format_markdown(dialects: &[&'static Dialect]) -> String {
    let mut out =
        String::from("# What each target can be told\n\nPrinted by `blobfish losses` from the tables.\n");
    for caller in dialects {
        out.push_str(&format!("\n## Callers that speak {}\n", caller.name));
        write_operations_markdown(caller, dialects, &mut out);
        write_fields_markdown(caller, dialects, &mut out);
        for target in dialects {
            if small_parts::can_combine(Operation::UploadPart, caller, target) {
                out.push_str(&format!(
                    "\nTowards {} parts of less than {} KiB are kept as objects and combined when their upload is completed; \
                     with `small_parts = \"refuse\"` the first that is not the last is refused.\n",
                    target.name,
                    target.limits.part_bytes_min / 1024
                ));
            }
            let missing = find_missing_words(caller, target);
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
pub struct Explanation {
    /// What it means.
    pub request: Request,
    /// How it would be carried out.
    pub plan: &'static str,
    /// What would be sent, unsigned; the first request where there are several.
    pub outgoing: OutgoingRequest,
    /// Each thing that it says: the caller's name, what becomes of it, why.
    pub fields: Vec<(String, Handling, String)>,
    /// Whether it would be refused, under each policy.
    pub rejection: Option<Rejection>,
    /// Its lines, each with what becomes of it.
    pub caller_lines: Vec<Line>,
    /// The lines of what would be sent, each with the pair that joins it to its origin.
    pub target_lines: Vec<Line>,
    /// The vendors' documents that describe it: the caller's and the target's.
    pub documents: (String, String),
    /// Headers that it could say besides, each as a line to begin with.
    pub suggested_headers: Vec<String>,
}

/// Explains one request as text of HTTP, in a dialect, towards a target's dialect. Signatures are not looked at.
///
/// # Errors
/// What the caller would be told: the request is not one of this dialect, or the target cannot hold it.
pub fn explain(
    text: &str,
    caller: &'static Dialect,
    target: &'static Dialect,
) -> Result<Explanation, Rejection> {
    let head = parse_request_head(text).ok_or_else(|| {
        Rejection::with_message(ErrorKind::InvalidRequest, "This is not the head of an HTTP request.")
    })?;
    let address = locate_at_any_host(&head, caller)?;
    let verified = VerifiedSignature {
        payload: Payload::Unsigned,
        unsigned_names: Vec::new(),
        credential_parameters: caller.auth.credential_parameters(),
        signed_key: None,
    };
    let request = read_request::read_request(caller, &head, &address, &verified)?;
    let target = build_sample_target(target);
    let route = build_sample_route(caller, &target, &request);
    let (mut target_request, rejection) = adapt_for_target(&route, &request)?;
    if route.check_conditions {
        Field::SOURCE_CONDITIONS.iter().for_each(|field| drop(target_request.fields.remove(*field)));
    }
    emulation::take_deferred_acl(&route, &mut target_request);
    let (mut outgoing, losses) = write_request::write_request(&route, &target_request)?;
    redact_secrets(route.target.dialect, &mut outgoing);
    let mut handlings: Vec<(LineSubject, String, Handling, String)> = Vec::new();
    for (field, _) in request.fields.iter() {
        let name = caller.field_name_in(field, request.operation);
        let name = name.map_or_else(|| field.name(), |name| name.as_str().to_owned());
        let loss = losses.iter().find(|loss| loss.item == loss::LostItem::Field(field));
        let (handling, note) = classify_field(request.operation, field, caller, route.target.dialect);
        match loss {
            Some(loss) if field.guards_data() => {
                handlings.push((LineSubject::Field(field), name, Handling::Rejected, loss.reason.clone()));
            }
            Some(loss) => {
                handlings.push((LineSubject::Field(field), name, Handling::Lost, loss.reason.clone()))
            }
            None if handling == Handling::Rejected && field.has_account_ids() => {
                handlings.push((
                    LineSubject::Field(field),
                    name,
                    Handling::Emulated,
                    "by a canned list".to_owned(),
                ));
            }
            None => handlings.push((LineSubject::Field(field), name, handling, note.to_owned())),
        }
    }
    for (own, _) in &request.metadata {
        let name = format!("{}{own}", caller.metadata_prefix);
        let loss = losses.iter().find(|loss| loss.name_for_caller(caller) == name);
        let handling = if loss.is_some() { Handling::Rejected } else { Handling::Native };
        let reason = loss.map(|loss| loss.reason.clone()).unwrap_or_default();
        handlings.push((LineSubject::Metadata(own.clone()), name, handling, reason));
    }
    let rejection = rejection.or_else(|| loss::check_losses(&losses, LossPolicy::Reject, caller).err());
    let (caller_lines, target_lines) =
        pair_lines(caller, &head, route.target.dialect, (&request, &target_request), &outgoing, &handlings);
    let fields = handlings.into_iter().map(|(_, name, handling, reason)| (name, handling, reason)).collect();
    let target_dialect = route.target.dialect;
    let documents = (
        rules::format_document_title(caller, request.operation),
        rules::format_document_title(target_dialect, target_request.operation),
    );
    let (plan, suggested_headers) =
        (describe_plan(&route, &request), rules::suggest_headers(caller, &request));
    Ok(Explanation {
        plan,
        request,
        outgoing,
        fields,
        rejection,
        caller_lines,
        target_lines,
        documents,
        suggested_headers,
    })
}

/// The request as the target is asked, and what is refused here.
///
/// # Errors
/// As [`listing::adapted`].
fn adapt_for_target(route: &Route<'_>, request: &Request) -> Result<(Request, Option<Rejection>), Rejection> {
    if request.operation == Operation::ListBuckets {
        let rejection = bucket_pages::check_bucket_filters(route.caller, request).err();
        return Ok((bucket_pages::build_list_buckets_request(route.target.dialect, None), rejection));
    }
    let part_request = streaming::adapt_part_request(route, request).map(|(sent, _)| sent);
    let target_request = listing::adapt_listing(route, part_request.as_ref().unwrap_or(request))?;
    Ok((emulation::adapt_to_target(route, target_request), None))
}

/// What is printed may end in a ticket: customers' keys, and what is called like a secret, are not shown.
fn redact_secrets(target: &Dialect, outgoing: &mut OutgoingRequest) {
    let keys = [Field::CustomerKey, Field::SourceCustomerKey].map(|field| (target.field_name)(field));
    for (name, value) in &mut outgoing.headers {
        if keys.iter().flatten().any(|key| key.as_str() == name) || is_secret(name) {
            *value = HIDDEN.into();
        }
    }
}

fn describe_plan(route: &Route<'_>, request: &Request) -> &'static str {
    let has_conditions = conditions::count_conditions(&request.fields) > 0;
    let is_checked_here = has_conditions && route.check_conditions;
    let needs_lookup =
        has_conditions && !conditions::has_same_rules(route.caller, route.target.dialect, &request.fields);
    match request.operation {
        Operation::ListBuckets => "Local: answered from the configuration, and from the targets of patterns",
        operation if operation.is_streamed() => "Stream: the payload passes through",
        _ if is_checked_here => "Exchange: a HEAD of the source before and after the request",
        _ if needs_lookup => "Exchange: a HEAD of the source first, then the request",
        _ => "Exchange: one request to the target",
    }
}

/// A target that exists only on paper: the dialect's own end point and a key that opens nothing.
pub fn build_sample_target(dialect: &'static Dialect) -> Target {
    Target {
        name: dialect.name.to_owned(),
        dialect,
        auth: dialect.auth,
        authority: dialect.sample_endpoint.to_owned(),
        region: String::new(),
        path_style: false,
        credentials: SharedCredentials::empty(),
        clock: TargetClock::default(),
        seal_secret: SecretString::from(String::new()),
        kms_keys: Vec::new(),
        staging: SmallPartsConfig {
            is_combining: true,
            prefix: PREFIX_DEFAULT.to_owned(),
            bucket: None,
            caller_part_bytes_min: crate::smallest_part_bytes(),
        },
    }
}

/// The way of a request to such a target, every bucket keeping its name.
pub fn build_sample_route<'a>(caller: &'static Dialect, target: &'a Target, request: &Request) -> Route<'a> {
    Route {
        caller,
        target,
        scope: RouteScope::from_request(request),
        loss_policy: LossPolicy::Reject,
        check_conditions: !target.dialect.supports_source_conditions(),
        bucket_names: std::sync::Arc::new(SameBucketNames),
    }
}

/// Where a request is addressed. The configuration is not known here, so a host that is no vendor's counts as a base name,
/// with the bucket before it where the dialect has no path style.
fn locate_at_any_host(head: &RawHead, caller: &'static Dialect) -> Result<ResourceAddress, Rejection> {
    let host = addressing::strip_port(head.host());
    let behind_bucket = host.split_once('.').map_or(host, |(_, rest)| rest);
    let base = if caller.path_style { host } else { behind_bucket };
    let located = addressing::locate_resource(head, caller, crate::DIALECTS, &[]);
    match &located {
        Err(rejection) if rejection.kind == ErrorKind::UnknownHost => {
            addressing::locate_resource(head, caller, crate::DIALECTS, &[base.to_owned()])
        }
        _ => located,
    }
}

/// Reads the head of a request as documents print it: a request line, headers, an empty line or the end.
pub fn parse_request_head(text: &str) -> Option<RawHead> {
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let mut words = lines.next()?.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    for line in lines.take_while(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.push((name.trim().to_ascii_lowercase(), value.trim().as_bytes().to_vec()));
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Some(RawHead { method, path: path.to_owned(), query: query.map(str::to_owned), headers, over_tls: false })
}
