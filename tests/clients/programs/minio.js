// minio-js: one line per call, one line per result. ../programs.py documents the lines.
'use strict';

const fs = require('fs');
const readline = require('readline');
const { createRequire } = require('module');

const minio = createRequire(`${__dirname}/../node/`)('minio');

const [port, accessKey, secretKey] = process.argv.slice(2);
const sdk = new minio.Client({ endPoint: '127.0.0.1', port: Number(port), useSSL: false, accessKey, secretKey, partSize: 5 * 1024 * 1024 });

async function rows(stream) {
  const all = [];
  for await (const row of stream) all.push(row);
  return all;
}

const ops = {
  create_bucket: (bucket) => sdk.makeBucket(bucket, 'us-east-1'),
  delete_bucket: (bucket) => sdk.removeBucket(bucket),
  put: (bucket, key, path, type, ...words) => {
    const metadata = { 'Content-Type': type };
    for (let at = 0; at + 1 < words.length; at += 2) metadata[words[at]] = words[at + 1];
    return sdk.putObject(bucket, key, fs.readFileSync(path), metadata);
  },
  head: async (bucket, key) => {
    const { size, etag, metaData } = await sdk.statObject(bucket, key);
    const { 'content-type': type, ...metadata } = metaData;
    return [size, type, etag, ...Object.entries(metadata).flat()];
  },
  get: async (bucket, key, path, first, last) => {
    if (first === undefined) return sdk.fGetObject(bucket, key, path);
    const parts = await rows(await sdk.getPartialObject(bucket, key, Number(first), Number(last) - Number(first) + 1));
    return fs.promises.writeFile(path, Buffer.concat(parts));
  },
  list: async (bucket, prefix, delimiter, page) => {
    // It pages by itself, 1,000 keys at a time.
    void page;
    const found = await rows(sdk.listObjectsV2(bucket, prefix, !delimiter));
    return found.flatMap((row) => (row.prefix ? ['group', row.prefix] : ['key', row.name]));
  },
  upload: (bucket, key, path) => sdk.fPutObject(bucket, key, path, {}),
  copy: (source, sourceKey, bucket, key) => sdk.copyObject(bucket, key, `/${source}/${sourceKey}`),
  delete: (bucket, key) => sdk.removeObject(bucket, key),
  delete_many: async (bucket, ...keys) => {
    const errors = (await sdk.removeObjects(bucket, keys)).filter(Boolean);
    if (errors.length) throw new Error(JSON.stringify(errors));
  },
};

const STATUS = { NoSuchKey: 404, NotFound: 404, NoSuchBucket: 404, AccessDenied: 403, NotImplemented: 501 };

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [op, ...words] = line.split('\t').map(decodeURIComponent);
    let response;
    try {
      const result = await ops[op](...words);
      response = ['ok', ...(['head', 'list'].includes(op) ? result : [])];
    } catch (error) {
      response = ['error', STATUS[error.code] || 0, `${error.code || ''} ${error.message}`];
    }
    process.stdout.write(`${response.map((word) => encodeURIComponent(word)).join('\t')}\n`);
  }
})();
