//! The trait of the s3s library: each function converts the request and the response, and calls the operation.

use crate::append;
use crate::attributes::{Acl, STORAGE_CLASS_HEADER, Tags, read_acl, read_class};
use crate::bucket::{Bucket, Versioning};
use crate::conditions::WriteCondition;
use crate::dates::{now_ms, to_timestamp};
use crate::digests::Checksum;
use crate::encryption::ObjectEncryption;
use crate::errors::{add_element, internal_error, malformed_xml_error, not_implemented_error, s3_error};
use crate::headers::{insert_header, insert_headers};
use crate::list::{
    KeyEncoding, ListQuery, Page, decode_token, encode_token, filter_xml_key, to_version_marker,
};
use crate::lock::{BucketLock, Retention, has_bypass_header, no_bucket_lock_error, no_object_lock_error};
use crate::meta::{Part as StoredPart, Upload};
use crate::objects::{AttributeChange, Core, DeleteEntry, DeleteOutcome, add_crc64_header, quote_etag};
use crate::request::{KEY_BYTES_MAX, RequestHead};
use crate::uploads::{ListedPart, UploadLocation, parse_part_number};
use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result};

/// A synthetic canonical user id.
pub(crate) const OWNER: &str = "b10bf15b00000000000000000000000000000000000000000000000000000000";
const REGION: &str = "us-east-1";
const DELETE_OBJECTS_MAX: usize = 1000;

/// The store as a service of the s3s library.
pub(crate) struct Service {
    pub(crate) core: Core,
}

fn get_request_head<T>(request: &S3Request<T>) -> S3Result<RequestHead> {
    request
        .extensions
        .get::<RequestHead>()
        .cloned()
        .ok_or_else(|| internal_error("the request head is missing"))
}

fn build_owner() -> Owner {
    Owner { id: Some(OWNER.to_owned()), display_name: None }
}

fn to_etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// Adds the elements of a checksum. The library's types lack the newer algorithms.
fn with_checksum_element(mut headers: HeaderMap, checksum: Option<&Checksum>) -> HeaderMap {
    if let Some(checksum) = checksum {
        add_element(&mut headers, &checksum.algorithm.element_name(), &checksum.value);
    }
    headers
}

fn to_checksum_type(checksum: Option<&Checksum>) -> Option<ChecksumType> {
    checksum.map(|checksum| ChecksumType::from_static(checksum.kind()))
}

/// The checksum headers of an upload, only if the client chose the algorithm.
fn to_upload_algorithm(upload: &Upload) -> Option<ChecksumAlgorithm> {
    upload.chosen.then(|| ChecksumAlgorithm::from_static(upload.algorithm.name()))
}

fn to_upload_checksum_type(upload: &Upload) -> Option<ChecksumType> {
    let kind = if upload.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    upload.chosen.then(|| ChecksumType::from_static(kind))
}

fn to_checksum_algorithms(checksum: Option<&Checksum>) -> Option<Vec<ChecksumAlgorithm>> {
    checksum.map(|checksum| vec![ChecksumAlgorithm::from_static(checksum.algorithm.name())])
}

fn to_grants(acl: Acl) -> Vec<Grant> {
    // S3 lists the owner's full control in every ACL, also in a canned one.
    let own = Grantee {
        id: Some(OWNER.to_owned()),
        type_: Type::from_static(Type::CANONICAL_USER),
        display_name: None,
        email_address: None,
        uri: None,
    };
    let full =
        Grant { grantee: Some(own), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) };
    let group = |(uri, permission): &(&'static str, &'static str)| Grant {
        grantee: Some(Grantee {
            id: None,
            type_: Type::from_static(Type::GROUP),
            display_name: None,
            email_address: None,
            uri: Some((*uri).to_owned()),
        }),
        permission: Some(Permission::from_static(permission)),
    };
    std::iter::once(full).chain(acl.group_grants().iter().map(group)).collect()
}

