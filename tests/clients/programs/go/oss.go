package main

import (
	"errors"
	"fmt"
	"io"
	"os"
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

func (s *aliyun) head(bucket, key string) (objectInfo, error) {
	out, err := s.at(bucket).GetObjectDetailedMeta(key)
	if err != nil {
		return objectInfo{}, err
	}
	metadata := map[string]string{}
	for name := range out {
		if short := strings.TrimPrefix(strings.ToLower(name), "x-oss-meta-"); len(short) < len(name) {
			metadata[short] = out.Get(name)
		}
	}
	length, err := strconv.ParseInt(out.Get("Content-Length"), 10, 64)
	return objectInfo{length, out.Get("Content-Type"), out.Get("ETag"), metadata}, err
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

func (s *aliyun) text(bucket, key string) (string, error) {
	body, err := s.at(bucket).GetObject(key)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return string(text), err
}

func (s *aliyun) more() map[string]func(bucket, path string) error {
	const key = "more/a b+c"
	return map[string]func(bucket, path string) error{
		"stream": func(bucket, path string) error {
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			if err = s.at(bucket).PutObject(key, stream{file}); err != nil {
				return err
			}
			text, err := s.text(bucket, key)
			return first(err, equal(path, []byte(text)))
		},
		"small parts": func(bucket, path string) error {
			if err := s.at(bucket).UploadFile(key, path, 1<<20, oss.Routines(3), oss.Checkpoint(true, path+".up")); err != nil {
				return err
			}
			if err := s.at(bucket).DownloadFile(key, path+".down", 1<<20, oss.Routines(3), oss.Checkpoint(true, path+".cp")); err != nil {
				return err
			}
			got, err := os.ReadFile(path + ".down")
			return first(err, equal(path, got))
		},
		"append": func(bucket, path string) error {
			next, err := s.at(bucket).AppendObject(key+".log", strings.NewReader("one,"), 0)
			if err != nil {
				return err
			}
			if next, err = s.at(bucket).AppendObject(key+".log", strings.NewReader("two"), next); err != nil {
				return err
			}
			text, err := s.text(bucket, key+".log")
			return first(err, same("read", text, "one,two"), same("next", next, 7))
		},
		"copy in parts": func(bucket, path string) error {
			if err := s.upload(bucket, "more/source", path); err != nil {
				return err
			}
			if err := s.at(bucket).CopyFile(bucket, "more/source", key, part, oss.Routines(2)); err != nil {
				return err
			}
			text, err := s.text(bucket, key)
			return first(err, equal(path, []byte(text)))
		},
		"ACLs, metadata": func(bucket, path string) error {
			b := s.at(bucket)
			if err := b.PutObject(key, strings.NewReader("x"), oss.ObjectACL(oss.ACLPrivate), oss.Meta("by", "me")); err != nil {
				return err
			}
			acl, err := b.GetObjectACL(key)
			if err != nil {
				return err
			}
			if err = b.SetObjectMeta(key, oss.Meta("by", "you"), oss.CacheControl("no-cache")); err != nil {
				return err
			}
			found, err := b.GetObjectDetailedMeta(key)
			if err != nil {
				return err
			}
			there, err := b.IsObjectExist("more/absent")
			if err != nil {
				return err
			}
			info, err := s.GetBucketInfo(bucket)
			if err != nil {
				return err
			}
			return first(same("acl", acl.ACL, "private"), same("metadata", found.Get("X-Oss-Meta-By"), "you"), same("cache", found.Get("Cache-Control"), "no-cache"),
				same("exists", there, false), same("name", info.BucketInfo.Name, bucket))
		},
	}
}
