//! Translates without sending anything: one pasted request, or every field between two dialects.

use bytes::Bytes;
use secrecy::SecretString;

use crate::dialect::route::{LossPolicy, Route, RouteScope, SameBucketNames};
use crate::dialect::signature::{Payload, ResourceAddress, VerifiedSignature};
use crate::dialect::target::PREFIX_DEFAULT;
use crate::dialect::{Dialect, SmallPartsConfig, Target, addressing};
use crate::documents::{bucket_pages, settings_documents};
use crate::engine::body_verifier::BodyVerifier;
use crate::engine::exchange::Exchange;
use crate::engine::loss::{self, Loss};
use crate::engine::plan::{self, Plan, PlanKind, PlanRoutes, Procedure};
use crate::engine::{
    copy_source, emulation, read_request, relay, request_documents, small_parts, streaming, write_request,
};
use crate::model::{
    ErrorKind, Field, Operation, OutgoingRequest, RawHead, Rejection, Request, Setting, SharedCredentials,
    TargetClock,
};
use crate::translator::handling::{Handling, classify_operation};
use crate::translator::line_subject::LineSubject;
use crate::translator::lines::{HIDDEN, Line, is_secret, pair_lines};
use crate::translator::request_text::{self, PastedRequest};
use crate::translator::rules;

/// One field of one operation between two dialects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldHandling {
    /// The operation.
    pub operation: Operation,
    /// The field.
    pub field: Field,
    /// Its name in the caller's dialect.
    pub caller_name: &'static str,
    /// Its name in the target's dialect.
    pub target_name: Option<&'static str>,
    /// How it is translated.
    pub handling: Handling,
    /// The reason, if the tables do not show it.
    pub note: &'static str,
}

/// Lists every field of the caller's dialect, by operation, with its translation for a target's dialect. A rejected
/// operation has no rows; see [`classify_operations`].
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

/// How a field of an operation is translated for a target, from the tables alone. Values that the target does not
/// have are listed separately; see [`find_missing_words`].
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
            (Handling::Rejected, "the proxy does not read bucket tags")
        }
        _ if operation == Operation::ListBuckets => (Handling::Emulated, "by the proxy"),
        Field::FetchOwner | Field::EncodingType => (Handling::Emulated, "by the proxy"),
        // Not every vendor documents If-Range, so the proxy compares the validator with the target's response.
        Field::IfRange => (Handling::Emulated, "compared by the proxy"),
        Field::ContentMd5 if !operation.is_upload() => (Handling::Emulated, "compared by the proxy"),
        Field::ContinuationToken | Field::StartAfter if sent_operation == Operation::ListObjects => {
            (Handling::Emulated, "with marker")
        }
        Field::PartNumber if is_read && !is_supported => {
            (Handling::Emulated, "the object is returned as one part")
        }
        Field::Attributes if sent_operation == Operation::HeadObject => {
            (Handling::Emulated, "with HeadObject; the parts of a multipart object are rejected")
        }
        _ if is_part_paging && sent_operation == Operation::HeadObject => (Handling::Emulated, NO_PARTS),
        // The order of the arms matters: a special case comes before the general rule for a supported field.
        Field::StandardRange if !target.defaults.lenient_range => (Handling::Native, "the target's default"),
        Field::ObjectSize if !is_supported => {
            (Handling::Emulated, "compared by the proxy with the list of parts")
        }
        _ if field.is_checksum_option() && !target.keeps_checksums() => {
            (Handling::Emulated, "checksums are verified by the proxy and not stored")
        }
        _ if field.has_account_ids() && caller.family != target.family => (
            Handling::Rejected,
            "accounts differ between vendors; grants to everybody are sent as a canned ACL",
        ),
        _ if is_supported => (Handling::Native, ""),
        _ if field.is_repeated_in(operation) => {
            (Handling::Emulated, "not sent: already sent when the upload was created")
        }
        Field::Acl
            if operation == Operation::CompleteMultipartUpload
                && target.supports_field(Field::Acl)
                && target.find_route(Operation::Put(Setting::ObjectAcl)).is_some() =>
        {
            (Handling::Emulated, "set after the upload is completed")
        }
        Field::BypassLock => (Handling::Emulated, "not sent: the target does not delete locked objects"),
        Field::ConfirmPolicyLockout => {
            (Handling::Emulated, "not sent: it only confirms a decision of the target")
        }
        _ if Field::SOURCE_CONDITIONS.contains(&field) => (
            Handling::Emulated,
            "with a HEAD of the source before and after the copy; rejected with conditions = \"native\"",
        ),
        _ if field.guards_data() => (Handling::Rejected, ""),
        _ => (Handling::Lost, ""),
    }
}

