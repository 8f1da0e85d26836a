//! The definition of a dialect: one value with tables, and functions where a table is not enough.

use crate::dialect::operation_route::OperationRoute;
use crate::dialect::settings_schema::SettingSchema;
use crate::dialect::signature::Auth;
use crate::encoding::xml::Node;
use crate::model::{
    CannedAcl, CopySource, Directive, Encryption, ErrorKind, Field, Group, Operation, Rejection, Request,
    ResponseField, Setting, StorageClass,
};

/// Everything that distinguishes one dialect from another. `None` for a name is the whole capability system: one
/// entry means both "no such header" and "report a loss".
pub struct Dialect {
    /// The name in configuration, metrics and messages.
    pub name: &'static str,
    /// Example requests for the translator, each under a line `### TITLE`. Their signatures are not valid.
    pub examples: &'static str,
    /// Dialects of one family share their signatures and header names.
    pub family: &'static str,
    /// Servers that have this dialect with the differences that their profiles state. They can only be targets.
    pub profiles: &'static [&'static Dialect],
    /// The profile name for the vendor's own service, which is the dialect without differences.
    pub vendor_profile: Option<&'static str>,
    /// The embedded store of demo mode, where it has this dialect. It cannot be configured.
    pub embedded_store: Option<&'static Dialect>,
    /// Reads, verifies and writes its signatures.
    pub auth: &'static dyn Auth,
    /// Names of its signatures in the configuration, where an operator allows them per caller.
    pub signatures: &'static [&'static str],
    /// Signature versions that can be configured for requests to a target, the default first. Empty if there is only
    /// one.
    pub signing_versions: &'static [(&'static str, &'static dyn Auth)],
    /// The configuration key that requires a caller to sign everything that has a meaning, in a dialect where clients
    /// choose what they sign.
    // COS: a signature lists the headers and parameters that it covers, and may cover none.
    pub strict_signing_config_key: Option<&'static str>,
    /// The forms of its hosts. The first row that matches is used.
    pub hosts: &'static [HostForm],
    /// Other families that the vendor serves on the same hosts, with the bucket in the host.
    // COS and OSS have S3-compatible APIs on the hosts of their own APIs.
    pub serves_families: &'static [&'static str],
    /// Whether its clients may put the bucket in the path. This applies to IP addresses, `localhost`, base names and
    /// the vendor's own endpoints.
    // COS rejects path style for all buckets that were created since 2024.
    pub path_style: bool,
    /// Methods and query parameters that select an operation. The first row that matches is used.
    pub routes: &'static [OperationRoute],
    /// Schemas of the settings documents of buckets and objects.
    pub settings: &'static [SettingSchema],
    /// Settings that it does not have. Every other setting has a schema.
    pub absent_settings: &'static [Setting],
    /// How it expresses access control lists.
    pub acl_style: AclStyle,
    /// Query parameters that select an operation which is not translated. A request with one of them is rejected.
    // If such a parameter were ignored, a PUT of a settings document would overwrite the object with this document.
    pub sub_resources: &'static [&'static str],
    /// Whether the letter case of query parameter names is ignored.
    // The documents and SDKs of COS write both `versionId` and `VersionId`.
    pub parameters_ignore_case: bool,
    /// Prefix of its own headers. A request with such a header that its operation does not have is rejected.
    // An unknown header may be a condition or an encryption. Without it, the request could overwrite or expose data.
    pub header_prefix: &'static str,
    /// Prefix of user metadata.
    pub metadata_prefix: &'static str,
    /// Its own headers that are ignored, each with the operations and the reason.
    pub ignored_headers: &'static [IgnoredHeader],
    /// Prefixes of metadata names that a copy keeps although it replaces all other metadata.
    // Without the metadata of client-side encryption, the copy could not be decrypted.
    pub metadata_kept_prefixes: &'static [&'static str],
    /// Whether responses have metadata that is not ASCII as encoded words (RFC 2047).
    pub metadata_encoded_words: bool,
    /// Whether a query parameter of this lower-case name is read as the header of that name.
    // A browser that opens a presigned URL sends no vendor headers, so SDKs write them as query parameters.
    pub is_header_parameter: fn(&str) -> bool,
    /// Headers with a checksum of the body.
    pub checksum_headers: &'static [(&'static str, crate::model::ChecksumAlgorithm)],
    /// Headers with a digest of the body in hex.
    pub digest_headers: &'static [DigestHeader],
    /// The header that announces the checksum in the trailer.
    pub trailer_header: Option<&'static str>,
    /// The header with the algorithm of the checksum, which must match the checksum that is sent.
    pub checksum_algorithm_header: Option<&'static str>,
    /// The name of a request field, in every operation that is not in `field_names_by_operation` or
    /// `absent_fields_by_operation`.
    pub field_name: fn(Field) -> Option<FieldName>,
    /// Fields that have another name in one operation.
    pub field_names_by_operation: &'static [(Operation, Field, FieldName)],
    /// Removes from a header's value what describes the transfer, so that only the object's own value remains.
    // S3: an upload with `Content-Encoding: aws-chunked,gzip` is stored with `gzip`.
    pub strip_transport_text: fn(Field, String) -> String,
    /// Fields that it has as a caller dialect but does not support as a target.
    pub unsupported_fields: &'static [Field],
    /// Operations that it has as a caller dialect but does not support as a target.
    pub unsupported_operations: &'static [Operation],
    /// Settings that it has as a caller dialect but does not support as a target.
    pub unsupported_settings: &'static [Setting],
    /// Whether every target of this dialect distinguishes settings by their query parameters.
    // Some S3-compatible servers ignore unknown parameters, and then create or delete the bucket itself.
    pub honours_subresources: bool,
    /// Whether an upload that locks its object requires a digest of the body.
    // Amazon S3, PutObject, "Content-MD5": required for a request with a retention period.
    pub needs_lock_digest: bool,
    /// Additional names that its callers may use for a field.
    pub additional_field_names: &'static [(Operation, Field, FieldName)],
    /// Fields that it has, but not in these operations, neither as a caller dialect nor as a target.
    pub absent_fields_by_operation: &'static [(Operation, Field)],
    /// Fields that it has in these operations as a caller dialect but does not support as a target.
    pub unsupported_fields_by_operation: &'static [(Operation, Field)],
    /// Fields that must not be empty, with the error and its message. In all other fields an empty value counts as
    /// absent.
    // SDKs send empty values for arguments that were not set.
    pub non_empty_fields: &'static [(Field, ErrorKind, &'static str)],
    /// The least and the greatest value of a number in an operation. A request outside these bounds is rejected.
    pub number_bounds: &'static [(Operation, Field, u64, u64)],
    /// Rejects combinations of fields that the vendor does not allow, and requests without a required field.
    pub check_request: fn(&Request) -> Result<(), Rejection>,
    /// The name of a response field.
    pub response_field_name: fn(ResponseField) -> Option<&'static str>,
    /// The spellings of values in its headers and documents.
    pub words: &'static WordTables,
    /// How it copies objects.
    pub copy: CopyRules,
    /// How its documents are written.
    pub xml: XmlStyle,
    /// Its errors.
    pub errors: &'static [ErrorRow],
    /// Sentences that distinguish errors with the same code. The first that matches is used.
    pub error_sentences: &'static [ErrorSentence],
    /// What an absent field means.
    pub defaults: Defaults,
    /// Its limits.
    pub limits: Limits,
    /// Whether an MD5-shaped ETag is the MD5 of the object's bytes, unless the object is encrypted with a customer's
    /// key or a key of a key management service.
    pub etag_is_md5: bool,
    /// Whether MD5-shaped ETags are in upper case.
    // OSS: clients compare the ETags of two responses as text, so all responses have the same letter case.
    pub etag_upper_case: bool,
    /// Statuses of success that differ from 200.
    pub success_statuses: &'static [(Operation, u16)],
    /// Headers of every response.
    pub common_headers: CommonHeaders,
    /// Adapts the fields of a response to those that the vendor returns.
    // Example: SDKs of OSS read the ETag of a copy from the header, which other vendors return only in the
    // document.
    pub complete_response: fn(Operation, &mut crate::model::Response),
    /// The query parameter of a GET that shows whether a bucket exists, where the dialect has no HEAD for buckets.
    pub bucket_head_parameter: Option<&'static str>,
    /// The name of the part size in its SDKs, for error messages.
    pub sdk_part_size_name: &'static str,
    /// Whether a bucket with incomplete multipart uploads counts as not empty.
    pub open_uploads_block_deletion: bool,
    /// The header of CompleteMultipartUpload in which the embedded store receives the smallest part size of the
    /// caller dialect.
    pub part_bytes_min_header: Option<&'static str>,
    /// Whether it accepts uploads of unknown length.
    // S3 responds to an upload without `Content-Length` with 411.
    pub supports_chunked_uploads: bool,
    /// Whether the policy of a form upload must name every field.
    // S3 rejects a form with other fields than those in its policy ("Extra input fields").
    pub form_policy_covers_all: bool,
    /// Whether the content type that a browser sends with a form's file becomes the object's.
    pub uses_form_file_type: bool,
    /// The vendor's documentation.
    pub manual: Manual,
    /// A public endpoint of the vendor, for example requests.
    pub sample_endpoint: &'static str,
    /// The vendor's public endpoint of a region. `None` for servers that operators run themselves.
    pub endpoint: Option<fn(region: &str) -> String>,
    /// Writes the body of CreateBucket for a region and for the settings that [`Dialect::bucket_settings`] has in the
    /// document.
    pub write_create_bucket_body: fn(region: &str, settings: &Node) -> Vec<u8>,
    /// Other settings that CreateBucket accepts.
    pub bucket_settings: BucketSettings,
}