/// The grants to groups in an ACL document. The owner's own grants are implied.
fn read_group_grants(policy: AccessControlPolicy) -> S3Result<Vec<(String, String)>> {
    let mut groups = Vec::new();
    for grant in policy.grants.unwrap_or_default() {
        let grantee = grant.grantee.ok_or_else(malformed_xml_error)?;
        let permission = grant.permission.ok_or_else(malformed_xml_error)?.as_str().to_owned();
        match (grantee.uri, grantee.id) {
            // This store has one account. A grant to another one could not be enforced, so it is rejected below.
            (Some(uri), _) => groups.push((uri, permission)),
            (None, Some(id)) if id == OWNER => {}
            _ => return Err(not_implemented_error("AccessControlPolicy")),
        }
    }
    Ok(groups)
}

fn to_common_prefixes<T>(page: &Page<T>, encoding: KeyEncoding) -> Option<Vec<CommonPrefix>> {
    let prefix = |prefix: &String| CommonPrefix { prefix: Some(encoding.encode(prefix)) };
    (!page.prefixes.is_empty()).then(|| page.prefixes.iter().map(prefix).collect())
}

fn to_i64(bytes: u64) -> Option<i64> {
    i64::try_from(bytes).ok()
}

fn to_i32(number: usize) -> Option<i32> {
    i32::try_from(number).ok()
}

/// The optional elements of a listing.
#[derive(Clone, Copy)]
struct ListingExtras {
    has_owner: bool,
    has_restore_status: bool,
}

fn needs_restore_status(request_head: &RequestHead) -> bool {
    let requested = request_head.headers.get_all("x-amz-optional-object-attributes");
    requested.iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|name| name.trim_ascii() == b"RestoreStatus")
    })
}

fn to_restore_status(object: &crate::meta::Object, is_requested: bool) -> Option<RestoreStatus> {
    let until = object.restore_expiry_ms().filter(|_| is_requested)?;
    let restore_expiry_date = Some(to_timestamp(until));
    Some(RestoreStatus { is_restore_in_progress: Some(false), restore_expiry_date })
}

fn to_listed_object(
    listed: &crate::list::ListedObject,
    encoding: KeyEncoding,
    extras: ListingExtras,
) -> Object {
    let checksum = listed.object.checksum.as_ref();
    Object {
        key: Some(encoding.encode(&listed.key)),
        last_modified: Some(to_timestamp(listed.modified_ms)),
        e_tag: Some(to_etag(&listed.object.etag)),
        size: to_i64(listed.object.size),
        storage_class: Some(listed.object.attributes.class.clone().into()),
        owner: extras.has_owner.then(build_owner),
        restore_status: to_restore_status(&listed.object, extras.has_restore_status),
        checksum_algorithm: to_checksum_algorithms(checksum),
        checksum_type: to_checksum_type(checksum),
    }
}

fn build_part_headers(part: &StoredPart, sealing: &ObjectEncryption) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert_headers(&mut headers, sealing.to_headers());
    if let Some(checksum) = &part.checksum {
        headers.extend(checksum.to_headers());
        headers.remove("x-amz-checksum-type");
    }
    add_crc64_header(&mut headers, part.segment.crc64);
    insert_header(&mut headers, "etag", &quote_etag(&part.etag));
    headers
}

fn to_delete_error(error: &S3Error, outcome_key: String, version: Option<String>) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
        key: Some(outcome_key),
        version_id: version,
    }
}