/// Why pages of an object's parts are not requested.
const NO_PARTS: &str = "no pages: the parts of a multipart object are rejected";

/// The values of the caller's dialect that the target's does not have.
pub fn find_missing_words(caller: &Dialect, target: &Dialect) -> Vec<(Field, &'static str)> {
    let (from, to) = (caller.words, target.words);
    let class = from.class.0.iter().filter(|row| to.class.word(row.0).is_none());
    let acl = from
        .acl
        .0
        .iter()
        // Inherit is the effect of an absent header at the other vendors, so it is never lost.
        .filter(|row| to.acl.word(row.0).is_none() && row.0 != crate::model::CannedAcl::Inherit);
    let encryption = from.encryption.0.iter().filter(|row| to.encryption.word(row.0).is_none());
    let class = class.map(|row| (Field::StorageClass, row.1));
    let encryption = encryption.map(|row| (Field::Encryption, row.1));
    class.chain(acl.map(|row| (Field::Acl, row.1))).chain(encryption).collect()
}

/// Every operation of the caller's dialect, with its translation for a target.
pub fn classify_operations(caller: &Dialect, target: &Dialect) -> Vec<(Operation, Handling, &'static str)> {
    let operations = Operation::all().filter(|operation| caller.has_operation(*operation));
    operations
        .map(|operation| {
            let (handling, note) = classify_operation(operation, caller, target);
            (operation, handling, note)
        })
        .collect()
}

/// The elements in documents of the caller's dialect that the target's does not have. They are rejected by name.
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
                "\nThese elements are rejected for {}. {}.\n",
                target.name,
                documents.join("; ")
            ));
        }
    }
}

/// Operations that have the same result for a field, and that result for each target; `None` if the operation itself
/// is rejected.
struct FieldGroup {
    caller_name: &'static str,
    operations: Vec<Operation>,
    cells: Vec<Option<String>>,
}