/// Where CreateBucket has the settings of a new bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// The default storage class of its objects.
    pub class: Option<BucketSettingLocation>,
    /// Whether its objects are stored in one zone or in several.
    pub redundancy: Option<RedundancySetting>,
}

/// How the redundancy of a new bucket is expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedundancySetting {
    /// The element of the request document.
    pub element: &'static str,
    /// Its values. The first is the least redundancy, which the buckets of every vendor have.
    pub words: &'static [&'static str],
    /// Where requests to a target have it.
    pub location: BucketSettingLocation,
}

impl BucketSettings {
    /// CreateBucket has no such settings.
    pub const NONE: Self = Self { class: None, redundancy: None };
}

/// Where CreateBucket has a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketSettingLocation {
    /// In the request document.
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
    /// The name of a field in an operation, if the operation has it.
    pub fn field_name_in(&self, field: Field, operation: Operation) -> Option<FieldName> {
        if !field.applies_to(operation) || self.absent_fields_by_operation.contains(&(operation, field)) {
            return None;
        }
        let override_name =
            self.field_names_by_operation.iter().find(|row| (row.0, row.1) == (operation, field));
        override_name.map(|row| row.2).or_else(|| (self.field_name)(field))
    }

    /// The name of a field in a request to a target, if the target supports it in this operation.
    pub fn target_field_name(&self, field: Field, operation: Operation) -> Option<FieldName> {
        let lacks = self.unsupported_fields.contains(&field)
            || self.unsupported_fields_by_operation.contains(&(operation, field));
        self.field_name_in(field, operation).filter(|_| !lacks)
    }

    /// Whether a target of this dialect verifies, stores and returns the checksums of requests.
    pub fn keeps_checksums(&self) -> bool {
        self.supports_field(Field::ChecksumMode)
    }

    /// Whether response documents of this dialect have checksums.
    pub fn has_checksums_in_documents(&self) -> bool {
        (self.response_field_name)(ResponseField::ChecksumType).is_some()
    }

    /// The header of a checksum.
    pub fn checksum_header(&self, algorithm: crate::model::ChecksumAlgorithm) -> Option<&'static str> {
        self.checksum_headers.iter().find(|row| row.1 == algorithm).map(|row| row.0)
    }

    /// Whether a header, by its lower-case name, is ignored in an operation.
    pub fn ignores_header(&self, operation: Operation, header: &str) -> bool {
        self.ignored_headers.iter().any(|row| row.matches_header(header) && (row.applies_to)(operation))
    }

    /// Whether a header, by its lower-case name, is that of a field.
    pub fn has_header(&self, header: &str) -> bool {
        let names = |name: Option<FieldName>| matches!(name, Some(FieldName::Header(own)) if own == header);
        Field::ALL.into_iter().any(|field| names((self.field_name)(field)))
    }

    /// Whether a header, by its lower-case name, is a list. Several lines of a list are one value (RFC 9110, section
    /// 5.3).
    pub fn is_list_header(&self, header: &str) -> bool {
        let names = |name: Option<FieldName>| matches!(name, Some(FieldName::Header(own)) if own == header);
        Field::ALL.into_iter().any(|field| field.is_list() && names((self.field_name)(field)))
    }

    /// Whether a target of this dialect supports a field.
    pub fn supports_field(&self, field: Field) -> bool {
        (self.field_name)(field).is_some() && !self.unsupported_fields.contains(&field)
    }

    /// Whether the vendor's hosts serve clients of the other dialect.
    pub fn serves_clients_of(&self, other: &Self) -> bool {
        self.family == other.family || self.serves_families.contains(&other.family)
    }

    /// Whether a host can contain a bucket of this name. Where bucket names have no dots, a host with a dot before
    /// the service is not one of this vendor.
    pub fn allows_bucket_in_host(&self, bucket: &str) -> bool {
        self.limits.bucket_dots || !bucket.contains('.')
    }

    /// Whether a target of this dialect evaluates every condition on a copy source.
    pub fn supports_source_conditions(&self) -> bool {
        Field::SOURCE_CONDITIONS.into_iter().all(|field| self.supports_field(field))
    }

    /// The row of an error.
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

    /// Its routes.
    pub fn all_routes(&self) -> impl Iterator<Item = OperationRoute> {
        // Settings first: their query parameter selects them, and the routes of `routes` that have no parameter would
        // match the same requests.
        self.settings.iter().flat_map(|form| form.operation_routes()).chain(self.routes.iter().copied())
    }

    /// Whether it has an operation as a caller dialect.
    pub fn has_operation(&self, operation: Operation) -> bool {
        self.all_routes().any(|row| row.operation == operation)
    }

    /// The route of an operation in requests to a target, if the target supports it.
    pub fn find_route(&self, operation: Operation) -> Option<OperationRoute> {
        let setting = match operation {
            Operation::Get(setting) | Operation::Put(setting) | Operation::Delete(setting) => Some(setting),
            _ => None,
        };
        let lacks = self.unsupported_operations.contains(&operation)
            || setting.is_some_and(|setting| self.unsupported_settings.contains(&setting));
        self.all_routes().find(|row| row.operation == operation && !lacks)
    }

    /// The schema of a setting, if the dialect has the setting.
    pub fn setting_schema(&self, setting: Setting) -> Option<&'static SettingSchema> {
        self.settings.iter().find(|form| form.setting == setting)
    }
}

