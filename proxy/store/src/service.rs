//! The protocol library's trait, call by call: takes the request apart and puts the answer together, nothing else.

use crate::append;
use crate::attributes::{Acl, CLASS, Tags, acl_of_request, read_class};
use crate::conditions::WriteCondition;
use crate::digests::Checksum;
use crate::errors::{add_element, fault, internal, malformed_xml, not_implemented};
use crate::list::{Encoding, Page, Query, echo, place_of, token, untoken};
use crate::lock::{BucketLock, Retention, bypasses, none_on_bucket, none_on_object};
use crate::meta::{Bucket, Part as StoredPart, Versioning, now_ms};
use crate::objects::{Change, Core, Outcome, Unwanted, add_crc64, put, put_all, quoted, timestamp};
use crate::request::{Facts, KEY_BYTES_MAX};
use crate::sealing::Sealing;
use crate::uploads::{ListedPart, UploadAt, part_number};
use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result};

/// A synthetic canonical user id.
pub(crate) const OWNER: &str = "b10bf15b00000000000000000000000000000000000000000000000000000000";
const REGION: &str = "us-east-1";
const DELETES_MAX: usize = 1000;

/// The store as the protocol library calls it.
pub(crate) struct Service {
    pub(crate) core: Core,
}

fn facts<T>(request: &S3Request<T>) -> S3Result<Facts> {
    request.extensions.get::<Facts>().cloned().ok_or_else(|| internal("a request that was not read"))
}

fn owner() -> Owner {
    Owner { id: Some(OWNER.to_owned()), display_name: None }
}

fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// The answer's headers with the elements of its checksum, whose newer algorithms the library's types do not have.
fn with_sum(mut headers: HeaderMap, checksum: Option<&Checksum>) -> HeaderMap {
    if let Some(checksum) = checksum {
        add_element(&mut headers, &checksum.algorithm.element(), &checksum.value);
    }
    headers
}

fn kind_of(checksum: Option<&Checksum>) -> Option<ChecksumType> {
    checksum.map(|checksum| ChecksumType::from_static(checksum.kind()))
}

fn algorithm_of(checksum: Option<&Checksum>) -> Option<Vec<ChecksumAlgorithm>> {
    checksum.map(|checksum| vec![ChecksumAlgorithm::from_static(checksum.algorithm.name())])
}

fn grants(acl: Acl) -> Vec<Grant> {
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

/// The grants to groups of an ACL document; the owner's own are understood.
fn group_grants(policy: AccessControlPolicy) -> S3Result<Vec<(String, String)>> {
    let mut groups = Vec::new();
    for grant in policy.grants.unwrap_or_default() {
        let grantee = grant.grantee.ok_or_else(malformed_xml)?;
        let permission = grant.permission.ok_or_else(malformed_xml)?.as_str().to_owned();
        match (grantee.uri, grantee.id) {
            (Some(uri), _) => groups.push((uri, permission)),
            (None, Some(id)) if id == OWNER => {}
            _ => return Err(not_implemented("AccessControlPolicy")),
        }
    }
    Ok(groups)
}

fn prefixes<T>(page: &Page<T>, encoding: Encoding) -> Option<Vec<CommonPrefix>> {
    let prefix = |prefix: &String| CommonPrefix { prefix: Some(encoding.text(prefix)) };
    (!page.prefixes.is_empty()).then(|| page.prefixes.iter().map(prefix).collect())
}

fn size(bytes: u64) -> Option<i64> {
    i64::try_from(bytes).ok()
}

fn count(number: usize) -> Option<i32> {
    i32::try_from(number).ok()
}

/// What a listing tells of objects besides what it always does.
#[derive(Clone, Copy)]
struct Extras {
    owner: bool,
    restore: bool,
}

fn tells_restore(facts: &Facts) -> bool {
    let asked = facts.headers.get_all("x-amz-optional-object-attributes");
    asked.iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|name| name.trim_ascii() == b"RestoreStatus")
    })
}

fn restore_status(object: &crate::meta::Object, told: bool) -> Option<RestoreStatus> {
    let until = object.restored_until().filter(|_| told)?;
    let restore_expiry_date = Some(timestamp(until));
    Some(RestoreStatus { is_restore_in_progress: Some(false), restore_expiry_date })
}

