//! What makes up a dialect: one value of tables, and a few functions where a table cannot say it.

use crate::dialect::operation_route::OperationRoute;
use crate::dialect::settings_schema::SettingSchema;
use crate::dialect::signature::Auth;
use crate::encoding::xml::Node;
use crate::model::{
    CannedAcl, CopySource, Directive, Encryption, ErrorKind, Field, Group, Operation, Rejection, Request,
    ResponseField, Setting, StorageClass,
};

/// Everything that tells one dialect from another. `None` for a name is the whole capability system: it says
/// "no such header" and "report a loss" in one place.
pub struct Dialect {
    /// The name in configuration, metrics and messages.
    pub name: &'static str,
    /// Requests to try translations with, each under a line `### TITLE`. Their signatures are made up.
    pub examples: &'static str,
    /// Dialects of one family share their signatures and header names.
    pub family: &'static str,
    /// Servers that have this dialect with stated differences, and are only targets.
    pub profiles: &'static [&'static Dialect],
    /// Another name that a configuration may give the dialect as a profile: the vendor's own.
    pub vendor_profile: Option<&'static str>,
    /// The embedded store of demo mode, in the dialect that it has. It cannot be configured.
    pub embedded_store: Option<&'static Dialect>,
    /// Its signatures.
    pub auth: &'static dyn Auth,
    /// The words for its signatures in configuration: what a caller may be allowed.
    pub signatures: &'static [&'static str],
    /// The versions of the signature that a target may be configured to be sent, the usual one first. Empty: no choice.
    pub signing_versions: &'static [(&'static str, &'static dyn Auth)],
    /// The configuration key that holds a caller to signing everything that has a meaning, where its clients may choose
    /// what they sign.
    pub strict_signing_key: Option<&'static str>,
    /// How its hosts look. The first row that fits is taken.
    pub hosts: &'static [HostForm],
    /// Families besides its own whose clients the vendor serves on the same hosts, with the bucket in the host.
    pub serves_families: &'static [&'static str],
    /// Whether its clients may put the bucket in the path: at an IP address, `localhost`, a base name and the vendor's
    /// own endpoints.
    pub path_style: bool,
    /// Which method and parameter mean which operation. The first row that fits is taken.
    pub routes: &'static [OperationRoute],
    /// The documents that its buckets and objects have beside them.
    pub settings: &'static [SettingSchema],
    /// Settings that it does not have. Every other one has a schema.
    pub absent_settings: &'static [Setting],
    /// How it says who may do what.
    pub acl_style: AclStyle,
    /// Parameters that select an operation which is not translated: refused, never passed over.
    pub sub_resources: &'static [&'static str],
    /// Whether parameter names are matched without regard to letter case.
    pub parameters_ignore_case: bool,
    /// Prefix of its own headers; one of these that has no place in a request is refused.
    pub header_prefix: &'static str,
    /// Prefix of user metadata.
    pub metadata_prefix: &'static str,
    /// Its own headers that no field is read from, each with the operations and the reason.
    pub ignored_headers: &'static [IgnoredHeader],
    /// Beginnings of the names of metadata that a copy keeps although it replaces the rest.
    pub metadata_kept_prefixes: &'static [&'static str],
    /// Whether metadata that is not ASCII is told in encoded words (RFC 2047).
    pub metadata_encoded_words: bool,
    /// Whether a query parameter of this lower-case name is read as the header of that name.
    pub is_header_parameter: fn(&str) -> bool,
    /// Headers that carry a checksum of the body.
    pub checksum_headers: &'static [(&'static str, crate::model::ChecksumAlgorithm)],
    /// Headers that state a digest of the body in hex.
    pub digest_headers: &'static [StatedDigest],
    /// The header that announces which checksum comes behind the body.
    pub trailer_header: Option<&'static str>,
    /// The header that names the algorithm of the checksum, and must agree with the one that is sent.
    pub checksum_algorithm_header: Option<&'static str>,
    /// What it calls a field of a request, in every operation for which `names_in` and `lacks_in` say nothing else.
    pub field_name: fn(Field) -> Option<FieldName>,
    /// Fields that have another name in one operation.
    pub field_names_by_operation: &'static [(Operation, Field, FieldName)],
    /// What of a header's text is the object's own; the rest belongs to the wire.
    pub strip_transport_text: fn(Field, String) -> String,
    /// Fields that it reads as a caller's dialect but does not honour as a target.
    pub unsupported_fields: &'static [Field],
    /// Operations that it reads as a caller's dialect but does not have as a target.
    pub unsupported_operations: &'static [Operation],
    /// Settings that it reads as a caller's dialect but does not have as a target.
    pub unsupported_settings: &'static [Setting],
    /// Whether a target of this kind is known to tell settings by their parameters. Others pass over parameters that they
    /// do not know, and make or delete the bucket itself.
    pub distinguishes_settings: bool,
    /// Whether a put that locks its object has to say a digest of it.
    pub needs_lock_digest: bool,
    /// Further places where its callers may say a field.
    pub additional_field_names: &'static [(Operation, Field, FieldName)],
    /// Fields that it has, but not in these operations: neither said by its callers nor to its targets.
    pub absent_fields_by_operation: &'static [(Operation, Field)],
    /// Fields that it reads in these operations as a caller's dialect but does not honour as a target.
    pub unsupported_fields_by_operation: &'static [(Operation, Field)],
    /// Values that must not be empty, and what the caller is told. Any other empty value says nothing: SDKs send them
    /// for what was not given.
    pub non_empty_fields: &'static [(Field, ErrorKind, &'static str)],
    /// The least and the greatest value of a number in an operation. What is outside is refused.
    pub number_bounds: &'static [(Operation, Field, u64, u64)],
    /// Refuses what its callers may not say together, or must say.
    pub check_request: fn(&Request) -> Result<(), Rejection>,
    /// What it calls a field of an answer.
    pub response_field_name: fn(ResponseField) -> Option<&'static str>,
    /// Its words.
    pub words: &'static WordTables,
    /// Its way of copying.
    pub copy: CopyRules,
    /// Its documents.
    pub xml: XmlStyle,
    /// Its errors.
    pub errors: &'static [ErrorRow],
    /// Sentences that distinguish errors with one code. The first that fits is taken.
    pub error_sentences: &'static [ErrorSentence],
    /// What it means when nothing is said.
    pub defaults: Defaults,
    /// What it can hold.
    pub limits: Limits,
    /// Whether an ETag that looks like an MD5 is that of the object's bytes, unless these are encrypted with a key of
    /// the customer's or of a key service.
    pub etag_is_md5: bool,
    /// Whether it writes MD5-shaped ETags in upper case.
    pub etag_upper_case: bool,
    /// Its statuses for success, where they differ from 200.
    pub success_statuses: &'static [(Operation, u16)],
    /// Headers of every answer.
    pub common_headers: CommonHeaders,
    /// Fills in what its callers expect in an answer and other targets do not tell.
    pub complete_response: fn(Operation, &mut crate::model::Response),
    /// The parameter of a bucket's GET that shows whether it exists, where the dialect has no HEAD for that.
    pub bucket_probe_parameter: Option<&'static str>,
    /// What its SDKs call the size of a part, for messages.
    pub part_size_setting: &'static str,
    /// Whether a bucket in which uploads were begun and not completed counts as not empty.
    pub uploads_fill_bucket: bool,
    /// In which header of a completing call a target of our own is told how small parts may be for the caller's vendor.
    pub part_bytes_min_header: Option<&'static str>,
    /// Whether uploads without a known length may be sent to it.
    pub supports_chunked_uploads: bool,
    /// Whether every field of a form must be named in its policy.
    pub form_policy_covers_all: bool,
    /// Whether the type that a browser says of a form's file is the object's.
    pub uses_form_file_type: bool,
    /// Where the vendor describes it.
    pub manual: Manual,
    /// A public end point of the vendor, to show what a request would look like.
    pub sample_endpoint: &'static str,
    /// The vendor's public end point of a region; a server that anybody runs has none.
    pub endpoint: Option<fn(region: &str) -> String>,
    /// What a bucket is created with, besides headers: the body for a region, and for settings that
    /// [`Dialect::bucket_settings`] has in the document.
    pub write_create_bucket_body: fn(region: &str, settings: &Node) -> Vec<u8>,
    /// What else a target can be told of a new bucket.
    pub bucket_settings: BucketSettings,
}