/// Why a header is not read as a field. The list is closed: a header that affects the result of its operation is a
/// field (native, emulated or reported as lost), or the request is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IgnoreReason {
    /// It describes how the body is transferred, and is handled where the body is read.
    Transport,
    /// It is part of the signature or of the credentials, which are verified before the request is read.
    Signature,
    /// The vendor returns the same result with it and without it in this operation.
    NoEffect,
    /// The vendor defines it only for responses. Clients send headers of one response with their next request, where
    /// they have no meaning.
    ResponseOnly,
}

/// A header that is ignored in some operations. In the others it is a field, or the request is rejected.
#[derive(Clone, Copy)]
pub struct IgnoredHeader {
    /// In lower case. A `*` at the end matches any suffix.
    pub name: &'static str,
    /// The operations in which it is ignored.
    pub applies_to: fn(Operation) -> bool,
    /// Why it is ignored.
    pub reason: IgnoreReason,
    /// The client that sends it, or the document that describes it.
    pub source: &'static str,
}

impl IgnoredHeader {
    /// A row for operations in which the header has no effect.
    pub const fn new(name: &'static str, applies_to: fn(Operation) -> bool, source: &'static str) -> Self {
        Self { name, applies_to, reason: IgnoreReason::NoEffect, source }
    }

    /// A row for every operation.
    pub const fn for_all_operations(name: &'static str, reason: IgnoreReason, source: &'static str) -> Self {
        Self { name, applies_to: |_| true, reason, source }
    }

