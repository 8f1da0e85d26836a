package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/transport/http"
)

type v2 struct{ *s3.Client }

var now = context.Background()

func awsV2(port, key, secret string) sdk {
	return &v2{s3.New(s3.Options{
		Region: region, UsePathStyle: true, EndpointResolver: s3.EndpointResolverFromURL("http://127.0.0.1:" + port),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, nil
		}),
		Retryer: aws.NopRetryer{},
	})}
}

func statusAwsV2(err error) int {
	var failed *http.ResponseError
	if errors.As(err, &failed) {
		return failed.HTTPStatusCode()
	}
	return 0
}

func (s *v2) createBucket(bucket string) error {
	_, err := s.CreateBucket(now, &s3.CreateBucketInput{Bucket: &bucket})
	return err
}

func (s *v2) deleteBucket(bucket string) error {
	_, err := s.DeleteBucket(now, &s3.DeleteBucketInput{Bucket: &bucket})
	return err
}

func (s *v2) put(bucket, key, path, kind string, metadata map[string]string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = s.PutObject(now, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: file, ContentType: &kind, Metadata: metadata,
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
	return err
}

func (s *v2) head(bucket, key string) (objectInfo, error) {
	out, err := s.HeadObject(now, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return objectInfo{}, err
	}
	// Two attributes on two lines: a list header (GetObjectAttributes).
	attributes, err := s.GetObjectAttributes(now, &s3.GetObjectAttributesInput{Bucket: &bucket, Key: &key,
		ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag, types.ObjectAttributesObjectSize}})
	if err != nil {
		return objectInfo{}, err
	}
	if attributes.ObjectSize != out.ContentLength || aws.ToString(attributes.ETag) != strings.Trim(aws.ToString(out.ETag), `"`) {
		return objectInfo{}, fmt.Errorf("attributes %d %s, head %d %s", attributes.ObjectSize, aws.ToString(attributes.ETag),
			out.ContentLength, aws.ToString(out.ETag))
	}
	return objectInfo{out.ContentLength, aws.ToString(out.ContentType), *out.ETag, out.Metadata}, nil
}

func (s *v2) get(bucket, key, path string, first, last int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	input := &s3.GetObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled}
	if first >= 0 {
		input.Range = aws.String(fmt.Sprintf("bytes=%d-%d", first, last))
	}
	_, err = manager.NewDownloader(s.Client).Download(now, file, input)
	return err
}

func (s *v2) list(bucket, prefix, delimiter string, page int) (keys, groups []string, err error) {
	input := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, MaxKeys: int32(page)}
	if delimiter != "" {
		input.Delimiter = &delimiter
	}
	for pages := s3.NewListObjectsV2Paginator(s.Client, input); pages.HasMorePages(); {
		out, err := pages.NextPage(now)
		if err != nil {
			return nil, nil, err
		}
		for _, row := range out.Contents {
			keys = append(keys, *row.Key)
		}
		for _, row := range out.CommonPrefixes {
			groups = append(groups, *row.Prefix)
		}
	}
	return
}

func (s *v2) upload(bucket, key, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = manager.NewUploader(s.Client, func(u *manager.Uploader) { u.PartSize = part }).Upload(now,
		&s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: file, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	return err
}

func (s *v2) copy(source, sourceKey, bucket, key string) error {
	from := source + "/" + escape(sourceKey)
	_, err := s.CopyObject(now, &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: &from})
	return err
}

func (s *v2) delete(bucket, key string) error {
	_, err := s.DeleteObject(now, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return err
}

func (s *v2) deleteMany(bucket string, keys []string) error {
	rows := []types.ObjectIdentifier{}
	for at := range keys {
		rows = append(rows, types.ObjectIdentifier{Key: &keys[at]})
	}
	out, err := s.DeleteObjects(now, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: rows}})
	if err == nil && (len(out.Errors) > 0 || len(out.Deleted) != len(keys)) {
		err = fmt.Errorf("deleted %d of %d: %v", len(out.Deleted), len(keys), out.Errors)
	}
	return err
}

func (s *v2) text(bucket, key string) (string, error) {
	out, err := s.GetObject(now, &s3.GetObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	return string(text), err
}

func (s *v2) more() map[string]func(bucket, path string) error {
	key := aws.String("more/a b+c")
	return map[string]func(bucket, path string) error{
		"signed URLs": func(bucket, path string) error {
			signer := s3.NewPresignClient(s.Client)
			put, err := signer.PresignPutObject(now, &s3.PutObjectInput{Bucket: &bucket, Key: key, Metadata: map[string]string{"by": "me"}})
			if err != nil {
				return err
			}
			if _, err = visit(put.Method, put.URL, "signed", put.SignedHeader); err != nil {
				return err
			}
			get, err := signer.PresignGetObject(now, &s3.GetObjectInput{Bucket: &bucket, Key: key})
			if err != nil {
				return err
			}
			text, err := visit(get.Method, get.URL, "", get.SignedHeader)
			about, failed := s.HeadObject(now, &s3.HeadObjectInput{Bucket: &bucket, Key: key})
			return first(err, failed, same("read", text, "signed"), same("metadata", about.Metadata, map[string]string{"by": "me"}))
		},
		"checksums of every kind": func(bucket, path string) error {
			for _, kind := range types.ChecksumAlgorithm("").Values() {
				if _, err := s.PutObject(now, &s3.PutObjectInput{Bucket: &bucket, Key: key, Body: strings.NewReader(string(kind)), ChecksumAlgorithm: kind}); err != nil {
					return fmt.Errorf("%s: %w", kind, err)
				}
				text, err := s.text(bucket, *key)
				if err = first(err, same("read", text, kind)); err != nil {
					return err
				}
			}
			return nil
		},
		"parts with checksums": func(bucket, path string) error {
			made, err := s.CreateMultipartUpload(now, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
			if err != nil {
				return err
			}
			out, err := s.UploadPart(now, &s3.UploadPartInput{Bucket: &bucket, Key: key, UploadId: made.UploadId, PartNumber: 1, Body: strings.NewReader("only"),
				ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
			if err != nil {
				return err
			}
			listed, err := s.ListParts(now, &s3.ListPartsInput{Bucket: &bucket, Key: key, UploadId: made.UploadId})
			if err != nil {
				return err
			}
			if _, err = s.CompleteMultipartUpload(now, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: key, UploadId: made.UploadId,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: out.ETag, PartNumber: 1, ChecksumSHA256: out.ChecksumSHA256}}}}); err != nil {
				return err
			}
			text, err := s.text(bucket, *key)
			return first(err, same("read", text, "only"), same("parts", len(listed.Parts), 1))
		},
		"copy with a checksum": func(bucket, path string) error {
			if _, err := s.PutObject(now, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("more/source"), Body: strings.NewReader("copied")}); err != nil {
				return err
			}
			_, err := s.CopyObject(now, &s3.CopyObjectInput{Bucket: &bucket, Key: key, CopySource: aws.String(bucket + "/more/source"),
				ChecksumAlgorithm: types.ChecksumAlgorithmSha256, MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"by": "me"},
				TaggingDirective: types.TaggingDirectiveReplace, Tagging: aws.String("a=1")})
			if err != nil {
				return err
			}
			text, err := s.text(bucket, *key)
			return first(err, same("read", text, "copied"))
		},
		"stream": func(bucket, path string) error {
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			if _, err = manager.NewUploader(s.Client).Upload(now, &s3.PutObjectInput{Bucket: &bucket, Key: key, Body: stream{file}}); err != nil {
				return err
			}
			text, err := s.text(bucket, *key)
			return first(err, equal(path, []byte(text)))
		},
	}
}