/// Where a new bucket's settings are said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// The class of its objects of which nobody says one.
    pub class: Option<BucketSettingLocation>,
    /// Whether its objects are kept in one zone or in several.
    pub redundancy: Option<RedundancySetting>,
}

/// How the redundancy of a new bucket is expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedundancySetting {
    /// The element that clients name it with.
    pub element: &'static str,
    /// Its words. The first is the least redundancy, which every vendor's buckets have.
    pub words: &'static [&'static str],
    /// Where requests to a target state it.
    pub location: BucketSettingLocation,
}

impl BucketSettings {
    /// None can be said.
    pub const NONE: Self = Self { class: None, redundancy: None };
}

/// Where one of them is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketSettingLocation {
    /// In the document of the creating call.
    Document,
    /// In a header of this name.
    Header(&'static str),
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Dialect {
    /// What it calls a field in a request of this kind, if that may say it.
    pub fn field_name_in(&self, field: Field, operation: Operation) -> Option<FieldName> {
        if !field.applies_to(operation) || self.absent_fields_by_operation.contains(&(operation, field)) {
            return None;
        }
        let override_name =
            self.field_names_by_operation.iter().find(|row| (row.0, row.1) == (operation, field));
        override_name.map(|row| row.2).or_else(|| (self.field_name)(field))
    }

    /// What a target of this dialect is told a field by in a request of this kind, if it honours it there.
    pub fn target_field_name(&self, field: Field, operation: Operation) -> Option<FieldName> {
        let lacks = self.unsupported_fields.contains(&field)
            || self.unsupported_fields_by_operation.contains(&(operation, field));
        self.field_name_in(field, operation).filter(|_| !lacks)
    }

    /// Whether a target of this dialect compares, keeps and tells checksums that are said to it.
    pub fn keeps_checksums(&self) -> bool {
        self.supports_field(Field::ChecksumMode)
    }

    /// Whether answers of this dialect tell checksums in documents.
    pub fn has_checksums_in_documents(&self) -> bool {
        (self.response_field_name)(ResponseField::ChecksumType).is_some()
    }

    /// The header of a checksum.
    pub fn checksum_header(&self, algorithm: crate::model::ChecksumAlgorithm) -> Option<&'static str> {
        self.checksum_headers.iter().find(|row| row.1 == algorithm).map(|row| row.0)
    }

    /// Whether a header, by its lower-case name, is ignored in an operation for the reason of a row.
    pub fn ignores_header(&self, operation: Operation, header: &str) -> bool {
        self.ignored_headers.iter().any(|row| row.matches_header(header) && (row.applies_to)(operation))
    }

    /// Whether a header, by its lower-case name, is a field's in any operation.
    pub fn has_header(&self, header: &str) -> bool {
        let names = |name: Option<FieldName>| matches!(name, Some(FieldName::Header(own)) if own == header);
        Field::ALL.into_iter().any(|field| names((self.field_name)(field)))
    }

    /// Whether a header, by its lower-case name, is a list, so that its lines are one (RFC 9110, 5.3).
    pub fn is_list_header(&self, header: &str) -> bool {
        let names = |name: Option<FieldName>| matches!(name, Some(FieldName::Header(own)) if own == header);
        Field::ALL.into_iter().any(|field| field.is_list() && names((self.field_name)(field)))
    }

    /// Whether a field can be said to a target of this dialect.
    pub fn supports_field(&self, field: Field) -> bool {
        (self.field_name)(field).is_some() && !self.unsupported_fields.contains(&field)
    }

    /// Whether the vendor's hosts serve clients of a dialect.
    pub fn serves_clients_of(&self, other: &Self) -> bool {
        self.family == other.family || self.serves_families.contains(&other.family)
    }

    /// Whether a bucket of this name can stand in a host: where names have no dots, a dot before the service means that
    /// the host is another one.
    pub fn allows_bucket_in_host(&self, bucket: &str) -> bool {
        self.limits.bucket_dots || !bucket.contains('.')
    }

    /// Whether a target of this dialect evaluates every condition on a copy's source.
    pub fn supports_source_conditions(&self) -> bool {
        Field::SOURCE_CONDITIONS.into_iter().all(|field| self.supports_field(field))
    }

    /// The row of a fault; every table ends in an internal error.
    pub fn error_row(&self, kind: ErrorKind) -> Option<&'static ErrorRow> {
        self.errors.iter().find(|row| row.kind == kind)
    }

    /// The status of success.
    pub fn success_status(&self, operation: Operation) -> u16 {
        match operation {
            Operation::Put(setting) => self.setting_schema(setting).map_or(200, |form| form.put_status),
            Operation::Delete(_) => 204,
            _ => self.success_statuses.iter().find(|row| row.0 == operation).map_or(200, |row| row.1),
        }
    }

    /// Its routes: those of settings first, for a parameter always selects them.
    pub fn all_routes(&self) -> impl Iterator<Item = OperationRoute> {
        self.settings.iter().flat_map(|form| form.operation_routes()).chain(self.routes.iter().copied())
    }

    /// Whether its callers can ask for an operation.
    pub fn has_operation(&self, operation: Operation) -> bool {
        self.all_routes().any(|row| row.operation == operation)
    }

    /// The route by which a target is asked for an operation, if it has that.
    pub fn find_route(&self, operation: Operation) -> Option<OperationRoute> {
        let setting = match operation {
            Operation::Get(setting) | Operation::Put(setting) | Operation::Delete(setting) => Some(setting),
            _ => None,
        };
        let lacks = self.unsupported_operations.contains(&operation)
            || setting.is_some_and(|setting| self.unsupported_settings.contains(&setting));
        self.all_routes().find(|row| row.operation == operation && !lacks)
    }

    /// How it has a setting, if it does.
    pub fn setting_schema(&self, setting: Setting) -> Option<&'static SettingSchema> {
        self.settings.iter().find(|form| form.setting == setting)
    }
}