    /// A row for every operation, for a header that the vendor defines only for responses.
    pub const fn response_only(name: &'static str, source: &'static str) -> Self {
        Self::for_all_operations(name, IgnoreReason::ResponseOnly, source)
    }

    /// Whether several lines of it are accepted.
    pub fn may_repeat(&self) -> bool {
        // Headers of the body and of the signature are read elsewhere, where a second line could contradict the
        // first.
        matches!(self.reason, IgnoreReason::NoEffect | IgnoreReason::ResponseOnly)
    }

    /// Whether the row applies to a header of this lower-case name.
    pub fn matches_header(&self, header: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => header.starts_with(prefix),
            None => header == self.name,
        }
    }
}

/// A header with a digest of the request body in hex.
#[derive(Debug, Clone, Copy)]
pub struct DigestHeader {
    /// In lower case.
    pub header: &'static str,
    /// The digest algorithm.
    pub algorithm: crate::model::ChecksumAlgorithm,
    /// The value that means "no digest".
    pub absent_value: Option<&'static str>,
    /// The error if the body has another digest.
    pub mismatch_error: ErrorKind,
}

/// The name of a field, and whether it is a header or a query parameter.
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

/// One form of a vendor's hosts, by labels from the right. `*` matches any label, `name-*` a label with this prefix.
#[derive(Debug, Clone, Copy)]
pub struct HostForm {
    /// Whether the host serves the object API.
    // The hosts of websites, data processing and other services are listed so that no part of them is read as a
    // bucket.
    pub is_api: bool,
    /// The vendor's domain, which `localhost` can replace.
    pub domain: &'static [&'static str],
    /// The labels before the domain, from the right: region and service. Labels to the left of them are the bucket.
    pub service: &'static [&'static str],
}

