package main

import (
	"errors"
	"fmt"
	"os"

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

func (s *v1) head(bucket, key string) (told, error) {
	out, err := s.HeadObject(&s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return told{}, err
	}
	return told{*out.ContentLength, aws.StringValue(out.ContentType), *out.ETag, aws.StringValueMap(out.Metadata)}, nil
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