fn listed_object(listed: &crate::list::Listed, encoding: Encoding, extras: Extras) -> Object {
    let checksum = listed.object.checksum.as_ref();
    Object {
        key: Some(encoding.text(&listed.key)),
        last_modified: Some(timestamp(listed.modified_ms)),
        e_tag: Some(etag(&listed.object.etag)),
        size: size(listed.object.size),
        storage_class: Some(listed.object.attributes.class.clone().into()),
        owner: extras.owner.then(owner),
        restore_status: restore_status(&listed.object, extras.restore),
        checksum_algorithm: algorithm_of(checksum),
        checksum_type: kind_of(checksum),
    }
}

fn part_answer(part: &StoredPart, sealing: &Sealing) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put_all(&mut headers, sealing.headers());
    if let Some(checksum) = &part.checksum {
        headers.extend(checksum.headers());
        headers.remove("x-amz-checksum-type");
    }
    add_crc64(&mut headers, part.segment.crc64);
    put(&mut headers, "etag", &quoted(&part.etag));
    headers
}

fn delete_error(error: &S3Error, outcome_key: String, version: Option<String>) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
        key: Some(outcome_key),
        version_id: version,
    }
}

fn version_header(headers: &HeaderMap) -> Option<String> {
    headers.get("x-amz-version-id").and_then(|id| id.to_str().ok()).map(str::to_owned)
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        let lock = (input.object_lock_enabled_for_bucket == Some(true)).then(BucketLock::default);
        let acl = match facts.headers.contains_key("x-amz-acl") {
            true => acl_of_request(&facts.headers, None)?,
            false => Acl::default(),
        };
        let class = read_class(&facts.headers)?.unwrap_or_default();
        let constraint = input.create_bucket_configuration.and_then(|row| row.location_constraint);
        let location = constraint.map(|location| location.as_str().to_owned()).unwrap_or_default();
        let name = input.bucket.clone();
        let work = move |writing: &mut crate::meta::Writing<'_>| match writing.find_bucket(&name)? {
            // As in us-east-1: making it again with no new settings changes nothing.
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
                Err(fault(409, "BucketAlreadyOwnedByYou", message, &[("BucketName", &name)]))
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
        let bucket = self.core.meta.read(move |reading| reading.bucket(&request.input.bucket)).await?;
        let region = if bucket.location.is_empty() { REGION.to_owned() } else { bucket.location };
        let mut headers = HeaderMap::new();
        put(&mut headers, "x-amz-bucket-region", &region);
        put(&mut headers, "x-amz-access-point-alias", "false");
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
        let after = input.continuation_token.as_deref().map(untoken).transpose()?.unwrap_or_default();
        let max = input.max_buckets.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        let all = self.core.list_buckets().await?;
        let mut wanted =
            all.into_iter().filter(|(name, _)| name.starts_with(&prefix) && *name > after).peekable();
        let mut buckets = Vec::new();
        while buckets.len() < max {
            let Some((name, row)) = wanted.next() else { break };
            let region = if row.location.is_empty() { REGION.to_owned() } else { row.location };
            let creation_date = Some(timestamp(row.created_ms));
            buckets.push(s3s::dto::Bucket { name: Some(name), creation_date, bucket_region: Some(region) });
        }
        let last = buckets.last().and_then(|bucket| bucket.name.clone());
        let continuation_token = last.filter(|_| wanted.peek().is_some()).map(|name| token(&name));
        let output = ListBucketsOutput {
            buckets: Some(buckets),
            owner: Some(owner()),
            continuation_token,
            prefix: input.prefix,
        };
        Ok(S3Response::new(output))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let bucket = self.core.meta.read(move |reading| reading.bucket(&request.input.bucket)).await?;
        let location_constraint = (!bucket.location.is_empty()).then(|| bucket.location.into());
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let bucket = self.core.meta.read(move |reading| reading.bucket(&request.input.bucket)).await?;
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
            Some(_) => return Err(malformed_xml()),
            None => {
                let message = "The Versioning element must be specified";
                return Err(fault(400, "IllegalVersioningConfigurationException", message, &[]));
            }
        };
        let work = move |writing: &mut crate::meta::Writing<'_>| {
            let bucket = writing.bucket(&input.bucket)?;
            if bucket.lock.is_some() && versioning != Versioning::Enabled {
                let message = "An Object Lock configuration is present on this bucket, so the versioning state \
                               cannot be changed.";
                return Err(fault(409, "InvalidBucketState", message, &[("BucketName", &input.bucket)]));
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
        let bucket = self.core.meta.read(move |reading| reading.bucket(&request.input.bucket)).await?;
        let mut headers = HeaderMap::new();
        // Beyond S3: an overview of a bucket is made of this answer.
        if !bucket.class.is_empty() {
            put(&mut headers, CLASS, &bucket.class);
        }
        let told = GetBucketAclOutput { grants: Some(grants(bucket.acl)), owner: Some(owner()) };
        Ok(S3Response::with_headers(told, headers))
    }

    async fn put_bucket_acl(
        &self,
        request: S3Request<PutBucketAclInput>,
    ) -> S3Result<S3Response<PutBucketAclOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        let acl = acl_of_request(&facts.headers, input.access_control_policy.map(group_grants).transpose()?)?;
        let work = move |writing: &mut crate::meta::Writing<'_>| {
            let bucket = writing.bucket(&input.bucket)?;
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
        let extras = Extras { owner: true, restore: tells_restore(&facts(&request)?) };
        let input = request.input;
        let marker = input.marker.clone().unwrap_or_default();
        let query = Query::new(
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
            prefix: Some(encoding.text(&query.prefix)),
            marker: Some(encoding.text(&marker)),
            max_keys: count(query.max),
            delimiter: query.delimiter.as_deref().map(|delimiter| encoding.text(delimiter)),
            encoding_type: encoding.told(),
            is_truncated: Some(page.more.is_some()),
            next_marker: page.more.as_deref().map(|more| encoding.text(more)),
            common_prefixes: prefixes(&page, encoding),
            contents: Some(page.entries.iter().map(|entry| listed_object(entry, encoding, extras)).collect()),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let restore = tells_restore(&facts(&request)?);
        let input = request.input;
        let query = Query::new(
            input.bucket,
            input.prefix,
            input.delimiter,
            input.max_keys,
            input.encoding_type.as_ref(),
        )?;
        let marker = match &input.continuation_token {
            Some(token) => Some(untoken(token)?),
            None => input.start_after.clone(),
        };
        let page = self.core.list_objects(query.clone(), marker).await?;
        let encoding = query.encoding;
        let extras = Extras { owner: input.fetch_owner == Some(true), restore };
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(query.bucket),
            prefix: Some(encoding.text(&query.prefix)),
            max_keys: count(query.max),
            key_count: count(page.entries.len().saturating_add(page.prefixes.len())),
            delimiter: query.delimiter.as_deref().map(|delimiter| encoding.text(delimiter)),
            encoding_type: encoding.told(),
            start_after: input.start_after.as_deref().map(|after| encoding.text(after)),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.more.is_some()),
            next_continuation_token: page.more.as_deref().map(token),
            common_prefixes: prefixes(&page, encoding),
            contents: Some(page.entries.iter().map(|entry| listed_object(entry, encoding, extras)).collect()),
            ..Default::default()
        }))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let restore = tells_restore(&facts(&request)?);
        let input = request.input;
        let query = Query::new(
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
            let version = &entry.found.version;
            let (key, version_id) = (Some(encoding.text(&entry.key)), Some(version.id.clone()));
            let (is_latest, last_modified) = (Some(entry.found.latest), Some(timestamp(version.modified_ms)));
            match &version.object {
                Some(object) => versions.push(ObjectVersion {
                    key,
                    version_id,
                    is_latest,
                    last_modified,
                    e_tag: Some(etag(&object.etag)),
                    size: size(object.size),
                    storage_class: Some(object.attributes.class.clone().into()),
                    owner: Some(owner()),
                    checksum_algorithm: algorithm_of(object.checksum.as_ref()),
                    checksum_type: kind_of(object.checksum.as_ref()),
                    restore_status: restore_status(object, restore),
                }),
                None => markers.push(DeleteMarkerEntry {
                    key,
                    version_id,
                    is_latest,
                    last_modified,
                    owner: Some(owner()),
                }),
            }
        }
        // After a common prefix there is no version to go on from.
        let last = page.entries.last().filter(|entry| Some(&entry.key) == page.more.as_ref());
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(query.bucket),
            prefix: Some(encoding.text(&query.prefix)),
            key_marker: Some(encoding.text(&input.key_marker.unwrap_or_default())),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            max_keys: count(query.max),
            delimiter: query.delimiter.as_deref().map(|delimiter| encoding.text(delimiter)),
            encoding_type: encoding.told(),
            is_truncated: Some(page.more.is_some()),
            next_key_marker: page.more.as_deref().map(|more| encoding.text(more)),
            next_version_id_marker: last.map(|entry| place_of(&entry.found)),
            common_prefixes: prefixes(&page, encoding),
            versions: (!versions.is_empty()).then_some(versions),
            delete_markers: (!markers.is_empty()).then_some(markers),
            ..Default::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        if let Some(offset) = append::offset(&facts.headers)? {
            let headers = self.core.append(input.bucket, input.key, offset, input.body, &facts).await?;
            return Ok(S3Response::with_headers(PutObjectOutput::default(), headers));
        }
        let written = self.core.put(input.bucket, input.key, input.body, &facts).await?;
        Ok(S3Response::with_headers(PutObjectOutput::default(), written.headers()))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        let part = input.part_number.map(part_number).transpose()?;
        let mut got = self.core.get(input.bucket, input.key, input.version_id, part, &facts, false).await?;
        let output = GetObjectOutput {
            body: got.body(),
            content_length: size(got.count),
            content_range: got.range,
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, got.headers))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        let part = input.part_number.map(part_number).transpose()?;
        let got = self.core.get(input.bucket, input.key, input.version_id, part, &facts, true).await?;
        let output = HeadObjectOutput {
            content_length: size(got.count),
            content_range: got.range,
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, got.headers))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        let condition = WriteCondition::read_delete(&facts.headers)?;
        let deleted = self
            .core
            .delete(input.bucket, input.key, input.version_id, condition, bypasses(&facts.headers))
            .await?;
        let output = DeleteObjectOutput {
            delete_marker: deleted.marker.then_some(true),
            version_id: deleted.version,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let facts = facts(&request)?;
        if !facts.promised.any() {
            let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
            return Err(crate::errors::invalid_request(message));
        }
        let delete = request.input.delete;
        if delete.objects.is_empty() || delete.objects.len() > DELETES_MAX {
            return Err(malformed_xml());
        }
        let mut wanted = Vec::new();
        for object in delete.objects {
            if object.key.is_empty() || object.key.len() > KEY_BYTES_MAX {
                return Err(malformed_xml());
            }
            if object.last_modified_time.is_some() || object.size.is_some() {
                return Err(not_implemented("Size"));
            }
            let condition =
                object.e_tag.map_or(WriteCondition::None, |tag| WriteCondition::etag(tag.value()));
            wanted.push(Unwanted { key: object.key, version: object.version_id, condition });
        }
        let outcomes = self.core.delete_many(request.input.bucket, wanted, bypasses(&facts.headers)).await?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for Outcome { key, version, result } in outcomes {
            match result {
                Ok(_) if delete.quiet == Some(true) => {}
                Ok(done) => deleted.push(DeletedObject {
                    key: Some(key),
                    version_id: version,
                    delete_marker: done.marker.then_some(true),
                    delete_marker_version_id: done.version.filter(|_| done.marker),
                }),
                Err(error) => errors.push(delete_error(&error, key, version)),
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
        let facts = facts(&request)?;
        let input = request.input;
        let copied = self.core.copy(input.bucket, input.key, &facts).await?;
        let version = &copied.made.version;
        let object = version.object.as_ref().ok_or_else(|| internal("a copy without an object"))?;
        let sum = object.checksum.as_ref();
        let result = CopyObjectResult {
            e_tag: Some(etag(&object.etag)),
            last_modified: Some(timestamp(version.modified_ms)),
            checksum_type: kind_of(sum),
            ..Default::default()
        };
        let mut headers = with_sum(HeaderMap::new(), sum);
        put_all(&mut headers, object.sealing.headers());
        object.add_crc64(&mut headers);
        crate::objects::put_version(&mut headers, copied.made.versioning, &version.id);
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
        let facts = facts(&request)?;
        let input = request.input;
        let (id, upload) = self.core.create_upload(input.bucket.clone(), input.key.clone(), &facts).await?;
        let mut headers = HeaderMap::new();
        put_all(&mut headers, upload.sealing.headers());
        if upload.chosen {
            put(&mut headers, "x-amz-checksum-algorithm", upload.algorithm.name());
            put(
                &mut headers,
                "x-amz-checksum-type",
                if upload.composite { "COMPOSITE" } else { "FULL_OBJECT" },
            );
        }
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: echo(&input.key),
            upload_id: Some(id),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        let number = part_number(input.part_number)?;
        let at = UploadAt::new(input.bucket, input.key, input.upload_id)?;
        let (part, sealing) = self.core.upload_part(at, number, input.body, &facts).await?;
        Ok(S3Response::with_headers(UploadPartOutput::default(), part_answer(&part, &sealing)))
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        let number = part_number(input.part_number)?;
        let at = UploadAt::new(input.bucket, input.key, input.upload_id)?;
        let copied = self.core.copy_part(at, number, &facts).await?;
        let (part, sealing) = copied.made;
        let sum = part.checksum.as_ref();
        let result = CopyPartResult {
            e_tag: Some(etag(&part.etag)),
            last_modified: Some(timestamp(part.modified_ms)),
            ..Default::default()
        };
        let mut headers = with_sum(HeaderMap::new(), sum);
        put_all(&mut headers, sealing.headers());
        add_crc64(&mut headers, part.segment.crc64);
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
        let facts = facts(&request)?;
        let listed = request.extensions.get::<Vec<ListedPart>>().cloned().unwrap_or_default();
        let input = request.input;
        let at = UploadAt::new(input.bucket.clone(), input.key.clone(), input.upload_id)?;
        let written = self.core.complete_upload(at, listed, input.mpu_object_size, &facts).await?;
        let object =
            written.version.object.as_ref().ok_or_else(|| internal("an upload without an object"))?;
        let sum = object.checksum.as_ref();
        let mut headers = with_sum(HeaderMap::new(), sum);
        put_all(&mut headers, object.sealing.headers());
        object.add_crc64(&mut headers);
        crate::objects::put_version(&mut headers, written.versioning, &written.version.id);
        let output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, crate::list::encoded(&input.key))),
            bucket: Some(input.bucket),
            key: echo(&input.key),
            e_tag: Some(etag(&object.etag)),
            checksum_type: kind_of(sum),
            ..Default::default()
        };
        Ok(S3Response::with_headers(output, headers))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.core.abort_upload(UploadAt::new(input.bucket, input.key, input.upload_id)?).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let query = Query::new(
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
            key: Some(encoding.text(&listed.key)),
            upload_id: Some(listed.id.clone()),
            owner: Some(owner()),
            initiator: Some(Initiator { id: Some(OWNER.to_owned()), display_name: None }),
            storage_class: Some(listed.upload.attributes.class.clone().into()),
            initiated: Some(timestamp(listed.upload.created_ms)),
            ..Default::default()
        };
        let last = page.entries.last().filter(|last| page.more.as_ref().is_none_or(|more| *more == last.key));
        let next_key = page.more.clone().or_else(|| last.map(|last| last.key.clone())).unwrap_or_default();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(query.bucket),
            prefix: Some(encoding.text(&query.prefix)),
            delimiter: query.delimiter.as_deref().map(|delimiter| encoding.text(delimiter)),
            key_marker: Some(encoding.text(&input.key_marker.unwrap_or_default())),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            next_key_marker: Some(encoding.text(&next_key)),
            next_upload_id_marker: Some(last.map(|last| last.id.clone()).unwrap_or_default()),
            max_uploads: count(query.max),
            encoding_type: encoding.told(),
            is_truncated: Some(page.more.is_some()),
            common_prefixes: prefixes(&page, encoding),
            uploads: Some(page.entries.iter().map(upload).collect()),
            request_charged: None,
        }))
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        let (attributes, headers) = self.core.attributes(input.bucket, input.key, input.version_id).await?;
        let version_id = version_header(&headers);
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set: attributes.tags.to_xml(), version_id }))
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let input = request.input;
        let tags = Tags::of_xml(&input.tagging.tag_set)?;
        let headers = self.core.change(input.bucket, input.key, input.version_id, Change::Tags(tags)).await?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id: version_header(&headers) }))
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let input = request.input;
        let none = Change::Tags(Tags::default());
        let headers = self.core.change(input.bucket, input.key, input.version_id, none).await?;
        Ok(S3Response::new(DeleteObjectTaggingOutput { version_id: version_header(&headers) }))
    }

    async fn get_object_acl(
        &self,
        request: S3Request<GetObjectAclInput>,
    ) -> S3Result<S3Response<GetObjectAclOutput>> {
        let input = request.input;
        let (attributes, _) = self.core.attributes(input.bucket, input.key, input.version_id).await?;
        let grants = Some(grants(attributes.acl));
        Ok(S3Response::new(GetObjectAclOutput { grants, owner: Some(owner()), request_charged: None }))
    }

    async fn put_object_acl(
        &self,
        request: S3Request<PutObjectAclInput>,
    ) -> S3Result<S3Response<PutObjectAclOutput>> {
        let facts = facts(&request)?;
        let input = request.input;
        let acl = acl_of_request(&facts.headers, input.access_control_policy.map(group_grants).transpose()?)?;
        self.core.change(input.bucket, input.key, input.version_id, Change::Acl(acl)).await?;
        Ok(S3Response::new(PutObjectAclOutput::default()))
    }

    async fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let name = request.input.bucket.clone();
        let bucket = self.core.meta.read(move |reading| reading.bucket(&name)).await?;
        let lock = bucket.lock.ok_or_else(|| none_on_bucket(&request.input.bucket))?;
        let object_lock_configuration = Some(lock.to_xml());
        Ok(S3Response::new(GetObjectLockConfigurationOutput { object_lock_configuration }))
    }

    async fn put_object_lock_configuration(
        &self,
        request: S3Request<PutObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
        let input = request.input;
        self.core.put_lock(input.bucket, input.object_lock_configuration).await?;
        Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
    }

    async fn get_object_retention(
        &self,
        request: S3Request<GetObjectRetentionInput>,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        let input = request.input;
        let lock = self.core.lock(input.bucket, input.key, input.version_id).await?;
        let retention = lock.retention.ok_or_else(none_on_object)?;
        Ok(S3Response::new(GetObjectRetentionOutput { retention: Some(retention.to_xml()) }))
    }

    async fn put_object_retention(
        &self,
        request: S3Request<PutObjectRetentionInput>,
    ) -> S3Result<S3Response<PutObjectRetentionOutput>> {
        let bypass = bypasses(&facts(&request)?.headers);
        let input = request.input;
        let change = Change::Retention { wanted: Retention::of_xml(input.retention)?, bypass };
        self.core.change(input.bucket, input.key, input.version_id, change).await?;
        Ok(S3Response::new(PutObjectRetentionOutput::default()))
    }

    async fn get_object_legal_hold(
        &self,
        request: S3Request<GetObjectLegalHoldInput>,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        let input = request.input;
        let lock = self.core.lock(input.bucket, input.key, input.version_id).await?;
        let hold = lock.hold.ok_or_else(none_on_object)?;
        let status = if hold { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
        let status = Some(ObjectLockLegalHoldStatus::from_static(status));
        Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status }) }))
    }

    async fn put_object_legal_hold(
        &self,
        request: S3Request<PutObjectLegalHoldInput>,
    ) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
        let input = request.input;
        let status = input.legal_hold.and_then(|hold| hold.status).ok_or_else(malformed_xml)?;
        let hold = match status.as_str() {
            ObjectLockLegalHoldStatus::ON => true,
            ObjectLockLegalHoldStatus::OFF => false,
            _ => return Err(malformed_xml()),
        };
        self.core.change(input.bucket, input.key, input.version_id, Change::Hold(hold)).await?;
        Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
    }
}
