# Debian's Ruby SDKs, one per process: one line per call, one line per result. ../programs.py documents the lines.
require 'cgi'
require 'net/http'
require 'openssl'

MODE, PORT, KEY, SECRET = ARGV
PART = 5 * 1024 * 1024

# aws-sdk-s3.
class Aws3
  def initialize
    require 'aws-sdk-s3'
    @sdk = Aws::S3::Client.new(endpoint: "http://127.0.0.1:#{PORT}", region: 'us-east-1', access_key_id: KEY,
                               secret_access_key: SECRET, force_path_style: true, retry_limit: 0)
  end

  def status(error)
    error.respond_to?(:context) && error.context ? error.context.http_response.status_code : 0
  end

  def object(bucket, key)
    Aws::S3::Object.new(bucket, key, client: @sdk)
  end

  def create_bucket(bucket)
    @sdk.create_bucket(bucket: bucket)
  end

  def delete_bucket(bucket)
    @sdk.delete_bucket(bucket: bucket)
  end

  def put(bucket, key, path, type, metadata)
    File.open(path, 'rb') { |file| @sdk.put_object(bucket: bucket, key: key, body: file, content_type: type, metadata: metadata) }
  end

  def head(bucket, key)
    out = @sdk.head_object(bucket: bucket, key: key)
    [out.content_length, out.content_type, out.etag, out.metadata]
  end

  def get(bucket, key, path, first, last)
    if first
      @sdk.get_object(bucket: bucket, key: key, response_target: path, range: "bytes=#{first}-#{last}")
    else
      # Above its chunk size it reads part 1 first, and then every part if the response has several.
      object(bucket, key).download_file(path, chunk_size: PART)
    end
  end

  def list(bucket, prefix, delimiter, page)
    more = delimiter.empty? ? {} : { delimiter: delimiter }
    pages = @sdk.list_objects_v2(bucket: bucket, prefix: prefix, max_keys: page, **more).to_a
    [pages.flat_map { |one| one.contents.map(&:key) }, pages.flat_map { |one| one.common_prefixes.map(&:prefix) }]
  end

  def upload(bucket, key, path)
    object(bucket, key).upload_file(path, multipart_threshold: PART) || raise('not uploaded')
  end

  def copy(source, source_key, bucket, key)
    object(bucket, key).copy_from(Aws::S3::Object.new(source, source_key, client: @sdk))
  end

  def delete(bucket, key)
    @sdk.delete_object(bucket: bucket, key: key)
  end

  def delete_many(bucket, keys)
    out = @sdk.delete_objects(bucket: bucket, delete: { objects: keys.map { |key| { key: key } } })
    raise "deleted #{out.deleted.size} of #{keys.size}: #{out.errors}" unless out.errors.empty? && out.deleted.size == keys.size
  end
end

# Further scenarios. Each verifies its result.
class Aws3
  MORE = ['signed URLs', 'form', 'stream', 'copy in parts', 'client-side encryption', 'waiters, clear'].freeze

  def more(name, bucket, path)
    key = 'more/a b+c'
    one = object(bucket, key)
    case name
    when 'signed URLs'
      visit(:Put, one.presigned_url(:put, expires_in: 60), 'signed')
      same(visit(:Get, one.presigned_url(:get, expires_in: 60)).body, 'signed')
    when 'form'
      post = Aws::S3::PresignedPost.new(Aws::Credentials.new(KEY, SECRET), 'us-east-1', bucket, url: "http://127.0.0.1:#{PORT}/#{bucket}",
                                        key: key, content_type: 'text/plain', metadata: { 'by' => 'me' }, success_action_status: '201')
      request = Net::HTTP::Post.new(URI(post.url))
      request.set_form([*post.fields.to_a, ['file', 'by a form']], 'multipart/form-data')
      response = Net::HTTP.start('127.0.0.1', PORT) { |http| http.request(request) }
      same(response.code, '201')
      same(one.get.body.read, 'by a form')
      same(one.metadata, { 'by' => 'me' })
    when 'stream'
      one.upload_stream(part_size: PART) { |to| IO.copy_stream(path, to) }
      same(one.get.body.read.b == File.binread(path), true)
    when 'copy in parts'
      object(bucket, 'more/source').upload_file(path, multipart_threshold: PART)
      one.copy_from(object(bucket, 'more/source'), multipart_copy: true, content_length: File.size(path), min_part_size: PART)
      same(one.get.body.read.b == File.binread(path), true)
    when 'client-side encryption'
      sealed = Aws::S3::EncryptionV2::Client.new(client: @sdk, encryption_key: 'k' * 32, key_wrap_schema: :aes_gcm,
                                                 content_encryption_schema: :aes_gcm_no_padding, security_profile: :v2)
      sealed.put_object(bucket: bucket, key: key, body: 'secret words')
      same(sealed.get_object(bucket: bucket, key: key).body.read, 'secret words')
      same(one.get.body.read.include?('secret'), false)
    when 'waiters, clear'
      one.put(body: 'x')
      one.wait_until_exists
      all = Aws::S3::Bucket.new(bucket, client: @sdk)
      all.objects(prefix: 'more/').batch_delete!
      same(all.objects(prefix: 'more/').count, 0)
      one.wait_until_not_exists
    end
  end