/// Why a header is not read as a field. The list is closed: a header that affects the result of its operation is a field
/// (native, emulated or reported as lost), or the request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreReason {
    /// It describes how the body is transferred, and is handled where the body is read.
    Transport,
    /// It is part of the signature or of the credentials, and is verified before the request is read.
    Signature,
    /// The vendor returns the same result with it and without it in this operation.
    NoEffect,
    /// The vendor defines it for responses. Clients send the headers of one response with their next request; in a
    /// request it asks for nothing, so no result can depend on it.
    ResponseOnly,
}

/// A header that is ignored in some operations. In the others it is a field, or the request is rejected.
#[derive(Clone, Copy)]
pub struct IgnoredHeader {
    /// In lower case; a last `*` stands for whatever follows.
    pub name: &'static str,
    /// The operations in which it is ignored.
    pub applies_to: fn(Operation) -> bool,
    /// Why.
    pub reason: IgnoreReason,
    /// Which client sends it there, or which document describes it.
    pub source: &'static str,
}

impl IgnoredHeader {
    /// A row for several operations in which the header has no effect.
    pub const fn new(name: &'static str, applies_to: fn(Operation) -> bool, source: &'static str) -> Self {
        Self { name, applies_to, reason: IgnoreReason::NoEffect, source }
    }

