// One SDK in its own process: it reads a JSON line per call and writes a JSON line per result. See ../node_client.py.
'use strict';

const readline = require('readline');

const [mode, port, key, secret] = process.argv.slice(2);

const PART = 5 * 1024 * 1024;

class ServiceError extends Error {
  constructor(status, code, message) {
    super(message || code);
    Object.assign(this, { status, code });
  }
}

const META = (prefix, metadata) =>
  Object.fromEntries(Object.entries(metadata || {}).map(([name, value]) => [prefix + name, value]));

const given = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== null));

function describeObject(prefix, headers, standard) {
  const metadata = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(`${prefix}meta-`)) metadata[name.slice(prefix.length + 5)] = value;
  }
  return {
    etag: headers.etag, length: Number(headers['content-length']), content_type: headers['content-type'], metadata,
    storage_class: headers[`${prefix}storage-class`] || standard,
    last_modified: Date.parse(headers['last-modified']) / 1000, tags: Number(headers[`${prefix}tagging-count`] || 0),
  };
}

// ---- Tencent COS

function cos() {
  const COS = require('cos-nodejs-sdk-v5');
  const sdk = new COS({
    SecretId: key, SecretKey: secret, Protocol: 'http:', Domain: `{Bucket}.cos.{Region}.localhost:${port}`,
    AutoSwitchHost: false, KeepAlive: false, CorrectClockSkew: false, ChunkRetryTimes: 0, Timeout: 60000,
  });
  const Region = 'ap-guangzhou';
  const names = { if_match: 'CopySourceIfMatch', if_none_match: 'CopySourceIfNoneMatch', if_modified_since: 'CopySourceIfModifiedSince', if_unmodified_since: 'CopySourceIfUnmodifiedSince' };
  const conditions = (all) => Object.fromEntries(Object.entries(all).map(([name, value]) => [names[name], value]));
  const source = (bucket, name) =>
    `${bucket}.cos.${Region}.myqcloud.com/${name.split('/').map(encodeURIComponent).join('/')}`;
  const call = (name, args) => new Promise((resolve, reject) => {
    sdk[name](given({ Region, ...args }), (error, data) => {
      if (!error) return resolve(data);
      const inner = error.error || {};
      return reject(new ServiceError(error.statusCode, error.code || inner.Code || '', error.message || JSON.stringify(inner)));
    });
  });
  return {
    sdk: (a) => call(a.name, a.args),
    headers: async (a) => (await call(a.name, a.args)).headers,
    bytes: async (a) => (await call(a.name, a.args)).Body.toString('base64'),
    create_bucket: (a) => call('putBucket', { Bucket: a.bucket }),
    head_bucket: (a) => call('headBucket', { Bucket: a.bucket }),
    delete_bucket: (a) => call('deleteBucket', { Bucket: a.bucket }),
    put: async (a) => {
      const made = await call('putObject', { Bucket: a.bucket, Key: a.key, Body: Buffer.from(a.body, 'base64'), ContentType: a.content_type, StorageClass: a.storage_class, Headers: given({ ...META('x-cos-meta-', a.metadata), 'x-cos-tagging': a.tags }) });
      return { etag: made.ETag };
    },
    head: async (a) => describeObject('x-cos-', (await call('headObject', { Bucket: a.bucket, Key: a.key })).headers, 'STANDARD'),
    get: async (a) => {
      const response = await call('getObject', { Bucket: a.bucket, Key: a.key, Range: a.range, IfMatch: a.if_match, IfNoneMatch: a.if_none_match, ResponseContentType: a.content_type });
      if (response.statusCode === 304) throw new ServiceError(304, 'NotModified');
      return { ...describeObject('x-cos-', response.headers, 'STANDARD'), body: response.Body.toString('base64') };
    },
    read_as: async (a) => {
      const words = Object.entries(a.words).map(([name, word]) => [`Response${name.replace(/(^|-)(.)/g, (_, dash, letter) => letter.toUpperCase())}`, word]);
      return (await call('getObject', { Bucket: a.bucket, Key: a.key, ...Object.fromEntries(words) })).headers;
    },
    presigned: (a) => new Promise((resolve, reject) => {
      sdk.getObjectUrl({ Bucket: a.bucket, Region, Key: a.key, Method: a.method, Expires: 60, Sign: true }, (error, data) => (error ? reject(error) : resolve(data.Url)));
    }),
    delete: (a) => call('deleteObject', { Bucket: a.bucket, Key: a.key }),
    list: async (a) => {
      const keys = [];
      let Marker = '';
      for (;;) {
        const page = await call('getBucket', { Bucket: a.bucket, Prefix: a.prefix, Marker });
        keys.push(...page.Contents.map((row) => row.Key));
        if (page.IsTruncated !== 'true') return keys;
        Marker = page.NextMarker;
      }
    },
    listing: async (a) => {
      const found = [[], []];
      for (let Marker = ''; ;) {
        const page = await call('getBucket', { Bucket: a.bucket, Prefix: a.prefix, Delimiter: a.delimiter, Marker });
        found[0].push(...page.Contents.map((row) => row.Key));
        found[1].push(...page.CommonPrefixes.map((row) => row.Prefix));
        if (page.IsTruncated !== 'true') return found;
        Marker = page.NextMarker;
      }
    },
    list_sizes_and_etags: async (a) => Object.fromEntries((await call('getBucket', { Bucket: a.bucket })).Contents.map((row) => [row.Key, [Number(row.Size), row.ETag]])),
    upload_file: (a) => call('uploadFile', { Bucket: a.bucket, Key: a.key, FilePath: a.path, SliceSize: PART, ChunkSize: PART }),
    upload_slices: (a) => call('sliceUploadFile', { Bucket: a.bucket, Key: a.key, FilePath: a.path, ChunkSize: PART }),
    download_file: async (a) => {
      await call('downloadFile', { Bucket: a.bucket, Key: a.key, FilePath: a.path, ChunkSize: PART, ParallelLimit: 3 });
      return true;
    },
    delete_many: async (a) => (await call('deleteMultipleObject', { Bucket: a.bucket, Objects: a.keys.map((Key) => ({ Key })) })).Deleted.map((row) => row.Key),
    put_tags: (a) => call('putObjectTagging', { Bucket: a.bucket, Key: a.key, Tags: Object.entries(a.tags).map(([Key, Value]) => ({ Key, Value })) }),
    get_tags: async (a) => Object.fromEntries((await call('getObjectTagging', { Bucket: a.bucket, Key: a.key })).Tags.map((row) => [row.Key, row.Value])),
    delete_tags: (a) => call('deleteObjectTagging', { Bucket: a.bucket, Key: a.key }),
    put_acl: (a) => call('putObjectAcl', { Bucket: a.bucket, Key: a.key, ACL: a.acl }),
    get_acl: async (a) => (await call('getObjectAcl', { Bucket: a.bucket, Key: a.key })).ACL,
    list_uploads: async (a) => (await call('multipartList', { Bucket: a.bucket, Prefix: a.prefix })).Upload.map((row) => [row.Key, row.UploadId || row.UploadID]),
    copy: async (a) => {
      const word = { COPY: 'Copy', REPLACE: 'Replaced' }[a.directive];
      const made = await call('putObjectCopy', { Bucket: a.bucket, Key: a.key, CopySource: source(a.source, a.source_key), MetadataDirective: word, ContentType: a.content_type, StorageClass: a.storage_class, Headers: { ...META('x-cos-meta-', a.metadata), ...(a.tags ? { 'x-cos-tagging': a.tags, 'x-cos-tagging-directive': 'Replaced' } : {}) }, ...conditions(a.conditions) });
      return { etag: made.ETag };
    },
    create_multipart: async (a) => (await call('multipartInit', { Bucket: a.bucket, Key: a.key, ContentType: a.content_type, Headers: META('x-cos-meta-', a.metadata) })).UploadId,
    upload_part: async (a) => (await call('multipartUpload', { Bucket: a.bucket, Key: a.key, UploadId: a.upload, PartNumber: a.number, Body: Buffer.from(a.body, 'base64') })).ETag,
    upload_part_copy: async (a) => (await call('uploadPartCopy', { Bucket: a.bucket, Key: a.key, UploadId: a.upload, PartNumber: a.number, CopySource: source(a.source, a.source_key), CopySourceRange: a.span ? `bytes=${a.span[0]}-${a.span[1]}` : undefined, ...conditions(a.conditions) })).ETag,
    list_parts: async (a) => (await call('multipartListPart', { Bucket: a.bucket, Key: a.key, UploadId: a.upload })).Part.map((row) => [Number(row.PartNumber), row.ETag, Number(row.Size)]),
    complete: (a) => call('multipartComplete', { Bucket: a.bucket, Key: a.key, UploadId: a.upload, Parts: a.parts.map(([PartNumber, ETag]) => ({ PartNumber, ETag })) }),
    abort: (a) => call('multipartAbort', { Bucket: a.bucket, Key: a.key, UploadId: a.upload }),
  };
}

