package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/s3"
	"github.com/aws/aws-sdk-go/service/s3/s3manager"
)

type v1 struct {
	*s3.S3
	session *session.Session
}

func awsV1(port, key, secret string) sdk {
	made := session.Must(session.NewSession(&aws.Config{
		Endpoint: aws.String("http://127.0.0.1:" + port), Region: aws.String(region), S3ForcePathStyle: aws.Bool(true),
		Credentials: credentials.NewStaticCredentials(key, secret, ""), MaxRetries: aws.Int(0),
	}))
	return &v1{s3.New(made), made}
}

func statusAwsV1(err error) int {
	var failed awserr.RequestFailure
	if errors.As(err, &failed) {
		return failed.StatusCode()
	}
	return 0
}

func (s *v1) createBucket(bucket string) error {
	_, err := s.CreateBucket(&s3.CreateBucketInput{Bucket: &bucket})
	return err
}

func (s *v1) deleteBucket(bucket string) error {
	_, err := s.DeleteBucket(&s3.DeleteBucketInput{Bucket: &bucket})
	return err
}

func (s *v1) put(bucket, key, path, kind string, metadata map[string]string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = s.PutObject(&s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: file, ContentType: &kind, Metadata: aws.StringMap(metadata),
	})
	return err
}

func (s *v1) head(bucket, key string) (objectInfo, error) {
	out, err := s.HeadObject(&s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return objectInfo{}, err
	}
	return objectInfo{*out.ContentLength, aws.StringValue(out.ContentType), *out.ETag, aws.StringValueMap(out.Metadata)}, nil
}

func (s *v1) get(bucket, key, path string, first, last int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	input := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	if first >= 0 {
		input.Range = aws.String(fmt.Sprintf("bytes=%d-%d", first, last))
	}
	_, err = s3manager.NewDownloader(s.session).Download(file, input)
	return err
}

func (s *v1) list(bucket, prefix, delimiter string, page int) (keys, groups []string, err error) {
	input := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, MaxKeys: aws.Int64(int64(page))}
	if delimiter != "" {
		input.Delimiter = &delimiter
	}
	err = s.ListObjectsV2Pages(input, func(out *s3.ListObjectsV2Output, last bool) bool {
		for _, row := range out.Contents {
			keys = append(keys, *row.Key)
		}
		for _, row := range out.CommonPrefixes {
			groups = append(groups, *row.Prefix)
		}
		return true
	})
	return
}

func (s *v1) upload(bucket, key, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = s3manager.NewUploader(s.session, func(u *s3manager.Uploader) { u.PartSize = part }).Upload(
		&s3manager.UploadInput{Bucket: &bucket, Key: &key, Body: file})
	return err
}

func (s *v1) copy(source, sourceKey, bucket, key string) error {
	from := source + "/" + escape(sourceKey)
	_, err := s.CopyObject(&s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: &from})
	return err
}