    /// A row for every operation.
    pub const fn for_all_operations(name: &'static str, reason: IgnoreReason, source: &'static str) -> Self {
        Self { name, applies_to: |_| true, reason, source }
    }

    /// A header that the vendor defines only in responses, for every operation: clients send some with their next request.
    pub const fn response_only(name: &'static str, source: &'static str) -> Self {
        Self::for_all_operations(name, IgnoreReason::ResponseOnly, source)
    }

    /// Whether several lines of it are accepted. What describes the body or the signature is read, so that a second line
    /// could contradict the first.
    pub fn may_repeat(&self) -> bool {
        matches!(self.reason, IgnoreReason::NoEffect | IgnoreReason::ResponseOnly)
    }

    /// Whether the row is about a header of this lower-case name.
    pub fn matches_header(&self, header: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => header.starts_with(prefix),
            None => header == self.name,
        }
    }
}

/// A header that states a digest of the request's body in hex.
#[derive(Debug, Clone, Copy)]
pub struct StatedDigest {
    /// In lower case.
    pub header: &'static str,
    /// How it is computed.
    pub algorithm: crate::model::ChecksumAlgorithm,
    /// The value that states nothing.
    pub absent_value: Option<&'static str>,
    /// What is wrong where the body has another.
    pub mismatch_error: ErrorKind,
}