impl HostForm {
    /// A form of hosts that serve the object API.
    pub const fn new_api(domain: &'static [&'static str], service: &'static [&'static str]) -> Self {
        Self { is_api: true, domain, service }
    }

    /// Whether it contains a region.
    pub fn has_region(&self) -> bool {
        self.service.iter().any(|label| label.ends_with('*'))
    }

    /// A form of hosts of another service.
    pub const fn new_other(domain: &'static [&'static str], service: &'static [&'static str]) -> Self {
        Self { is_api: false, domain, service }
    }
}

/// A closed set of values and how one dialect spells them. Every row is read; the first match is written.
///
/// The second list has the values that the dialect cannot express. A test checks that each existing value is in one
/// of the lists.
pub struct Words<T: 'static>(pub &'static [(T, &'static str)], pub &'static [T]);

impl<T: Copy + PartialEq> Words<T> {
    /// The value of a spelling.
    pub fn value(&self, word: &str) -> Option<T> {
        // The vendors' own SDKs differ in letter case.
        self.0.iter().find(|row| row.1.eq_ignore_ascii_case(word)).map(|row| row.0)
    }

    /// The spelling of a value, if the dialect can express it.
    pub fn word(&self, value: T) -> Option<&'static str> {
        self.0.iter().find(|row| row.0 == value).map(|row| row.1)
    }
}

/// The spellings of values in one dialect.
#[allow(missing_docs, reason = "each is the table of the field of that name")]
pub struct WordTables {
    pub metadata: Words<Directive>,
    pub tagging: Words<Directive>,
    pub class: Words<StorageClass>,
    pub acl: Words<CannedAcl>,
    pub encryption: Words<Encryption>,
    /// The value of a flag that is set.
    pub flag_word: fn(Field) -> &'static str,
}

/// How a dialect evaluates several conditions on a copy source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionCombination {
    /// An ETag condition that holds takes precedence over the date condition of its pair.
    Precedence,
    /// Only if-match with if-unmodified-since, and if-none-match with if-modified-since. Within a pair as
    /// `Precedence`.
    Pairs,
    /// Every condition must hold.
    All,
}

