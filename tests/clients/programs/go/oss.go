package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"
)

type aliyun struct{ *oss.Client }

func ossGo(port, key, secret string) sdk {
	made, err := oss.New("http://oss-cn-hangzhou.localhost:"+port, key, secret)
	if err != nil {
		panic(err)
	}
	return &aliyun{made}
}

func statusOss(err error) int {
	var failed oss.ServiceError
	if errors.As(err, &failed) {
		return failed.StatusCode
	}
	var unexpected oss.UnexpectedStatusCodeError
	if errors.As(err, &unexpected) {
		return unexpected.Got()
	}
	return 0
}

func (s *aliyun) at(bucket string) *oss.Bucket {
	made, err := s.Bucket(bucket)
	if err != nil {
		panic(err)
	}
	return made
}

func (s *aliyun) createBucket(bucket string) error { return s.CreateBucket(bucket) }

func (s *aliyun) deleteBucket(bucket string) error { return s.DeleteBucket(bucket) }

func (s *aliyun) put(bucket, key, path, kind string, metadata map[string]string) error {
	options := []oss.Option{oss.ContentType(kind)}
	for name, value := range metadata {
		options = append(options, oss.Meta(name, value))
	}
	return s.at(bucket).PutObjectFromFile(key, path, options...)
}

func (s *aliyun) head(bucket, key string) (told, error) {
	out, err := s.at(bucket).GetObjectDetailedMeta(key)
	if err != nil {
		return told{}, err
	}
	metadata := map[string]string{}
	for name := range out {
		if short := strings.TrimPrefix(strings.ToLower(name), "x-oss-meta-"); len(short) < len(name) {
			metadata[short] = out.Get(name)
		}
	}
	length, err := strconv.ParseInt(out.Get("Content-Length"), 10, 64)
	return told{length, out.Get("Content-Type"), out.Get("ETag"), metadata}, err
}

func (s *aliyun) get(bucket, key, path string, first, last int64) error {
	options := []oss.Option{}
	if first >= 0 {
		options = append(options, oss.Range(first, last))
	}
	return s.at(bucket).GetObjectToFile(key, path, options...)
}

func (s *aliyun) list(bucket, prefix, delimiter string, page int) (keys, groups []string, err error) {
	for marker := oss.Marker(""); ; {
		out, err := s.at(bucket).ListObjects(oss.Prefix(prefix), oss.Delimiter(delimiter), oss.MaxKeys(page), marker)
		if err != nil {
			return nil, nil, err
		}
		for _, row := range out.Objects {
			keys = append(keys, row.Key)
		}
		groups = append(groups, out.CommonPrefixes...)
		if !out.IsTruncated {
			return keys, groups, nil
		}
		marker = oss.Marker(out.NextMarker)
	}
}

func (s *aliyun) upload(bucket, key, path string) error {
	return s.at(bucket).UploadFile(key, path, part, oss.Routines(3))
}

func (s *aliyun) copy(source, sourceKey, bucket, key string) error {
	_, err := s.at(source).CopyObjectTo(bucket, key, sourceKey)
	return err
}

func (s *aliyun) delete(bucket, key string) error { return s.at(bucket).DeleteObject(key) }

func (s *aliyun) deleteMany(bucket string, keys []string) error {
	out, err := s.at(bucket).DeleteObjects(keys)
	if err == nil && len(out.DeletedObjects) != len(keys) {
		err = fmt.Errorf("deleted %v of %v", out.DeletedObjects, keys)
	}
	return err
}