end

# fog-aws.
class FogAws
  def initialize
    require 'fog/aws'
    @sdk = Fog::Storage.new(provider: 'AWS', aws_access_key_id: KEY, aws_secret_access_key: SECRET, path_style: true,
                            region: 'us-east-1', endpoint: "http://127.0.0.1:#{PORT}", connection_options: { idempotent: false })
  end

  def status(error)
    return 404 if error.is_a?(Fog::AWS::Storage::NotFound)

    error.respond_to?(:response) && error.response ? error.response.status : 0
  end

  def folder(bucket)
    @sdk.directories.new(key: bucket)
  end

  def create_bucket(bucket)
    @sdk.directories.create(key: bucket)
  end

  def delete_bucket(bucket)
    folder(bucket).destroy || raise('no such bucket')
  end

  def put(bucket, key, path, type, metadata)
    headers = metadata.to_h { |name, value| ["x-amz-meta-#{name}", value] }
    File.open(path, 'rb') { |file| folder(bucket).files.create(key: key, body: file, content_type: type, metadata: headers) }
  end

  def head(bucket, key)
    out = @sdk.head_object(bucket, key).headers
    metadata = out.to_h.select { |name, _| name.downcase.start_with?('x-amz-meta-') }
    [out['Content-Length'], out['Content-Type'], out['ETag'], metadata.transform_keys { |name| name.downcase.delete_prefix('x-amz-meta-') }]
  end

  def get(bucket, key, path, first, last)
    File.open(path, 'wb') do |file|
      if first
        file.write(@sdk.get_object(bucket, key, 'Range' => "bytes=#{first}-#{last}").body)
      else
        folder(bucket).files.get(key) { |chunk, _, _| file.write(chunk) } || raise(Fog::AWS::Storage::NotFound)
      end
    end
  end

  def list(bucket, prefix, delimiter, page)
    keys, groups, marker = [], [], nil
    loop do
      more = { 'prefix' => prefix, 'max-keys' => page, 'marker' => marker, 'delimiter' => delimiter.empty? ? nil : delimiter }
      out = @sdk.get_bucket(bucket, more.compact).body
      names = out['Contents'].map { |row| row['Key'] }
      keys += names
      groups += out['CommonPrefixes']
      return [keys, groups] unless out['IsTruncated']

      # Its parser omits the next marker.
      marker = (names + out['CommonPrefixes']).max
    end
  end

  def upload(bucket, key, path)
    File.open(path, 'rb') { |file| folder(bucket).files.create(key: key, body: file, multipart_chunk_size: PART) }
  end

  def copy(source, source_key, bucket, key)
    @sdk.copy_object(source, source_key, bucket, key)
  end

  def delete(bucket, key)
    @sdk.delete_object(bucket, key)
  end

  def delete_many(bucket, keys)
    out = @sdk.delete_multiple_objects(bucket, keys).body['DeleteResult']
    raise "not all deleted: #{out}" unless out.size == keys.size && out.all? { |row| row.key?('Deleted') }
  end
end

# Further scenarios.
class FogAws
  MORE = ['signed URLs', 'tags', 'listings', 'copy in parts'].freeze

  def more(name, bucket, path)
    key = 'more/a b+c'
    files = folder(bucket).files
    case name
    when 'signed URLs'
      visit(:Put, @sdk.put_object_url(bucket, key, Time.now + 60), 'signed')
      same(visit(:Get, files.new(key: key).url(Time.now + 60)).body, 'signed')
    when 'tags'
      files.create(key: key, body: 'x', tags: 'a=1&b=2')
      same(@sdk.get_object_tagging(bucket, key).body['ObjectTagging'], { 'a' => '1', 'b' => '2' })
    when 'listings'
      5.times { |number| files.create(key: "more/list/#{number}", body: 'x') }
      same(@sdk.directories.get(bucket, prefix: 'more/list/', max_keys: 2).files.map(&:key).size, 2)
      found = []
      @sdk.directories.get(bucket, prefix: 'more/list/').files.each { |file| found << file.key }
      same(found, Array.new(5) { |number| "more/list/#{number}" })
    when 'copy in parts'
      upload(bucket, 'more/source', path)
      file = files.get('more/source')
      file.multipart_chunk_size = PART
      file.copy(bucket, key)
      same(files.get(key).body.b == File.binread(path), true)
    end
  end