// ---- Alibaba OSS

function oss(fourth) {
  const OSS = require('ali-oss');
  const at = (bucket) => new OSS({
    accessKeyId: key, accessKeySecret: secret, bucket, endpoint: `http://oss-cn-hangzhou.localhost:${port}`,
    region: 'oss-cn-hangzhou', authorizationV4: fourth,
  });
  const names = { if_match: 'If-Match', if_none_match: 'If-None-Match', if_modified_since: 'If-Modified-Since', if_unmodified_since: 'If-Unmodified-Since' };
  const conditions = (all) => Object.fromEntries(Object.entries(all).map(([name, value]) => [`x-oss-copy-source-${names[name].toLowerCase()}`, value]));
  const headers = (a) => given({ 'Content-Type': a.content_type, 'x-oss-storage-class': a.storage_class });
  return {
    sdk: (a) => at(a.bucket)[a.name](...a.args),
    streamed: async (a) => (await at(a.bucket).putStream(a.key, require('fs').createReadStream(a.path))).name,
    headers: async (a) => (await at(a.bucket)[a.name](...a.args)).res.headers,
    bytes: async (a) => (await at(a.bucket)[a.name](...a.args)).content.toString('base64'),
    create_bucket: (a) => at().putBucket(a.bucket),
    head_bucket: (a) => at(a.bucket).list({ 'max-keys': 1 }),
    delete_bucket: (a) => at().deleteBucket(a.bucket),
    upload_file: async (a) => {
      await at(a.bucket).multipartUpload(a.key, a.path, { partSize: PART, parallel: 3 });
      return null;
    },
    put: async (a) => {
      const made = await at(a.bucket).put(a.key, Buffer.from(a.body, 'base64'), given({ meta: a.metadata, mime: a.content_type, headers: given({ ...headers({ storage_class: a.storage_class }), 'x-oss-tagging': a.tags }) }));
      return { etag: made.res.headers.etag };
    },
    head: async (a) => describeObject('x-oss-', (await at(a.bucket).head(a.key)).res.headers, 'Standard'),
    get: async (a) => {
      const options = { headers: given({ Range: a.range, 'If-Match': a.if_match, 'If-None-Match': a.if_none_match }) };
      if (a.content_type) options.subres = { 'response-content-type': a.content_type };
      const response = await at(a.bucket).get(a.key, options);
      if (response.res.status === 304) throw new ServiceError(304, 'NotModified');
      return { ...describeObject('x-oss-', response.res.headers, 'Standard'), body: response.content.toString('base64') };
    },
    read_as: async (a) => {
      const subres = Object.fromEntries(Object.entries(a.words).map(([name, word]) => [`response-${name}`, word]));
      return (await at(a.bucket).get(a.key, { subres })).res.headers;
    },
    presigned: (a) => at(a.bucket).signatureUrl(a.key, { method: a.method, expires: 60 }),
    presigned_v4: (a) => at(a.bucket).signatureUrlV4(a.method, 60, {}, a.key),
    delete: (a) => at(a.bucket).delete(a.key),
    list: async (a) => {
      const keys = [];
      let marker;
      for (;;) {
        const page = await at(a.bucket).list(given({ prefix: a.prefix, marker, 'max-keys': 50 }));
        keys.push(...(page.objects || []).map((row) => row.name));
        if (!page.isTruncated) return keys;
        marker = page.nextMarker;
      }
    },
    listing: async (a) => {
      const found = [[], []];
      for (let marker; ;) {
        const page = await at(a.bucket).list(given({ prefix: a.prefix || undefined, delimiter: a.delimiter || undefined, marker, 'max-keys': 1000 }));
        found[0].push(...(page.objects || []).map((row) => row.name));
        found[1].push(...(page.prefixes || []));
        if (!page.isTruncated) return found;
        marker = page.nextMarker;
      }
    },
    list_sizes_and_etags: async (a) => Object.fromEntries(((await at(a.bucket).list({ 'max-keys': 1000 })).objects || []).map((row) => [row.name, [Number(row.size), row.etag]])),
    delete_many: async (a) => (await at(a.bucket).deleteMulti(a.keys)).deleted.map((row) => row.Key),
    put_tags: (a) => at(a.bucket).putObjectTagging(a.key, a.tags),
    get_tags: async (a) => (await at(a.bucket).getObjectTagging(a.key)).tag,
    delete_tags: (a) => at(a.bucket).deleteObjectTagging(a.key),
    put_acl: (a) => at(a.bucket).putACL(a.key, a.acl),
    get_acl: async (a) => (await at(a.bucket).getACL(a.key)).acl,
    list_uploads: async (a) => (await at(a.bucket).listUploads({ prefix: a.prefix, 'max-uploads': 100 })).uploads.map((row) => [row.name, row.uploadId]),
    copy: async (a) => {
      const options = { headers: { ...headers(a), ...conditions(a.conditions) } };
      if (a.metadata) options.meta = a.metadata;
      if (a.tags) Object.assign(options.headers, { 'x-oss-tagging': a.tags, 'x-oss-tagging-directive': 'Replace' });
      const made = await at(a.bucket).copy(a.key, a.source_key, a.source, options);
      // The SDK treats a 304 for a copy as a success without data.
      if (made.res.status === 304) throw new ServiceError(304, 'NotModified');
      return { etag: made.data.etag };
    },
    create_multipart: async (a) => (await at(a.bucket).initMultipartUpload(a.key, given({ meta: a.metadata, mime: a.content_type }))).uploadId,
    upload_part: async (a) => {
      const data = { stream: require('stream').Readable.from([Buffer.from(a.body, 'base64')]), size: Buffer.from(a.body, 'base64').length };
      return (await at(a.bucket)._uploadPart(a.key, a.upload, a.number, data)).etag;
    },
    upload_part_copy: async (a) => (await at(a.bucket).uploadPartCopy(a.key, a.upload, a.number, a.span ? `${a.span[0]}-${a.span[1]}` : undefined, { sourceKey: a.source_key, sourceBucketName: a.source }, { headers: conditions(a.conditions) })).etag,
    list_parts: async (a) => {
      const page = await at(a.bucket).listParts(a.key, a.upload);
      return [].concat(page.parts || []).map((row) => [Number(row.PartNumber), row.ETag, Number(row.Size)]);
    },
    complete: (a) => at(a.bucket).completeMultipartUpload(a.key, a.upload, a.parts.map(([number, etag]) => ({ number, etag }))),
    abort: (a) => at(a.bucket).abortMultipartUpload(a.key, a.upload),
  };
}