/// Where a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldName {
    /// In a header of this lower-case name.
    Header(&'static str),
    /// In a query parameter.
    Parameter(&'static str),
}

impl FieldName {
    /// The bare name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header(name) | Self::Parameter(name) => name,
        }
    }
}

/// One form of a vendor's hosts, by labels from the right. `*` is any one label, `name-*` a label that begins so.
#[derive(Debug, Clone, Copy)]
pub struct HostForm {
    /// Whether the object API answers there. Websites, data processing and the like are known so that nothing of them is
    /// taken for a bucket, and refused.
    pub is_api: bool,
    /// The vendor's domain; `localhost` stands in for it.
    pub domain: &'static [&'static str],
    /// What stands before the domain, from the right: region and service. Labels further left are the bucket.
    pub service: &'static [&'static str],
}

impl HostForm {
    /// A form of hosts where the object API answers.
    pub const fn new_api(domain: &'static [&'static str], service: &'static [&'static str]) -> Self {
        Self { is_api: true, domain, service }
    }

    /// Whether a region is part of it.
    pub fn has_region(&self) -> bool {
        self.service.iter().any(|label| label.ends_with('*'))
    }

    /// A form of hosts of something else.
    pub const fn new_other(domain: &'static [&'static str], service: &'static [&'static str]) -> Self {
        Self { is_api: false, domain, service }
    }
}

/// A closed set of values and how one dialect spells them. Every row is read; the first match is written.
///
/// The second list has the values that the dialect cannot express, so that none is forgotten: a test compares both with the
/// values that exist.
pub struct Words<T: 'static>(pub &'static [(T, &'static str)], pub &'static [T]);

impl<T: Copy + PartialEq> Words<T> {
    /// What a word means. Vendors' own SDKs differ in letter case, so case does not count.
    pub fn value(&self, word: &str) -> Option<T> {
        self.0.iter().find(|row| row.1.eq_ignore_ascii_case(word)).map(|row| row.0)
    }

    /// How a value is spelled, if it can be said at all.
    pub fn word(&self, value: T) -> Option<&'static str> {
        self.0.iter().find(|row| row.0 == value).map(|row| row.1)
    }
}

/// The words of one dialect.
#[allow(missing_docs, reason = "each is the table of the field of that name")]
pub struct WordTables {
    pub metadata: Words<Directive>,
    pub tagging: Words<Directive>,
    pub class: Words<StorageClass>,
    pub acl: Words<CannedAcl>,
    pub encryption: Words<Encryption>,
    /// What a flag says for "yes".
    pub flag_word: fn(Field) -> &'static str,
}

/// How a dialect's callers may combine conditions on a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionCombination {
    /// A matching ETag outweighs the date of its pair.
    Precedence,
    /// Only match with unmodified-since, and none-match with modified-since; each then by precedence.
    Pairs,
    /// Each must hold.
    All,
}

/// How a dialect expresses who may do what.
pub struct AclStyle {
    /// The element of a grantee that names a group.
    pub group_element: &'static str,
    /// Whether a grantee has its kind (`Group`, `CanonicalUser`) as an attribute, without which clients cannot read it.
    pub has_grantee_type: bool,
    /// Whether a document says a canned word instead of grants.
    pub canned_in_document: bool,
    /// Whether a request that says it in headers and in its body is taken by its headers.
    pub headers_take_precedence: bool,
    /// How groups are named in grants.
    pub groups: &'static [(Group, &'static str)],
    /// An account's id that stands for a group.
    pub group_ids: &'static [(Group, &'static str)],
    /// Whether the owner keeps control where a document does not say so.
    pub implies_owner_control: bool,
}