end

# fog-aliyun. It has official host names only, so Blobfish is its HTTP proxy too. It does not escape keys.
class FogAliyun
  def initialize
    require 'fog/aliyun'
    @buckets = {}
  end

  def at(bucket)
    @buckets[bucket] ||= Fog::Storage.new(
      provider: 'aliyun', aliyun_accesskey_id: KEY, aliyun_accesskey_secret: SECRET, aliyun_region_id: 'cn-hangzhou',
      aliyun_oss_bucket: bucket, connection_options: { proxy: "http://127.0.0.1:#{PORT}" })
  end

  def status(error)
    return 404 if error.is_a?(Fog::Storage::Aliyun::NotFound)

    error.respond_to?(:response) && error.response ? error.response.status : 0
  end

  def create_bucket(bucket)
    at(bucket).put_bucket(bucket)
  end

  def delete_bucket(bucket)
    at(bucket).delete_bucket(bucket)
  end

  def put(bucket, key, path, _type, _metadata)
    File.open(path, 'rb') { |file| at(bucket).put_object(key, file) }
  end

  def head(bucket, key)
    result = at(bucket).head_object(key)
    raise Fog::Storage::Aliyun::NotFound if result.status == 404

    out = result.headers
    [out['Content-Length'], out['Content-Type'], out['ETag'], {}]
  end

  def get(bucket, key, path, first, last)
    # For a missing object it returns the error document as the body.
    result = at(bucket).get_object(key, first && "#{first}-#{last}")
    raise Fog::Storage::Aliyun::NotFound if result[:status] == 404

    File.binwrite(path, result[:body])
  end

  def list(bucket, prefix, delimiter, page)
    keys, groups, marker = [], [], nil
    loop do
      more = { prefix: prefix, marker: marker, maxKeys: page.to_s, delimiter: delimiter.empty? ? nil : delimiter }
      out = at(bucket).list_objects(more.compact)
      keys += (out['Contents'] || []).map { |row| row['Key'][0] }
      groups += (out['CommonPrefixes'] || []).map { |row| row['Prefix'][0] }
      return [keys, groups] unless out['IsTruncated'][0] == 'true'

      marker = out['NextMarker'][0]
    end
  end

  def upload(bucket, key, path)
    File.open(path, 'rb') { |file| at(bucket).put_multipart_object(bucket, key, file) }
  end

  def copy(source, source_key, bucket, key)
    at(bucket).copy_object(source, source_key, bucket, key)
  end

  def delete(bucket, key)
    at(bucket).delete_object(key)
  end
end

def same(got, wanted)
  raise "#{got.inspect[0, 200]}, not #{wanted.inspect[0, 200]}" unless got == wanted
end

def visit(method, url, body = nil)
  at = URI(url)
  response = Net::HTTP.start(at.host, at.port) { |http| http.request(Net::HTTP.const_get(method).new(at).tap { |one| one.body = body if body }) }
  response.is_a?(Net::HTTPSuccess) ? response : raise("#{method}: #{response.code} #{response.body}")
end

SDK = { 'ruby-aws-sdk-s3' => Aws3, 'fog-aws' => FogAws, 'fog-aliyun' => FogAliyun }.fetch(MODE).new

def run(op, words)
  case op
  when 'put' then SDK.put(*words[0, 4], words[4..].each_slice(2).to_h)
  when 'head'
    *about, metadata = SDK.head(*words)
    return about + metadata.to_a.flatten
  when 'get' then SDK.get(*words[0, 3], words[3], words[4])
  when 'list'
    keys, groups = SDK.list(*words[0, 3], words[3].to_i)
    return keys.flat_map { |key| ['key', key] } + groups.flat_map { |group| ['group', group] }
  when 'more' then return SDK.class.const_defined?(:MORE) ? SDK.class::MORE : []
  when 'do' then SDK.more(*words)
  when 'delete_many' then SDK.delete_many(words[0], words[1..])
  else SDK.public_send(op, *words)
  end
  []
end

$stdout.sync = true
# The output of the libraries is separated from the results.
RESULTS = $stdout.dup
RESULTS.sync = true
$stdout.reopen($stderr)

while (line = $stdin.gets)
  op, *words = line.chomp.split("\t", -1).map { |word| CGI.unescape(word) }
  response = begin
    ['ok', *run(op, words)]
  rescue StandardError => e
    ['error', SDK.status(e), "#{e.class}: #{e.message}"]
  end
  RESULTS.puts(response.map { |word| CGI.escape(word.to_s) }.join("\t"))
end