// ---- S3

function s3() {
  const sdk = require('@aws-sdk/client-s3');
  const { getSignedUrl } = require('@aws-sdk/s3-request-presigner');
  const { Upload } = require('@aws-sdk/lib-storage');
  const make = (more) => new sdk.S3Client({
    endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1,
    credentials: { accessKeyId: key, secretAccessKey: secret }, ...more,
  });
  // Otherwise the URL of an upload would include the checksum of an empty body.
  const [client, signer] = [make({}), make({ requestChecksumCalculation: 'WHEN_REQUIRED' })];
  const toServiceError = (error) => new ServiceError((error.$metadata || {}).httpStatusCode || 0, error.Code || error.name, error.message);
  const call = async (name, args) => {
    try {
      return await client.send(new sdk[`${name}Command`](given(args)));
    } catch (error) {
      throw toServiceError(error);
    }
  };
  const place = (a) => ({ Bucket: a.bucket, Key: a.key });
  const describe = (made) => ({
    etag: made.ETag, length: made.ContentLength, content_type: made.ContentType, metadata: made.Metadata || {},
    storage_class: made.StorageClass || 'STANDARD', last_modified: made.LastModified.getTime() / 1000, tags: made.TagCount || 0,
  });
  const rows = async (a) => {
    const found = [[], []];
    try {
      for await (const page of sdk.paginateListObjectsV2({ client }, given({ Bucket: a.bucket, Prefix: a.prefix, Delimiter: a.delimiter || undefined }))) {
        found[0].push(...(page.Contents || []));
        found[1].push(...(page.CommonPrefixes || []));
      }
    } catch (error) {
      throw toServiceError(error);
    }
    return found;
  };
  return {
    create_bucket: (a) => call('CreateBucket', { Bucket: a.bucket }),
    head_bucket: (a) => call('HeadBucket', { Bucket: a.bucket }),
    delete_bucket: (a) => call('DeleteBucket', { Bucket: a.bucket }),
    put: async (a) => ({ etag: (await call('PutObject', { ...place(a), Body: Buffer.from(a.body, 'base64'), ContentType: a.content_type, Metadata: a.metadata, StorageClass: a.storage_class, Tagging: a.tags })).ETag }),
    head: async (a) => describe(await call('HeadObject', place(a))),
    get: async (a) => {
      const made = await call('GetObject', { ...place(a), Range: a.range, IfMatch: a.if_match, IfNoneMatch: a.if_none_match, ResponseContentType: a.content_type });
      return { ...describe(made), body: Buffer.from(await made.Body.transformToByteArray()).toString('base64') };
    },
    presigned: (a) => getSignedUrl(signer, new sdk[`${{ GET: 'GetObject', PUT: 'PutObject' }[a.method]}Command`](place(a)), { expiresIn: 60 }),
    delete: (a) => call('DeleteObject', place(a)),
    list: async (a) => (await rows(a))[0].map((row) => row.Key),
    listing: async (a) => {
      const [keys, groups] = await rows(a);
      return [keys.map((row) => row.Key), groups.map((row) => row.Prefix)];
    },
    list_sizes_and_etags: async (a) => Object.fromEntries((await rows(a))[0].map((row) => [row.Key, [row.Size, row.ETag]])),
    upload_file: async (a) => {
      const body = require('fs').createReadStream(a.path);
      await new Upload({ client, params: { ...place(a), Body: body }, partSize: PART, queueSize: 3 }).done();
    },
    download_file: async (a) => {
      const made = await call('GetObject', place(a));
      await require('stream/promises').pipeline(made.Body, require('fs').createWriteStream(a.path));
      return true;
    },
    copy: async (a) => {
      const made = await call('CopyObject', { ...place(a), CopySource: encodeURIComponent(`${a.source}/${a.source_key}`), MetadataDirective: a.directive, Metadata: a.metadata, ContentType: a.content_type, StorageClass: a.storage_class });
      return { etag: made.CopyObjectResult.ETag };
    },
    create_multipart: async (a) => (await call('CreateMultipartUpload', { ...place(a), ContentType: a.content_type, Metadata: a.metadata })).UploadId,
    upload_part: async (a) => (await call('UploadPart', { ...place(a), UploadId: a.upload, PartNumber: a.number, Body: Buffer.from(a.body, 'base64') })).ETag,
    list_parts: async (a) => ((await call('ListParts', { ...place(a), UploadId: a.upload })).Parts || []).map((row) => [row.PartNumber, row.ETag, row.Size]),
    complete: (a) => call('CompleteMultipartUpload', { ...place(a), UploadId: a.upload, MultipartUpload: { Parts: a.parts.map(([PartNumber, ETag]) => ({ PartNumber, ETag })) } }).then(() => null),
    abort: (a) => call('AbortMultipartUpload', { ...place(a), UploadId: a.upload }),
    list_uploads: async (a) => ((await call('ListMultipartUploads', { Bucket: a.bucket, Prefix: a.prefix })).Uploads || []).map((row) => [row.Key, row.UploadId]),
    delete_many: async (a) => {
      const made = await call('DeleteObjects', { Bucket: a.bucket, Delete: { Objects: a.keys.map((Key) => ({ Key })) } });
      if (made.Errors && made.Errors.length) throw new ServiceError(200, made.Errors[0].Code, JSON.stringify(made.Errors));
      return (made.Deleted || []).map((row) => row.Key);
    },
    put_tags: (a) => call('PutObjectTagging', { ...place(a), Tagging: { TagSet: Object.entries(a.tags).map(([Key, Value]) => ({ Key, Value })) } }),
    get_tags: async (a) => Object.fromEntries((await call('GetObjectTagging', place(a))).TagSet.map((row) => [row.Key, row.Value])),
    delete_tags: (a) => call('DeleteObjectTagging', place(a)),
    put_acl: (a) => call('PutObjectAcl', { ...place(a), ACL: a.acl }),
    get_acl: async (a) => (await call('GetObjectAcl', place(a))).Grants.map((row) => [row.Grantee.URI || row.Grantee.ID, row.Permission]),
  };
}

const ops = mode === 'cos' ? cos() : mode === 's3' ? s3() : oss(mode === 'oss-v4');

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { op, args } = JSON.parse(line);
    let response;
    try {
      const ok = await ops[op](args);
      response = { ok: ok === undefined || typeof ok === 'function' ? null : ok };
    } catch (error) {
      response = { error: { status: error.status || error.statusCode || 0, code: error.code || '', message: String(error.message || error).slice(0, 500) } };
    }
    const text = JSON.stringify(response, (name, value) => (['res', 'headers', 'client'].includes(name) ? undefined : value));
    process.stdout.write(`${text}\n`);
  }
})();