func (s *v1) delete(bucket, key string) error {
	_, err := s.DeleteObject(&s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return err
}

func (s *v1) deleteMany(bucket string, keys []string) error {
	rows := []*s3.ObjectIdentifier{}
	for at := range keys {
		rows = append(rows, &s3.ObjectIdentifier{Key: &keys[at]})
	}
	out, err := s.DeleteObjects(&s3.DeleteObjectsInput{Bucket: &bucket, Delete: &s3.Delete{Objects: rows}})
	if err == nil && (len(out.Errors) > 0 || len(out.Deleted) != len(keys)) {
		err = fmt.Errorf("deleted %d of %d: %v", len(out.Deleted), len(keys), out.Errors)
	}
	return err
}

func (s *v1) text(bucket, key string) (string, error) {
	out, err := s.GetObject(&s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	return string(text), err
}

func (s *v1) more() map[string]func(bucket, path string) error {
	key := aws.String("more/a b+c")
	return map[string]func(bucket, path string) error{
		"signed URLs": func(bucket, path string) error {
			put, _ := s.PutObjectRequest(&s3.PutObjectInput{Bucket: &bucket, Key: key, ContentType: aws.String("text/plain")})
			address, headers, err := put.PresignRequest(time.Minute)
			if err != nil {
				return err
			}
			if _, err = visit("PUT", address, "signed", headers); err != nil {
				return err
			}
			get, _ := s.GetObjectRequest(&s3.GetObjectInput{Bucket: &bucket, Key: key, ResponseContentType: aws.String("text/x")})
			if address, err = get.Presign(time.Minute); err != nil {
				return err
			}
			text, err := visit("GET", address, "", nil)
			return first(err, same("read", text, "signed"))
		},
		"tags": func(bucket, path string) error {
			_, err := s.PutObject(&s3.PutObjectInput{Bucket: &bucket, Key: key, Body: strings.NewReader("x"), Tagging: aws.String("a=1&b%20c=2%2B3")})
			if err != nil {
				return err
			}
			out, err := s.GetObjectTagging(&s3.GetObjectTaggingInput{Bucket: &bucket, Key: key})
			if err != nil {
				return err
			}
			found := map[string]string{}
			for _, tag := range out.TagSet {
				found[*tag.Key] = *tag.Value
			}
			return same("tags", found, map[string]string{"a": "1", "b c": "2+3"})
		},
		"copy in parts": func(bucket, path string) error {
			file, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err = s.upload(bucket, "more/source", path); err != nil {
				return err
			}
			made, err := s.CreateMultipartUpload(&s3.CreateMultipartUploadInput{Bucket: &bucket, Key: key, ContentType: aws.String("a/b")})
			if err != nil {
				return err
			}
			parts := []*s3.CompletedPart{}
			for number, at := int64(1), 0; at < len(file); number, at = number+1, at+part {
				last := at + part - 1
				if last >= len(file) {
					last = len(file) - 1
				}
				out, err := s.UploadPartCopy(&s3.UploadPartCopyInput{Bucket: &bucket, Key: key, UploadId: made.UploadId, PartNumber: aws.Int64(number),
					CopySource: aws.String(bucket + "/more/source"), CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", at, last))})
				if err != nil {
					return err
				}
				parts = append(parts, &s3.CompletedPart{ETag: out.CopyPartResult.ETag, PartNumber: aws.Int64(number)})
			}
			if _, err = s.CompleteMultipartUpload(&s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: key, UploadId: made.UploadId,
				MultipartUpload: &s3.CompletedMultipartUpload{Parts: parts}}); err != nil {
				return err
			}
			text, err := s.text(bucket, *key)
			return first(err, equal(path, []byte(text)))
		},
		"conditions": func(bucket, path string) error {
			out, err := s.PutObject(&s3.PutObjectInput{Bucket: &bucket, Key: key, Body: strings.NewReader("x")})
			if err != nil {
				return err
			}
			_, err = s.GetObject(&s3.GetObjectInput{Bucket: &bucket, Key: key, IfMatch: aws.String(`"00"`)})
			_, unchanged := s.HeadObject(&s3.HeadObjectInput{Bucket: &bucket, Key: key, IfNoneMatch: out.ETag})
			_, newer := s.GetObject(&s3.GetObjectInput{Bucket: &bucket, Key: key, IfModifiedSince: aws.Time(time.Now().Add(-time.Hour))})
			return first(same("if-match", status(err), 412), same("if-none-match", status(unchanged), 304), newer)
		},
		"waiters, uploads": func(bucket, path string) error {
			if _, err := s.PutObject(&s3.PutObjectInput{Bucket: &bucket, Key: key, Body: strings.NewReader("x")}); err != nil {
				return err
			}
			made, err := s.CreateMultipartUpload(&s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("more/left")})
			if err != nil {
				return err
			}
			out, err := s.ListMultipartUploads(&s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: aws.String("more/left")})
			if err != nil {
				return err
			}
			_, err = s.AbortMultipartUpload(&s3.AbortMultipartUploadInput{Bucket: &bucket, Key: aws.String("more/left"), UploadId: made.UploadId})
			return first(err, same("uploads", len(out.Uploads), 1), s.WaitUntilBucketExists(&s3.HeadBucketInput{Bucket: &bucket}),
				s.WaitUntilObjectExists(&s3.HeadObjectInput{Bucket: &bucket, Key: key}))
		},
	}
}