/// How a dialect expresses access control lists.
pub struct AclStyle {
    /// The element with a group in a grantee.
    pub group_element: &'static str,
    /// Whether a grantee has its kind (`Group`, `CanonicalUser`) as an attribute, which clients of S3 require.
    // SDKs of S3 and COS select the class of a grantee by this attribute.
    pub has_grantee_type: bool,
    /// Whether the document contains a canned ACL instead of grants.
    pub canned_in_document: bool,
    /// Whether the headers decide when a request has an ACL in headers and in its body.
    pub headers_take_precedence: bool,
    /// The names of groups in grants.
    pub groups: &'static [(Group, &'static str)],
    /// Account IDs that represent a group.
    pub group_ids: &'static [(Group, &'static str)],
    /// Whether the owner has full control even if the document does not grant it.
    // COS: its command line program coscmd does not write the owner's grant.
    pub implies_owner_control: bool,
}

/// When a copy of an object onto itself is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfCopyRule {
    /// If metadata, storage class, encryption or redirect change.
    NeedsChange,
    /// If metadata or tags are replaced.
    Replaced,
    /// Always. The metadata is that of the request, whatever the directive is.
    AlwaysReplacesMetadata,
}

/// A copy source at a target.
#[derive(Debug, Clone, Copy)]
pub struct TargetCopySource<'a> {
    /// Bucket at the target.
    pub bucket: &'a str,
    /// Decoded key.
    pub key: &'a str,
    /// Version ID at the target.
    pub version: Option<&'a str>,
    /// The target's authority.
    pub authority: &'a str,
}

/// How a dialect copies objects.
pub struct CopyRules {
    /// The copy source header.
    pub source_header: &'static str,
    /// The syntax of its value in the vendor's document.
    pub source_grammar: &'static str,
    /// Reads its value: splits first, then decodes once. The second argument is the endpoint of the request if the
    /// bucket is in the host, because a source may name the same endpoint.
    pub parse_source: fn(&str, Option<&str>) -> Result<CopySource, Rejection>,
    /// Writes its value.
    pub write_source: fn(&TargetCopySource<'_>) -> String,
    /// How conditions combine.
    pub combination: ConditionCombination,
    /// Whether its SDKs repeat a condition on the source under the standard HTTP name. The condition on the source
    /// decides.
    // OSS: ali-oss sends `If-Match` beside `x-oss-copy-source-if-match`.
    pub repeats_conditions: bool,
    /// Whether a failed if-none-match or if-modified-since results in 304 instead of 412.
    pub uses_not_modified_status: bool,
    /// Whether an if-modified-since date in the future is ignored.
    pub ignores_future_dates: bool,
    /// When an object may be copied onto itself.
    pub self_copy: SelfCopyRule,
    /// Whether a part copy with an invalid range is an error. Otherwise it copies the whole source.
    pub strict_range: bool,
    /// Whether its clients expect that a response with status 200 can have an error document as its body.
    // S3 and COS send the head of the response before a long copy ends, so that the connection is not idle.
    pub accepts_error_after_200: bool,
    /// The largest source that one request copies, bytes.
    pub bytes_max: u64,
    /// Whether a target may ignore the metadata directive without an error, so that the copy must be checked.
    // JD Cloud: the document of the copy does not mention the directive.
    pub needs_metadata_check: bool,
}

/// A vendor's documentation.
#[derive(Debug, Clone, Copy)]
pub struct Manual {
    /// Names of vendor and product.
    pub name: &'static str,
    /// Titles of the operations' pages that differ from S3's names of the operations.
    pub titles: &'static [(Operation, &'static str)],
}

/// A sentence in an error message that gives the error another meaning than its code has.
#[derive(Debug, Clone, Copy)]
pub struct ErrorSentence {
    /// The meaning of the code.
    pub code_kind: ErrorKind,
    /// A part of the vendor's message.
    pub contains: &'static str,
    /// The meaning of the error with this message.
    pub kind: ErrorKind,
}