/// When a copy of an object onto itself is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfCopyRule {
    /// When metadata, class, encryption or redirect change.
    AnyChange,
    /// When metadata or tags are replaced.
    Replaced,
    /// Always; the request's metadata is taken whatever the directive says.
    TakesRequest,
}

/// Where a copy source is to be found at a target.
#[derive(Debug, Clone, Copy)]
pub struct TargetCopySource<'a> {
    /// Bucket at the target.
    pub bucket: &'a str,
    /// Decoded key.
    pub key: &'a str,
    /// Version there.
    pub version: Option<&'a str>,
    /// The target's authority.
    pub authority: &'a str,
}

/// How a dialect copies.
pub struct CopyRules {
    /// The header that names the source.
    pub source_header: &'static str,
    /// The form of its value, as the document has it.
    pub source_grammar: &'static str,
    /// Reads its value: splits first, decodes once.
    /// The second argument is the endpoint that the request was sent to, where its bucket is in the host: a source may be
    /// said to be there.
    pub parse_source: fn(&str, Option<&str>) -> Result<CopySource, Rejection>,
    /// Writes it.
    pub write_source: fn(&TargetCopySource<'_>) -> String,
    /// How conditions combine.
    pub combination: ConditionCombination,
    /// Whether its SDKs say a condition on the source a second time under HTTP's own name: the source's decides.
    pub repeats_conditions: bool,
    /// Whether a failed none-match or modified-since answers 304 instead of 412.
    pub uses_not_modified_status: bool,
    /// Whether a modified-since in the future counts as not said.
    pub ignores_future_dates: bool,
    /// When it may copy onto itself.
    pub self_copy: SelfCopyRule,
    /// Whether the range of a part copy is checked strictly, or copies the whole source when it does not fit.
    pub strict_range: bool,
    /// Whether its callers know a success that turns out an error in the document behind it.
    pub accepts_late_error: bool,
    /// The largest source of one copy, bytes.
    pub bytes_max: u64,
    /// Whether a target may pass over the metadata directive without a word, so that the copy must be checked.
    pub needs_metadata_check: bool,
}

/// A vendor's documents, as their readers find them.
#[derive(Debug, Clone, Copy)]
pub struct Manual {
    /// Vendor and product.
    pub name: &'static str,
    /// Titles of the operations' pages, where they are not S3's names of the operations.
    pub titles: &'static [(Operation, &'static str)],
}

/// A sentence that gives an error another meaning than its code alone has.
#[derive(Debug, Clone, Copy)]
pub struct ErrorSentence {
    /// What the code means.
    pub code_kind: ErrorKind,
    /// What the vendor's message contains.
    pub contains: &'static str,
    /// What it means then.
    pub kind: ErrorKind,
}

/// One row of an error table.
#[derive(Debug, Clone, Copy)]
pub struct ErrorRow {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The vendor's code.
    pub code: &'static str,
    /// The vendor's status.
    pub status: u16,
    /// The vendor's words.
    pub message: &'static str,
}

impl ErrorRow {
    /// A row.
    pub const fn new(kind: ErrorKind, code: &'static str, status: u16, message: &'static str) -> Self {
        Self { kind, code, status, message }
    }
}

/// What it means when nothing is said.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// Storage class of a new object; `None`: as the bucket says.
    pub class: Option<StorageClass>,
    /// Whether a target is told the class of a new object even where silence should mean the same: some servers
    /// keep the source's.
    pub class_always_explicit: bool,
    /// Access of a new object.
    pub acl: CannedAcl,
    /// Content type of a new object; `None`: the service chooses.
    pub content_type: Option<&'static str>,
    /// Objects in a page.
    pub max_keys: u64,
    /// Buckets in a page; `None`: all of them.
    pub max_buckets: Option<u64>,
    /// Whether an unsatisfiable range is answered with the whole object.
    pub lenient_range: bool,
}