fn get_version_header(headers: &HeaderMap) -> Option<String> {
    headers.get("x-amz-version-id").and_then(|id| id.to_str().ok()).map(str::to_owned)
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let lock = (input.object_lock_enabled_for_bucket == Some(true)).then(BucketLock::default);
        let acl = match request_head.headers.contains_key("x-amz-acl") {
            true => read_acl(&request_head.headers, None)?,
            false => Acl::default(),
        };
        let class = read_class(&request_head.headers)?.unwrap_or_default();
        let constraint = input.create_bucket_configuration.and_then(|row| row.location_constraint);
        let location = constraint.map(|location| location.as_str().to_owned()).unwrap_or_default();
        let name = input.bucket.clone();
        let work = move |writing: &mut crate::meta::MetadataWriter<'_>| match writing.find_bucket(&name)? {
            // As in us-east-1, creating the bucket again without new settings has no effect.
            Some(old)
                if old.location.is_empty()
                    && location.is_empty()
                    && old.class == class
                    && acl == Acl::default()
                    && lock.is_none() =>
            {
                Ok(())
            }
            Some(_) => {
                let message =
                    "Your previous request to create the named bucket succeeded and you already own it.";
                Err(s3_error(409, "BucketAlreadyOwnedByYou", message, &[("BucketName", &name)]))
            }
            None => {
                let versioning = if lock.is_some() { Versioning::Enabled } else { Versioning::Off };
                let row = Bucket {
                    created_ms: now_ms(),
                    versioning,
                    acl,
                    location,
                    managed: false,
                    blocks_customer_keys: false,
                    no_acls: false,
                    lock,
                    class,
                };
                writing.put_bucket(&name, &row)
            }
        };
        self.core.meta.write(work).await?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let bucket = self.core.meta.read(move |reading| reading.get_bucket(&request.input.bucket)).await?;
        let region = if bucket.location.is_empty() { REGION.to_owned() } else { bucket.location };
        let mut headers = HeaderMap::new();
        insert_header(&mut headers, "x-amz-bucket-region", &region);
        insert_header(&mut headers, "x-amz-access-point-alias", "false");
        Ok(S3Response::with_headers(HeadBucketOutput::default(), headers))
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.core.meta.write(move |writing| writing.delete_bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.as_deref().map(decode_token).transpose()?.unwrap_or_default();
        let max = input.max_buckets.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        let all = self.core.list_buckets().await?;
        let mut wanted =
            all.into_iter().filter(|(name, _)| name.starts_with(&prefix) && *name > after).peekable();
        let mut buckets = Vec::new();
        while buckets.len() < max {
            let Some((name, row)) = wanted.next() else { break };
            let region = if row.location.is_empty() { REGION.to_owned() } else { row.location };
            let creation_date = Some(to_timestamp(row.created_ms));
            buckets.push(s3s::dto::Bucket { name: Some(name), creation_date, bucket_region: Some(region) });
        }
        let last = buckets.last().and_then(|bucket| bucket.name.clone());
        let continuation_token = last.filter(|_| wanted.peek().is_some()).map(|name| encode_token(&name));
        let output = ListBucketsOutput {
            buckets: Some(buckets),
            owner: Some(build_owner()),
            continuation_token,
            prefix: input.prefix,
        };
        Ok(S3Response::new(output))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let bucket = self.core.meta.read(move |reading| reading.get_bucket(&request.input.bucket)).await?;
        let location_constraint = (!bucket.location.is_empty()).then(|| bucket.location.into());
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let bucket = self.core.meta.read(move |reading| reading.get_bucket(&request.input.bucket)).await?;
        let status = match bucket.versioning {
            Versioning::Off => None,
            Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
        };
        let status = status.map(BucketVersioningStatus::from_static);
        Ok(S3Response::new(GetBucketVersioningOutput { status, mfa_delete: None }))
    }

    async fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let input = request.input;
        let status = input.versioning_configuration.status;
        let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            Some(_) => return Err(malformed_xml_error()),
            None => {
                let message = "The Versioning element must be specified";
                return Err(s3_error(400, "IllegalVersioningConfigurationException", message, &[]));
            }
        };
        let work = move |writing: &mut crate::meta::MetadataWriter<'_>| {
            let bucket = writing.get_bucket(&input.bucket)?;
            if bucket.lock.is_some() && versioning != Versioning::Enabled {
                let message = "An Object Lock configuration is present on this bucket, so the versioning state \
                               cannot be changed.";
                return Err(s3_error(409, "InvalidBucketState", message, &[("BucketName", &input.bucket)]));
            }
            writing.put_bucket(&input.bucket, &Bucket { versioning, ..bucket })
        };
        self.core.meta.write(work).await?;
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    async fn get_bucket_acl(
        &self,
        request: S3Request<GetBucketAclInput>,
    ) -> S3Result<S3Response<GetBucketAclOutput>> {
        let bucket = self.core.meta.read(move |reading| reading.get_bucket(&request.input.bucket)).await?;
        let mut headers = HeaderMap::new();
        // An extension to S3: the proxy builds the bucket overview of other dialects from this response.
        if !bucket.class.is_empty() {
            insert_header(&mut headers, STORAGE_CLASS_HEADER, &bucket.class);
        }
        let output = GetBucketAclOutput { grants: Some(to_grants(bucket.acl)), owner: Some(build_owner()) };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn put_bucket_acl(
        &self,
        request: S3Request<PutBucketAclInput>,
    ) -> S3Result<S3Response<PutBucketAclOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let acl =
            read_acl(&request_head.headers, input.access_control_policy.map(read_group_grants).transpose()?)?;
        let work = move |writing: &mut crate::meta::MetadataWriter<'_>| {
            let bucket = writing.get_bucket(&input.bucket)?;
            bucket.check_acl(acl)?;
            writing.put_bucket(&input.bucket, &Bucket { acl, ..bucket })
        };
        self.core.meta.write(work).await?;
        Ok(S3Response::new(PutBucketAclOutput::default()))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let extras = ListingExtras {
            has_owner: true,
            has_restore_status: needs_restore_status(&get_request_head(&request)?),
        };
        let input = request.input;
        let marker = input.marker.clone().unwrap_or_default();
        let query = ListQuery::new(
            input.bucket,
            input.prefix,
            input.delimiter,
            input.max_keys,
            input.encoding_type.as_ref(),
        )?;
        let page = self.core.list_objects(query.clone(), input.marker).await?;
        let encoding = query.encoding;
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(query.bucket),
            prefix: Some(encoding.encode(&query.prefix)),
            marker: Some(encoding.encode(&marker)),
            max_keys: to_i32(query.max),
            delimiter: query.delimiter.as_deref().map(|delimiter| encoding.encode(delimiter)),
            encoding_type: encoding.to_encoding_type(),
            is_truncated: Some(page.next_marker.is_some()),
            next_marker: page.next_marker.as_deref().map(|more| encoding.encode(more)),
            common_prefixes: to_common_prefixes(&page, encoding),
            contents: Some(
                page.entries.iter().map(|entry| to_listed_object(entry, encoding, extras)).collect(),
            ),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let restore = needs_restore_status(&get_request_head(&request)?);
        let input = request.input;
        let query = ListQuery::new(
            input.bucket,
            input.prefix,
            input.delimiter,
            input.max_keys,
            input.encoding_type.as_ref(),
        )?;
        let marker = match &input.continuation_token {
            Some(token) => Some(decode_token(token)?),
            None => input.start_after.clone(),
        };
        let page = self.core.list_objects(query.clone(), marker).await?;
        let encoding = query.encoding;
        let extras =
            ListingExtras { has_owner: input.fetch_owner == Some(true), has_restore_status: restore };
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(query.bucket),
            prefix: Some(encoding.encode(&query.prefix)),
            max_keys: to_i32(query.max),
            key_count: to_i32(page.entries.len().saturating_add(page.prefixes.len())),
            delimiter: query.delimiter.as_deref().map(|delimiter| encoding.encode(delimiter)),
            encoding_type: encoding.to_encoding_type(),
            start_after: input.start_after.as_deref().map(|after| encoding.encode(after)),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.next_marker.is_some()),
            next_continuation_token: page.next_marker.as_deref().map(encode_token),
            common_prefixes: to_common_prefixes(&page, encoding),
            contents: Some(
                page.entries.iter().map(|entry| to_listed_object(entry, encoding, extras)).collect(),
            ),
            ..Default::default()
        }))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let restore = needs_restore_status(&get_request_head(&request)?);
        let input = request.input;
        let query = ListQuery::new(
            input.bucket,
            input.prefix,
            input.delimiter,
            input.max_keys,
            input.encoding_type.as_ref(),
        )?;
        let (key_marker, version_marker) = (input.key_marker.clone(), input.version_id_marker.clone());
        let page = self.core.list_versions(query.clone(), key_marker, version_marker).await?;
        let encoding = query.encoding;
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        for entry in &page.entries {
            let version = &entry.ranked_version.version;
            let (key, version_id) = (Some(encoding.encode(&entry.key)), Some(version.id.clone()));
            let (is_latest, last_modified) =
                (Some(entry.ranked_version.is_latest), Some(to_timestamp(version.modified_ms)));
            match &version.object {
                Some(object) => versions.push(ObjectVersion {
                    key,
                    version_id,
                    is_latest,
                    last_modified,
                    e_tag: Some(to_etag(&object.etag)),
                    size: to_i64(object.size),
                    storage_class: Some(object.attributes.class.clone().into()),
                    owner: Some(build_owner()),
                    checksum_algorithm: to_checksum_algorithms(object.checksum.as_ref()),
                    checksum_type: to_checksum_type(object.checksum.as_ref()),
                    restore_status: to_restore_status(object, restore),
                }),
                None => markers.push(DeleteMarkerEntry {
                    key,
                    version_id,
                    is_latest,
                    last_modified,
                    owner: Some(build_owner()),
                }),
            }
        }
        // A page that ends with a common prefix has no version ID marker.
        let last = page.entries.last().filter(|entry| Some(&entry.key) == page.next_marker.as_ref());
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(query.bucket),
            prefix: Some(encoding.encode(&query.prefix)),
            key_marker: Some(encoding.encode(&input.key_marker.unwrap_or_default())),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            max_keys: to_i32(query.max),
            delimiter: query.delimiter.as_deref().map(|delimiter| encoding.encode(delimiter)),
            encoding_type: encoding.to_encoding_type(),
            is_truncated: Some(page.next_marker.is_some()),
            next_key_marker: page.next_marker.as_deref().map(|more| encoding.encode(more)),
            next_version_id_marker: last.map(|entry| to_version_marker(&entry.ranked_version)),
            common_prefixes: to_common_prefixes(&page, encoding),
            versions: (!versions.is_empty()).then_some(versions),
            delete_markers: (!markers.is_empty()).then_some(markers),
            ..Default::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        if let Some(offset) = append::read_write_offset(&request_head.headers)? {
            let headers =
                self.core.append_object(input.bucket, input.key, offset, input.body, &request_head).await?;
            return Ok(S3Response::with_headers(PutObjectOutput::default(), headers));
        }
        let result = self.core.put_object(input.bucket, input.key, input.body, &request_head).await?;
        Ok(S3Response::with_headers(PutObjectOutput::default(), result.to_headers()))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let part = input.part_number.map(parse_part_number).transpose()?;
        let mut object = self
            .core
            .get_object(input.bucket, input.key, input.version_id, part, &request_head, false)
            .await?;
        let output = GetObjectOutput {
            body: object.take_body(),
            content_length: to_i64(object.count),
            content_range: object.range,
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, object.headers))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let part = input.part_number.map(parse_part_number).transpose()?;
        let object = self
            .core
            .get_object(input.bucket, input.key, input.version_id, part, &request_head, true)
            .await?;
        let output = HeadObjectOutput {
            content_length: to_i64(object.count),
            content_range: object.range,
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, object.headers))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let condition = WriteCondition::read_delete(&request_head.headers)?;
        let outcome = self
            .core
            .delete_object(
                input.bucket,
                input.key,
                input.version_id,
                condition,
                has_bypass_header(&request_head.headers),
            )
            .await?;
        let output = DeleteObjectOutput {
            delete_marker: outcome.is_marker.then_some(true),
            version_id: outcome.version,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let request_head = get_request_head(&request)?;
        if !request_head.expected_digests.has_any() {
            let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
            return Err(crate::errors::invalid_request_error(message));
        }
        let delete = request.input.delete;
        if delete.objects.is_empty() || delete.objects.len() > DELETE_OBJECTS_MAX {
            return Err(malformed_xml_error());
        }
        let mut entries = Vec::new();
        for object in delete.objects {
            if object.key.is_empty() || object.key.len() > KEY_BYTES_MAX {
                return Err(malformed_xml_error());
            }
            if object.last_modified_time.is_some() || object.size.is_some() {
                return Err(not_implemented_error("Size"));
            }
            let condition =
                object.e_tag.map_or(WriteCondition::None, |tag| WriteCondition::from_etag(tag.value()));
            entries.push(DeleteEntry { key: object.key, version: object.version_id, condition });
        }
        let outcomes = self
            .core
            .delete_objects(request.input.bucket, entries, has_bypass_header(&request_head.headers))
            .await?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for DeleteOutcome { key, version, result } in outcomes {
            match result {
                Ok(_) if delete.quiet == Some(true) => {}
                Ok(deleted_version) => deleted.push(DeletedObject {
                    key: Some(key),
                    version_id: version,
                    delete_marker: deleted_version.is_marker.then_some(true),
                    delete_marker_version_id: deleted_version.version.filter(|_| deleted_version.is_marker),
                }),
                Err(error) => errors.push(to_delete_error(&error, key, version)),
            }
        }
        let output =
            DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), request_charged: None };
        Ok(S3Response::new(output))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let copied = self.core.copy_object(input.bucket, input.key, &request_head).await?;
        let version = &copied.result.version;
        let object = version.object.as_ref().ok_or_else(|| internal_error("the copy created no object"))?;
        let sum = object.checksum.as_ref();
        let result = CopyObjectResult {
            e_tag: Some(to_etag(&object.etag)),
            last_modified: Some(to_timestamp(version.modified_ms)),
            checksum_type: to_checksum_type(sum),
            ..Default::default()
        };
        let mut headers = with_checksum_element(HeaderMap::new(), sum);
        insert_headers(&mut headers, object.sealing.to_headers());
        object.add_crc64_header(&mut headers);
        crate::objects::insert_version_id(&mut headers, copied.result.versioning, &version.id);
        let output = CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: copied.source_version,
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let (id, upload) =
            self.core.create_upload(input.bucket.clone(), input.key.clone(), &request_head).await?;
        let mut headers = HeaderMap::new();
        insert_headers(&mut headers, upload.sealing.to_headers());
        if upload.chosen {
            insert_header(&mut headers, "x-amz-checksum-algorithm", upload.algorithm.name());
            insert_header(
                &mut headers,
                "x-amz-checksum-type",
                if upload.composite { "COMPOSITE" } else { "FULL_OBJECT" },
            );
        }
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: filter_xml_key(&input.key),
            upload_id: Some(id),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let number = parse_part_number(input.part_number)?;
        let at = UploadLocation::new(input.bucket, input.key, input.upload_id)?;
        let (part, sealing) = self.core.upload_part(at, number, input.body, &request_head).await?;
        Ok(S3Response::with_headers(UploadPartOutput::default(), build_part_headers(&part, &sealing)))
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let number = parse_part_number(input.part_number)?;
        let at = UploadLocation::new(input.bucket, input.key, input.upload_id)?;
        let copied = self.core.upload_part_copy(at, number, &request_head).await?;
        let (part, sealing) = copied.result;
        let sum = part.checksum.as_ref();
        let result = CopyPartResult {
            e_tag: Some(to_etag(&part.etag)),
            last_modified: Some(to_timestamp(part.modified_ms)),
            ..Default::default()
        };
        let mut headers = with_checksum_element(HeaderMap::new(), sum);
        insert_headers(&mut headers, sealing.to_headers());
        add_crc64_header(&mut headers, part.segment.crc64);
        let output = UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: copied.source_version,
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let request_head = get_request_head(&request)?;
        let listed_parts = request.extensions.get::<Vec<ListedPart>>().cloned().unwrap_or_default();
        let input = request.input;
        let at = UploadLocation::new(input.bucket.clone(), input.key.clone(), input.upload_id)?;
        let result =
            self.core.complete_upload(at, listed_parts, input.mpu_object_size, &request_head).await?;
        let object = result
            .version
            .object
            .as_ref()
            .ok_or_else(|| internal_error("the completion created no object"))?;
        let sum = object.checksum.as_ref();
        let mut headers = with_checksum_element(HeaderMap::new(), sum);
        insert_headers(&mut headers, object.sealing.to_headers());
        object.add_crc64_header(&mut headers);
        crate::objects::insert_version_id(&mut headers, result.versioning, &result.version.id);
        let output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, crate::list::percent_encode_key(&input.key))),
            bucket: Some(input.bucket),
            key: filter_xml_key(&input.key),
            e_tag: Some(to_etag(&object.etag)),
            checksum_type: to_checksum_type(sum),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.core.abort_upload(UploadLocation::new(input.bucket, input.key, input.upload_id)?).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let query = ListQuery::new(
            input.bucket,
            input.prefix,
            input.delimiter,
            input.max_uploads,
            input.encoding_type.as_ref(),
        )?;
        let (key_marker, id_marker) = (input.key_marker.clone(), input.upload_id_marker.clone());
        let page = self.core.list_uploads(query.clone(), key_marker, id_marker).await?;
        let encoding = query.encoding;
        let upload = |listed: &crate::list::ListedUpload| MultipartUpload {
            key: Some(encoding.encode(&listed.key)),
            upload_id: Some(listed.id.clone()),
            owner: Some(build_owner()),
            initiator: Some(Initiator { id: Some(OWNER.to_owned()), display_name: None }),
            storage_class: Some(listed.upload.attributes.class.clone().into()),
            initiated: Some(to_timestamp(listed.upload.created_ms)),
            checksum_algorithm: to_upload_algorithm(&listed.upload),
            checksum_type: to_upload_checksum_type(&listed.upload),
        };
        let last =
            page.entries.last().filter(|last| page.next_marker.as_ref().is_none_or(|more| *more == last.key));
        // S3 returns the element for an empty page too, without text.
        let next_key = page.next_marker.as_ref().or(last.map(|last| &last.key));
        let next_key_marker = next_key.map_or_else(String::new, |key| encoding.encode(key));
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(query.bucket),
            prefix: Some(encoding.encode(&query.prefix)),
            delimiter: query.delimiter.as_deref().map(|delimiter| encoding.encode(delimiter)),
            key_marker: Some(encoding.encode(&input.key_marker.unwrap_or_default())),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            next_key_marker: Some(next_key_marker),
            next_upload_id_marker: Some(last.map(|last| last.id.clone()).unwrap_or_default()),
            max_uploads: to_i32(query.max),
            encoding_type: encoding.to_encoding_type(),
            is_truncated: Some(page.next_marker.is_some()),
            common_prefixes: to_common_prefixes(&page, encoding),
            uploads: Some(page.entries.iter().map(upload).collect()),
            request_charged: None,
        }))
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        let (attributes, headers) =
            self.core.get_attributes(input.bucket, input.key, input.version_id).await?;
        let version_id = get_version_header(&headers);
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set: attributes.tags.to_xml(), version_id }))
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = request.input;
        let tags = Tags::from_xml(&input.tagging.tag_set)?;
        let headers = self
            .core
            .update_attributes(input.bucket, input.key, input.version_id, AttributeChange::Tags(tags))
            .await?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id: get_version_header(&headers) }))
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let input = request.input;
        let none = AttributeChange::Tags(Tags::default());
        let headers = self.core.update_attributes(input.bucket, input.key, input.version_id, none).await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput { version_id: get_version_header(&headers) }))
    }

    async fn get_object_acl(
        &self,
        request: S3Request<GetObjectAclInput>,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        let input = request.input;
        let (attributes, _) = self.core.get_attributes(input.bucket, input.key, input.version_id).await?;
        let grants = Some(to_grants(attributes.acl));
        Ok(S3Response::new(GetObjectAclOutput { grants, owner: Some(build_owner()), request_charged: None }))
    }

    async fn put_object_acl(
        &self,
        request: S3Request<PutObjectAclInput>,
    ) -> S3Result<S3Response<PutObjectAclOutput>> {
        let request_head = get_request_head(&request)?;
        let input = request.input;
        let acl =
            read_acl(&request_head.headers, input.access_control_policy.map(read_group_grants).transpose()?)?;
        self.core
            .update_attributes(input.bucket, input.key, input.version_id, AttributeChange::Acl(acl))
            .await?;
        Ok(S3Response::new(PutObjectAclOutput::default()))
    }

    async fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let name = request.input.bucket.clone();
        let bucket = self.core.meta.read(move |reading| reading.get_bucket(&name)).await?;
        let lock = bucket.lock.ok_or_else(|| no_bucket_lock_error(&request.input.bucket))?;
        let object_lock_configuration = Some(lock.to_xml());
        Ok(S3Response::new(GetObjectLockConfigurationOutput { object_lock_configuration }))
    }

    async fn put_object_lock_configuration(
        &self,
        request: S3Request<PutObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
        let input = request.input;
        self.core.put_lock_configuration(input.bucket, input.object_lock_configuration).await?;
        Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
    }

    async fn get_object_retention(
        &self,
        request: S3Request<GetObjectRetentionInput>,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        let input = request.input;
        let lock = self.core.get_lock(input.bucket, input.key, input.version_id).await?;
        let retention = lock.retention.ok_or_else(no_object_lock_error)?;
        Ok(S3Response::new(GetObjectRetentionOutput { retention: Some(retention.to_xml()) }))
    }

    async fn put_object_retention(
        &self,
        request: S3Request<PutObjectRetentionInput>,
    ) -> S3Result<S3Response<PutObjectRetentionOutput>> {
        let bypass = has_bypass_header(&get_request_head(&request)?.headers);
        let input = request.input;
        let change = AttributeChange::Retention { retention: Retention::from_xml(input.retention)?, bypass };
        self.core.update_attributes(input.bucket, input.key, input.version_id, change).await?;
        Ok(S3Response::new(PutObjectRetentionOutput::default()))
    }

    async fn get_object_legal_hold(
        &self,
        request: S3Request<GetObjectLegalHoldInput>,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        let input = request.input;
        let lock = self.core.get_lock(input.bucket, input.key, input.version_id).await?;
        let hold = lock.hold.ok_or_else(no_object_lock_error)?;
        let status = if hold { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
        let status = Some(ObjectLockLegalHoldStatus::from_static(status));
        Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status }) }))
    }

    async fn put_object_legal_hold(
        &self,
        request: S3Request<PutObjectLegalHoldInput>,
    ) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
        let input = request.input;
        let status = input.legal_hold.and_then(|hold| hold.status).ok_or_else(malformed_xml_error)?;
        let hold = match status.as_str() {
            ObjectLockLegalHoldStatus::ON => true,
            ObjectLockLegalHoldStatus::OFF => false,
            _ => return Err(malformed_xml_error()),
        };
        self.core
            .update_attributes(input.bucket, input.key, input.version_id, AttributeChange::LegalHold(hold))
            .await?;
        Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
    }
}