impl FieldGroup {
    /// Adds an operation if its results are the same.
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
    out.push_str(&format!("\n| field | operations | {} |\n", names.join(" | ")));
    out.push_str(&format!("| --- | --- |{}\n", " --- |".repeat(names.len())));
    for field in Field::ALL {
        let operations = Operation::all().filter(|operation| caller.has_operation(*operation));
        let names_by_operation: Vec<_> = operations
            .filter_map(|operation| Some((operation, caller.field_name_in(field, operation)?.as_str())))
            .collect();
        let mut groups: Vec<FieldGroup> = Vec::new();
        for (operation, name) in &names_by_operation {
            let cell = |target: &&'static Dialect| {
                let is_rejected = classify_operation(*operation, caller, target).0 == Handling::Rejected;
                let (handling, note) = classify_field(*operation, field, caller, target);
                (!is_rejected).then(|| match note {
                    "" => handling.name().to_owned(),
                    note => format!("{} ({note})", handling.name()),
                })
            };
            let cells: Vec<Option<String>> = dialects.iter().map(cell).collect();
            // Most fields have the same result in all operations; one row for them keeps the table readable.
            if !groups.iter_mut().any(|group| group.try_add(name, *operation, &cells)) {
                groups.push(FieldGroup { caller_name: name, operations: vec![*operation], cells });
            }
        }
        for group in groups {
            let cells = group.cells.iter().map(|cell| cell.as_deref().unwrap_or("rejected"));
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

/// Most operations that a row lists by name if all operations have the same result.
const OPERATIONS_NAMED_MAX: usize = 8;

/// Formats the matrix of every pair of dialects as a Markdown document.
pub fn format_markdown(dialects: &[&'static Dialect]) -> String {
    let mut out = String::from("# Supported fields\n\nPrinted by `blobfish losses` from the tables.\n");
    for caller in dialects {
        out.push_str(&format!("\n## Caller dialect {}\n", caller.name));
        write_operations_markdown(caller, dialects, &mut out);
        write_fields_markdown(caller, dialects, &mut out);
        for target in dialects {
            if small_parts::can_combine(Operation::UploadPart, caller, target) {
                out.push_str(&format!(
                    "\nFor {0}, parts of less than {1} KiB are stored as objects and combined when their upload is completed; \
                     with `small_parts = \"reject\"` a small part that is not the last one is rejected.\n",
                    target.name,
                    target.limits.part_bytes_min / 1024
                ));
            }
            let missing = find_missing_words(caller, target);
            if !missing.is_empty() {
                let words: Vec<String> =
                    missing.iter().map(|(field, word)| format!("`{word}` ({})", field.name())).collect();
                out.push_str(&format!(
                    "\n{} has no value that corresponds to {}.\n",
                    target.name,
                    words.join(", ")
                ));
            }
        }
    }
    out
}

/// The translation of one request.
#[derive(Debug)]
pub struct Explanation {
    /// The canonical request.
    pub request: Request,
    /// The plan by which the proxy processes it.
    pub plan: Plan,
    /// The translated request, unsigned; `None` if no target gets one.
    pub outgoing: Option<OutgoingRequest>,
    /// The requests that the proxy sends before it, unsigned.
    pub lookups: Vec<OutgoingRequest>,
    /// Each field: its name in the caller's dialect, its handling, the reason.
    pub fields: Vec<(String, Handling, String)>,
    /// The rejection, if the route rejects the request.
    pub rejection: Option<Rejection>,
    /// Whether a route that reports lost fields accepts it.
    pub can_be_reported: bool,
    /// The lines of the request, each with its handling.
    pub caller_lines: Vec<Line>,
    /// The lines of the translated request, each with the key of its pair.
    pub target_lines: Vec<Line>,
    /// The vendors' documents for the operation: the caller's and the target's.
    pub documents: (String, String),
    /// Headers that can be added to the request, each as a complete line.
    pub suggested_headers: Vec<String>,
}

/// Explains a pasted request in a dialect, for a sample target of another. Signatures are not verified.
///
/// # Errors
/// The proxy would reject the request: it is not a request of this dialect, or it exceeds the target's limits.
pub fn explain(
    text: &str,
    caller: &'static Dialect,
    target: &'static Dialect,
) -> Result<Explanation, Rejection> {
    explain_pasted(&request_text::parse_pasted_request(text)?, caller, target)
}

/// As [`explain`], for a text that has been parsed.
///
/// # Errors
/// As [`explain`].
pub fn explain_pasted(
    pasted: &PastedRequest,
    caller: &'static Dialect,
    target: &'static Dialect,
) -> Result<Explanation, Rejection> {
    let request = read_pasted_request(pasted, caller, None)?;
    let target = build_sample_target(target);
    let route = build_sample_route(caller, &target, &request);
    let source_route = request.source.as_ref().map(|source| route.to_bucket(source.bucket.clone()));
    let routes = PlanRoutes {
        destination: &route,
        source: source_route.as_ref(),
        // Without a configuration there is only one target.
        is_same_target: true,
        allows_relay: false,
    };
    explain_request(pasted, request, routes)
}

/// Reads a pasted request without verifying its signature. `base_domains` are those of the configuration; `None` if
/// there is none: then any host that does not belong to a vendor counts as a base domain.
///
/// # Errors
/// The proxy would reject the request.
pub fn read_pasted_request(
    pasted: &PastedRequest,
    caller: &'static Dialect,
    base_domains: Option<&[String]>,
) -> Result<Request, Rejection> {
    let address = match base_domains {
        Some(base_domains) => {
            addressing::locate_resource(&pasted.head, caller, crate::DIALECTS, base_domains)?
        }
        None => locate_at_any_host(&pasted.head, caller)?,
    };
    let verified = VerifiedSignature {
        payload: Payload::Unsigned,
        unsigned_names: Vec::new(),
        credential_parameters: caller.auth.credential_parameters(),
        signed_key: None,
    };
    read_request::read_request(caller, &pasted.head, &address, &verified)
}

/// Explains a request on its routes, with the same code as the proxy.
///
/// # Errors
/// As [`explain`].
pub fn explain_request(
    pasted: &PastedRequest,
    mut request: Request,
    routes: PlanRoutes<'_, '_>,
) -> Result<Explanation, Rejection> {
    let route = routes.destination;
    let (caller, target) = (route.caller, route.target.dialect);
    // Without a body only the head is explained, because documentation and logs often omit the body.
    if let Some(body) = &pasted.body {
        request_documents::read_request_body(route, &mut request, body)?;
    }
    let plan = plan::plan_request(&request, routes);
    let mut draft = draft_target_request(pasted, &request, routes, &plan)?;
    for outgoing in draft.lookups.iter_mut().chain([&mut draft.outgoing]) {
        redact_secrets(target, outgoing);
        // The length depends on the bytes that are sent, so it is not part of the translation.
        outgoing.headers.retain(|row| row.0 != "content-length" && row.0 != "transfer-encoding");
    }
    let handlings = classify_handlings(route, &request, &draft, &plan);
    // The proxy rejects a policy only when it reads the document; what `losses` calls rejected is not accepted here.
    let rejection = draft.rejection.take();
    let rejection = rejection
        .or_else(|| emulation::check_policy_support(request.operation, caller, target).err())
        .or_else(|| loss::check_losses(&draft.losses, LossPolicy::Report, caller).err());
    let can_be_reported = rejection.is_none();
    let rejection = rejection.or_else(|| loss::check_losses(&draft.losses, route.loss_policy, caller).err());
    let (caller_lines, target_lines) = pair_lines(
        caller,
        &pasted.head,
        target,
        (&request, &draft.target_request),
        &draft.outgoing,
        &handlings,
    );
    let documents = (
        rules::format_document_title(caller, request.operation),
        rules::format_document_title(target, draft.target_request.operation),
    );
    Ok(Explanation {
        plan,
        fields: handlings.into_iter().map(|(_, name, handling, reason)| (name, handling, reason)).collect(),
        suggested_headers: rules::suggest_headers(caller, &request),
        can_be_reported,
        outgoing: Some(draft.outgoing),
        lookups: draft.lookups,
        request,
        rejection,
        caller_lines,
        target_lines,
        documents,
    })
}

/// The translated request before it is compared with the original.
struct Draft {
    target_request: Request,
    outgoing: OutgoingRequest,
    lookups: Vec<OutgoingRequest>,
    losses: Vec<Loss>,
    rejection: Option<Rejection>,
}

fn draft_target_request(
    pasted: &PastedRequest,
    request: &Request,
    routes: PlanRoutes<'_, '_>,
    plan: &Plan,
) -> Result<Draft, Rejection> {
    let route = routes.destination;
    let mut rejection = None;
    let (target_request, (outgoing, losses), lookups) = match (plan.procedure, routes.source) {
        (Procedure::ListBuckets, _) => {
            rejection = bucket_pages::check_bucket_filters(route.caller, request).err();
            // The configured buckets are listed without a request; this one is sent to the targets of bucket
            // patterns.
            let list_request = bucket_pages::build_list_buckets_request(route.target.dialect, None);
            let written = write_request::write_request(route, &list_request)?;
            (list_request, written, Vec::new())
        }
        (_, Some(source_route)) if plan.kind == PlanKind::Relay => {
            let mut written = relay::write_copy_draft(source_route, route, request)?;
            if plan.procedure == Procedure::SmallPartsUpload
                && small_parts::copies_small_range(route, request)
                && let Some(number) = request.fields.number(Field::PartNumber)
            {
                let put = build_small_part(route, &relay::remove_copy_fields(request.clone()), number)?;
                written.0 = write_request::write_request(&small_parts::route_to_small_parts(route)?, &put)?.0;
            }
            let head_request = copy_source::build_source_head_request(request)?;
            let (lookup, _) = write_request::write_request(source_route, &head_request)?;
            let operation = relay::select_write_operation(request.operation);
            (Request { operation, source: None, ..request.clone() }, written, vec![lookup])
        }
        _ if request.operation.is_streamed() || request.operation.is_upload() => {
            let body_length = pasted.body.as_ref().and_then(|body| u64::try_from(body.len()).ok());
            let length = request.body_length.or(body_length);
            let (upload_route, target_request) = place_upload(route, request, plan, length)?;
            let target_request = match &pasted.body {
                Some(body) if plan.procedure == Procedure::Upload => {
                    add_body_digests(pasted, route, target_request, body)?
                }
                _ => target_request,
            };
            let written = match length {
                None => write_request::write_request(&upload_route, &target_request)?,
                length => streaming::write_target_request(&upload_route, &target_request, length)?,
            };
            (target_request, written, Vec::new())
        }
        _ => {
            let exchange = Exchange::from_request(route.clone(), request.clone())?;
            let mut outgoing = exchange.build_main_request()?;
            write_request::add_document_headers(&mut outgoing);
            (exchange.target_request().clone(), (outgoing, exchange.losses().to_vec()), Vec::new())
        }
    };
    Ok(Draft { target_request, outgoing, lookups, losses, rejection })
}

/// Chooses the destination of a body: a small part is stored as an object of its own.
fn place_upload<'a>(
    route: &Route<'a>,
    request: &Request,
    plan: &Plan,
    length: Option<u64>,
) -> Result<(Route<'a>, Request), Rejection> {
    let is_small = length.is_some_and(|length| length < route.target.dialect.limits.part_bytes_min);
    let is_kept =
        plan.procedure == Procedure::SmallPartsUpload && route.target.staging.is_combining && is_small;
    if let Some(number) = request.fields.number(Field::PartNumber).filter(|_| is_kept) {
        return Ok((small_parts::route_to_small_parts(route)?, build_small_part(route, request, number)?));
    }
    let part_request = streaming::adapt_part_request(route, request).map(|(sent, _)| sent);
    Ok((route.clone(), part_request.unwrap_or_else(|| request.clone())))
}

/// Adds the digests that the proxy adds to the head of a small upload after it has read the body.
fn add_body_digests(
    pasted: &PastedRequest,
    route: &Route<'_>,
    request: Request,
    body: &[u8],
) -> Result<Request, Rejection> {
    let is_whole =
        request.body_length.is_none_or(|length| u64::try_from(body.len()).is_ok_and(|bytes| bytes == length));
    let payload_header = pasted.head.header_text("x-amz-content-sha256").unwrap_or_default();
    // The digests in the head do not match a pasted body that is truncated or framed in signed chunks.
    if !is_whole || payload_header.starts_with("STREAMING") {
        return Ok(request);
    }
    let digests_to_compute = streaming::choose_digests(route, &request);
    let mut verifier = BodyVerifier::new(route.caller, Payload::Unsigned, &request, digests_to_compute)?;
    verifier.push(&Bytes::copy_from_slice(body))?;
    let (_, digests) = verifier.finish()?;
    if streaming::needs_digest(route, &request) {
        return Ok(streaming::add_digests(route, streaming::add_body_md5(request, body), &digests));
    }
    if streaming::can_send_more_digests(route, &request) {
        return Ok(streaming::add_digests(route, request, &digests));
    }
    Ok(request)
}

/// Builds the PutObject request that stores a small part.
fn build_small_part(route: &Route<'_>, request: &Request, number: u64) -> Result<Request, Rejection> {
    Ok(small_parts::PartsFolder::from_request(route, request)?.build_put_request(request, number))
}

/// Determines the handling of each field and each metadata entry.
fn classify_handlings(
    route: &Route<'_>,
    request: &Request,
    draft: &Draft,
    plan: &Plan,
) -> Vec<(LineSubject, String, Handling, String)> {
    let (caller, target) = (route.caller, route.target.dialect);
    let mut handlings: Vec<(LineSubject, String, Handling, String)> = Vec::new();
    for (field, _) in request.fields.iter() {
        let name = caller.field_name_in(field, request.operation);
        let name = name.map_or_else(|| field.name(), |name| name.as_str().to_owned());
        let loss = draft.losses.iter().find(|loss| loss.item == loss::LostItem::Field(field));
        let (handling, note) = classify_field(request.operation, field, caller, target);
        // A field of the copy that the resulting write does not have is evaluated by the proxy.
        let is_relayed_here =
            plan.kind == PlanKind::Relay && !field.applies_to(draft.target_request.operation);
        let (handling, reason) = match loss {
            // A loss in this request takes precedence over the table: it may depend on the value.
            Some(loss) if field.guards_data() => (Handling::Rejected, loss.reason.clone()),
            Some(loss) => (Handling::Lost, loss.reason.clone()),
            None if is_relayed_here => (Handling::Emulated, "by the proxy, which makes the copy".to_owned()),
            None if handling == Handling::Rejected && field.has_account_ids() => {
                (Handling::Emulated, "with a canned ACL".to_owned())
            }
            None => (handling, note.to_owned()),
        };
        handlings.push((LineSubject::Field(field), name, handling, reason));
    }
    for (own, _) in &request.metadata {
        let name = format!("{}{own}", caller.metadata_prefix);
        let loss = draft.losses.iter().find(|loss| loss.item == loss::LostItem::Metadata(own.clone()));
        let handling = if loss.is_some() { Handling::Rejected } else { Handling::Native };
        let reason = loss.map(|loss| loss.reason.clone()).unwrap_or_default();
        handlings.push((LineSubject::Metadata(own.clone()), name, handling, reason));
    }
    handlings
}

/// Hides customer keys and everything with a secret in its name, because people paste the output into tickets.
fn redact_secrets(target: &Dialect, outgoing: &mut OutgoingRequest) {
    // The names of these headers depend on the dialect, so the table is used in addition to the list of marks.
    let keys = [Field::CustomerKey, Field::SourceCustomerKey].map(|field| (target.field_name)(field));
    for (name, value) in &mut outgoing.headers {
        if keys.iter().flatten().any(|key| key.as_str() == name) || is_secret(name) {
            *value = HIDDEN.into();
        }
    }
}

/// A sample target with the dialect's own endpoint and without credentials.
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
        token_signing_secret: SecretString::from(String::new()),
        kms_keys: Vec::new(),
        staging: SmallPartsConfig {
            is_combining: true,
            prefix: PREFIX_DEFAULT.to_owned(),
            bucket: None,
            caller_part_bytes_min: crate::smallest_part_bytes(),
        },
    }
}