/// What a dialect can hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Whether names of buckets may have dots.
    pub bucket_dots: bool,
    /// Bytes of a key.
    pub key_bytes_max: usize,
    /// Bytes a key must not begin with.
    pub key_first_bytes_forbidden: &'static [u8],
    /// Bytes that must not stand in a key.
    pub key_bytes_forbidden: &'static [u8],
    /// What must not stand in a key between slashes or at its ends. An empty end is always allowed.
    pub key_segments_forbidden: &'static [&'static str],
    /// Bytes of all user metadata, names and values.
    pub metadata_bytes_max: usize,
    /// Whether names of user metadata may hold more than letters, digits and `-`.
    pub metadata_any_name: bool,
    /// Bytes of a single upload or part.
    pub upload_bytes_max: u64,
    /// Bytes of a part that is not the last of its upload, as enforced when the upload is completed.
    pub part_bytes_min: u64,
    /// The largest page of buckets that a target is asked for; `None`: it gives all of them at once.
    pub buckets_page_max: Option<u64>,
}

/// The root elements of a dialect's documents.
#[derive(Debug, Clone, Copy)]
pub struct DocumentRoots {
    /// Of an error, and of one entry that failed in the result of DeleteObjects.
    pub error: &'static str,
    /// Of the result of CopyObject.
    pub copy: &'static str,
    /// Of the result of UploadPartCopy.
    pub part_copy: &'static str,
    /// Of the result of CreateMultipartUpload.
    pub multipart_initiated: &'static str,
    /// Of the request of CompleteMultipartUpload.
    pub complete_multipart: &'static str,
    /// Of its result.
    pub multipart_completed: &'static str,
    /// Of ListParts.
    pub parts: &'static str,
    /// Of both versions of ListObjects.
    pub objects: &'static str,
    /// Of ListBuckets.
    pub buckets: &'static str,
    /// Of ListObjectVersions.
    pub versions: &'static str,
    /// Of ListMultipartUploads.
    pub uploads: &'static str,
    /// Of the request of DeleteObjects.
    pub delete: &'static str,
    /// Of its result.
    pub deleted: &'static str,
    /// Of the request of RestoreObject.
    pub restore: &'static str,
    /// Of access control lists.
    pub acl: &'static str,
    /// Of GetBucketLocation; also the element of the region in a document about a new bucket.
    pub location: &'static str,
    /// Of the response to a form upload.
    pub form_upload: &'static str,
    /// Of GetObjectAttributes. The first is written; documents and servers disagree on the name.
    pub attributes: &'static [&'static str],
}

impl DocumentRoots {
    /// The roots that S3 introduced and the other vendors took over. A dialect with other roots states each that differs.
    pub const COMMON: Self = Self {
        error: "Error",
        copy: "CopyObjectResult",
        part_copy: "CopyPartResult",
        multipart_initiated: "InitiateMultipartUploadResult",
        complete_multipart: "CompleteMultipartUpload",
        multipart_completed: "CompleteMultipartUploadResult",
        parts: "ListPartsResult",
        objects: "ListBucketResult",
        buckets: "ListAllMyBucketsResult",
        versions: "ListVersionsResult",
        uploads: "ListMultipartUploadsResult",
        delete: "Delete",
        deleted: "DeleteResult",
        restore: "RestoreRequest",
        acl: "AccessControlPolicy",
        location: "LocationConstraint",
        form_upload: "PostResponse",
        attributes: &["GetObjectAttributesResponse", "GetObjectAttributesOutput"],
    };
}

/// The overview of a bucket, in a dialect that has that document.
pub struct BucketInfoDocument {
    /// The root element.
    pub root: &'static str,
    /// The element in it.
    pub bucket: &'static str,
    /// Children of that element.
    pub children: &'static [&'static str],
}