/// One row of an error table.
#[derive(Debug, Clone, Copy)]
pub struct ErrorRow {
    /// The canonical error.
    pub kind: ErrorKind,
    /// The vendor's error code.
    pub code: &'static str,
    /// The vendor's status.
    pub status: u16,
    /// The vendor's message.
    pub message: &'static str,
}

impl ErrorRow {
    /// Creates a row.
    pub const fn new(kind: ErrorKind, code: &'static str, status: u16, message: &'static str) -> Self {
        Self { kind, code, status, message }
    }
}

/// What absent fields mean.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// Storage class of a new object. `None`: that of the bucket.
    pub class: Option<StorageClass>,
    /// Whether requests to a target always state the storage class, even the default one.
    // SeaweedFS gives a copy the class of its source. The documents of JD Cloud do not define the default of a
    // copy.
    pub class_always_explicit: bool,
    /// ACL of a new object.
    pub acl: CannedAcl,
    /// Content type of a new object. `None`: the service chooses one.
    pub content_type: Option<&'static str>,
    /// Objects in a page.
    pub max_keys: u64,
    /// Buckets in a page. `None`: all of them.
    pub max_buckets: Option<u64>,
    /// Whether the response to an unsatisfiable range is the whole object.
    pub lenient_range: bool,
}

/// Limits of a dialect.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Whether bucket names may contain dots.
    pub bucket_dots: bool,
    /// Bytes of a key.
    pub key_bytes_max: usize,
    /// Bytes that a key must not begin with.
    pub key_first_bytes_forbidden: &'static [u8],
    /// Bytes that a key must not contain.
    pub key_bytes_forbidden: &'static [u8],
    /// Segments between slashes that a key must not contain. A slash at the end is always allowed.
    pub key_segments_forbidden: &'static [&'static str],
    /// Bytes of all user metadata, names and values together.
    pub metadata_bytes_max: usize,
    /// Whether names of user metadata may contain more than letters, digits and `-`.
    pub metadata_any_name: bool,
    /// The largest single upload or part, bytes.
    pub upload_bytes_max: u64,
    /// The smallest part other than the last one of an upload, bytes. Checked when the upload is completed.
    pub part_bytes_min: u64,
    /// The largest page of buckets that is requested from a target. `None`: the target returns all buckets in one
    /// response.
    pub buckets_page_max: Option<u64>,
}

/// The root elements of a dialect's documents.
#[derive(Debug, Clone, Copy)]
pub struct DocumentRoots {
    /// Of an error, and of a failed entry in the result of DeleteObjects.
    pub error: &'static str,
    /// Of the result of CopyObject.
    pub copy: &'static str,
    /// Of the result of UploadPartCopy.
    pub part_copy: &'static str,
    /// Of the result of CreateMultipartUpload.
    pub multipart_initiated: &'static str,
    /// Of the request of CompleteMultipartUpload.
    pub complete_multipart: &'static str,
    /// Of the result of CompleteMultipartUpload.
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
    /// Of the result of DeleteObjects.
    pub deleted: &'static str,
    /// Of the request of RestoreObject.
    pub restore: &'static str,
    /// Of access control lists.
    pub acl: &'static str,
    /// Of GetBucketLocation; also the element of the region in a document about a new bucket.
    pub location: &'static str,
    /// Of the response to a form upload.
    pub form_upload: &'static str,
    /// Of GetObjectAttributes. All are read, the first is written.
    // The vendors' documents and their servers have different names.
    pub attributes: &'static [&'static str],
}

impl DocumentRoots {
    /// The roots that S3 introduced and other vendors adopted. A dialect states only the roots that differ.
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

/// The GetBucketInfo document of a dialect that has it.
pub struct BucketInfoDocument {
    /// The root element.
    pub root: &'static str,
    /// The element of the bucket in the root.
    pub bucket: &'static str,
    /// Children of the bucket's element.
    pub children: &'static [&'static str],
}