/// The route of a request to a sample target, with the client's bucket names.
pub fn build_sample_route<'a>(caller: &'static Dialect, target: &'a Target, request: &Request) -> Route<'a> {
    Route {
        caller,
        target,
        scope: RouteScope::from_request(request),
        loss_policy: LossPolicy::Reject,
        // This is the default of the configuration.
        check_conditions: !target.dialect.supports_source_conditions(),
        bucket_names: std::sync::Arc::new(SameBucketNames),
    }
}

/// Finds the bucket and key of a request without a configuration: a host that does not belong to a vendor counts as a
/// base domain, with the bucket before it if the dialect has no path-style addressing.
fn locate_at_any_host(head: &RawHead, caller: &'static Dialect) -> Result<ResourceAddress, Rejection> {
    let host = addressing::strip_port(head.host());
    let behind_bucket = host.split_once('.').map_or(host, |(_, rest)| rest);
    // Without path-style addressing, the bucket must be the first label of the host.
    let base = if caller.path_style { host } else { behind_bucket };
    let located = addressing::locate_resource(head, caller, crate::DIALECTS, &[]);
    match &located {
        Err(rejection) if rejection.kind == ErrorKind::UnknownHost => {
            addressing::locate_resource(head, caller, crate::DIALECTS, &[base.to_owned()])
        }
        _ => located,
    }
}