/// How a dialect's documents are written. Elements are listed in the order in which the vendor sends them.
pub struct XmlStyle {
    /// The root elements.
    pub roots: DocumentRoots,
    /// The overview of a bucket, if it has one.
    pub bucket_info: Option<&'static BucketInfoDocument>,
    /// Elements that state that keys are percent-encoded: all of them are read.
    pub encoding_type_elements: &'static [&'static str],
    /// Elements of an error that belong to the vendor's own request, so that they are not passed on.
    pub error_identity: &'static [&'static str],
    /// Elements of a listed bucket that name the host under which it is reached.
    pub endpoint_elements: &'static [&'static str],
    /// The element of an error that repeats the message where it names a header that is not implemented.
    pub error_repeat_element: Option<&'static str>,
    /// What it calls an object in a listing, by its ETag: put in one piece or in parts.
    pub object_type: fn(etag: &str) -> &'static str,
    /// Namespace of result roots.
    pub namespace: Option<&'static str>,
    /// Namespace of the completing call's result, where it differs.
    pub multipart_completed_namespace: Option<&'static str>,
    /// Children of CopyObjectResult and CopyPartResult.
    pub copy: &'static [&'static str],
    /// Whether the time of a copy has milliseconds.
    pub copy_milliseconds: bool,
    /// Children of ListBucketResult, first version.
    pub objects: &'static [&'static str],
    /// Children of ListBucketResult, second version.
    pub objects_v2: &'static [&'static str],
    /// Children of Contents.
    pub listed_object: &'static [&'static str],
    /// Children of ListPartsResult.
    pub parts: &'static [&'static str],
    /// Children of ListVersionsResult; versions and delete markers stand together at `Version`.
    pub versions: &'static [&'static str],
    /// Children of Version; those that a delete marker does not have are left out of it.
    pub version: &'static [&'static str],
    /// Children of ListMultipartUploadsResult.
    pub uploads: &'static [&'static str],
    /// Children of Upload.
    pub upload: &'static [&'static str],
    /// The element around the tier of a restoring call.
    pub restore_parameters: &'static str,
    /// How long a restoring call without a document restores. `None`: it needs one.
    pub restore_days: Option<&'static str>,
    /// Whether the answer to a quiet deleting call has no document at all, and failures are told by absence.
    pub omits_deleted_document: bool,
    /// Children of InitiateMultipartUploadResult.
    pub multipart_initiated: &'static [&'static str],
    /// Children of CompleteMultipartUploadResult.
    pub multipart_completed: &'static [&'static str],
    /// Whether continuation tokens are percent-encoded where keys are.
    pub encodes_continuation_token: bool,
    /// Children of ListAllMyBucketsResult.
    pub buckets: &'static [&'static str],
    /// Whether what belongs to paging is written only where a next page of buckets follows.
    pub buckets_paging_when_truncated: bool,
    /// Children of Bucket in ListAllMyBucketsResult.
    pub bucket: &'static [&'static str],
    /// Children of Error; `*` stands for the details.
    pub error: &'static [&'static str],
    /// Whether Delimiter is written when it is empty.
    pub writes_empty_delimiter: bool,
    /// Percent-encodes a key for `encoding-type=url`.
    pub encode_key: fn(&str) -> String,
    /// Whether `+` is a space in percent-encoded keys that it sends.
    pub plus_is_space: bool,
    /// Times of buckets with milliseconds.
    pub bucket_milliseconds: bool,
    /// The region as documents call it.
    pub format_location: fn(&str) -> String,
    /// The region that a document means.
    pub parse_location: fn(&str) -> String,
}

/// The headers of every answer.
pub struct CommonHeaders {
    /// `Server`.
    pub server: &'static str,
    /// Name of the request id's header.
    pub request_id_header: &'static str,
    /// Name of a second id's header, if any.
    pub trace_id_header: Option<&'static str>,
    /// Writes a request id from 128 random bits and the time.
    pub format_request_id: fn(u128, crate::model::Timestamp) -> String,
    /// A header with the milliseconds that the answer took.
    pub server_time_header: Option<&'static str>,
    /// A header that carries the error document of a HEAD, base64.
    pub head_error_header: Option<&'static str>,
}