/// How a dialect's documents are written. Element lists have the order in which the vendor sends the elements.
pub struct XmlStyle {
    /// The root elements.
    pub roots: DocumentRoots,
    /// The GetBucketInfo document, if the dialect has it.
    pub bucket_info: Option<&'static BucketInfoDocument>,
    /// Elements which state that keys are percent-encoded. All of them are read, the first is written.
    pub encoding_type_elements: &'static [&'static str],
    /// Elements of an error document that describe the request to the vendor, and are not returned to the client.
    // With the vendor's request ID, an operator would search the proxy's log in vain.
    pub error_identity: &'static [&'static str],
    /// Elements of a listed bucket that contain the bucket's host.
    pub endpoint_elements: &'static [&'static str],
    /// The element of an error document that repeats the message if the error is about a header that is not
    /// implemented.
    pub error_repeat_element: Option<&'static str>,
    /// The type of a listed object, derived from its ETag: uploaded with one request or in parts.
    pub object_type: fn(etag: &str) -> &'static str,
    /// Namespace of the root elements of results.
    pub namespace: Option<&'static str>,
    /// Namespace of the result of CompleteMultipartUpload, where it differs.
    pub multipart_completed_namespace: Option<&'static str>,
    /// Children of CopyObjectResult and CopyPartResult.
    pub copy: &'static [&'static str],
    /// Whether `LastModified` of a copy has milliseconds.
    pub copy_milliseconds: bool,
    /// Children of ListBucketResult for ListObjects.
    pub objects: &'static [&'static str],
    /// Children of ListBucketResult for ListObjectsV2.
    pub objects_v2: &'static [&'static str],
    /// Children of Contents.
    pub listed_object: &'static [&'static str],
    /// Children of ListPartsResult.
    pub parts: &'static [&'static str],
    /// Children of ListVersionsResult. Versions and delete markers are both written at `Version`.
    pub versions: &'static [&'static str],
    /// Children of Version. A delete marker has only some of them.
    pub version: &'static [&'static str],
    /// Children of ListMultipartUploadsResult.
    pub uploads: &'static [&'static str],
    /// Children of Upload.
    pub upload: &'static [&'static str],
    /// The element around `Tier` in the request of RestoreObject.
    pub restore_parameters: &'static str,
    /// Days that RestoreObject without a document restores. `None`: the document is required.
    pub restore_days: Option<&'static str>,
    /// Whether the response to a quiet DeleteObjects has no document, and every other one lists only the objects that
    /// were deleted.
    pub omits_deleted_document: bool,
    /// Children of InitiateMultipartUploadResult.
    pub multipart_initiated: &'static [&'static str],
    /// Children of CompleteMultipartUploadResult.
    pub multipart_completed: &'static [&'static str],
    /// Whether continuation tokens are percent-encoded if keys are.
    pub encodes_continuation_token: bool,
    /// Children of ListAllMyBucketsResult.
    pub buckets: &'static [&'static str],
    /// Whether the paging elements of ListAllMyBucketsResult are written only if there is a next page.
    pub buckets_paging_when_truncated: bool,
    /// Children of Bucket in ListAllMyBucketsResult.
    pub bucket: &'static [&'static str],
    /// Children of Error. `*` is the position of the details.
    pub error: &'static [&'static str],
    /// Whether an empty Delimiter is written.
    pub writes_empty_delimiter: bool,
    /// Percent-encodes a key for `encoding-type=url`.
    pub encode_key: fn(&str) -> String,
    /// Whether `+` means a space in the percent-encoded keys of its documents.
    pub plus_is_space: bool,
    /// Whether `CreationDate` of a bucket has milliseconds.
    pub bucket_milliseconds: bool,
    /// The name of a region in documents.
    pub format_location: fn(&str) -> String,
    /// The region of a name in a document.
    pub parse_location: fn(&str) -> String,
}

/// The headers of every response.
pub struct CommonHeaders {
    /// `Server`.
    pub server: &'static str,
    /// Name of the request ID header.
    pub request_id_header: &'static str,
    /// Name of the header with a second ID, if any.
    pub trace_id_header: Option<&'static str>,
    /// Formats a request ID from 128 random bits and the time.
    pub format_request_id: fn(u128, crate::model::Timestamp) -> String,
    /// A header with the processing time in milliseconds.
    pub server_time_header: Option<&'static str>,
    /// A header with the error document of a HEAD in base64.
    // The response to a HEAD has no body for the error document.
    pub head_error_header: Option<&'static str>,
}
