package main

import (
	"errors"
	"os"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

type mc struct{ *minio.Client }

func minioGo(port, key, secret string) sdk {
	minio.MaxRetry = 1
	made, err := minio.New("127.0.0.1:"+port, &minio.Options{Creds: credentials.NewStaticV4(key, secret, "")})
	if err != nil {
		panic(err)
	}
	return &mc{made}
}

func statusMinio(err error) int {
	var failed minio.ErrorResponse
	if errors.As(err, &failed) {
		return failed.StatusCode
	}
	return 0
}

func (s *mc) createBucket(bucket string) error {
	return s.MakeBucket(now, bucket, minio.MakeBucketOptions{Region: region})
}

func (s *mc) deleteBucket(bucket string) error { return s.RemoveBucket(now, bucket) }

func (s *mc) put(bucket, key, path, kind string, metadata map[string]string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return err
	}
	_, err = s.PutObject(now, bucket, key, file, about.Size(), minio.PutObjectOptions{ContentType: kind, UserMetadata: metadata})
	return err
}

func (s *mc) head(bucket, key string) (told, error) {
	out, err := s.StatObject(now, bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return told{}, err
	}
	return told{out.Size, out.ContentType, out.ETag, out.UserMetadata}, nil
}

func (s *mc) get(bucket, key, path string, first, last int64) error {
	options := minio.GetObjectOptions{}
	if first >= 0 {
		if err := options.SetRange(first, last); err != nil {
			return err
		}
	}
	return s.FGetObject(now, bucket, key, path, options)
}

func (s *mc) list(bucket, prefix, delimiter string, page int) (keys, groups []string, err error) {
	options := minio.ListObjectsOptions{Prefix: prefix, Recursive: delimiter == "", MaxKeys: page}
	for row := range s.ListObjects(now, bucket, options) {
		switch {
		case row.Err != nil:
			return nil, nil, row.Err
		case delimiter != "" && row.ETag == "":
			groups = append(groups, row.Key)
		default:
			keys = append(keys, row.Key)
		}
	}
	return
}

func (s *mc) upload(bucket, key, path string) error {
	_, err := s.FPutObject(now, bucket, key, path, minio.PutObjectOptions{PartSize: part})
	return err
}

func (s *mc) copy(source, sourceKey, bucket, key string) error {
	_, err := s.CopyObject(now, minio.CopyDestOptions{Bucket: bucket, Object: key}, minio.CopySrcOptions{Bucket: source, Object: sourceKey})
	return err
}

func (s *mc) delete(bucket, key string) error {
	return s.RemoveObject(now, bucket, key, minio.RemoveObjectOptions{})
}

func (s *mc) deleteMany(bucket string, keys []string) error {
	rows := make(chan minio.ObjectInfo, len(keys))
	for _, key := range keys {
		rows <- minio.ObjectInfo{Key: key}
	}
	close(rows)
	for failed := range s.RemoveObjects(now, bucket, rows, minio.RemoveObjectsOptions{}) {
		return failed.Err
	}
	return nil
}
