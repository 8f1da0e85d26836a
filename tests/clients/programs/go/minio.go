package main

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"time"

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

func (s *mc) head(bucket, key string) (objectInfo, error) {
	out, err := s.StatObject(now, bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return objectInfo{}, err
	}
	return objectInfo{out.Size, out.ContentType, out.ETag, out.UserMetadata}, nil
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

func (s *mc) text(bucket, key string) (string, error) {
	object, err := s.GetObject(now, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return "", err
	}
	defer object.Close()
	text, err := io.ReadAll(object)
	return string(text), err
}

func (s *mc) more() map[string]func(bucket, path string) error {
	const key = "more/a b+c"
	return map[string]func(bucket, path string) error{
		"stream": func(bucket, path string) error {
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			if _, err = s.PutObject(now, bucket, key, file, -1, minio.PutObjectOptions{PartSize: part, DisableContentSha256: true}); err != nil {
				return err
			}
			text, err := s.text(bucket, key)
			return first(err, equal(path, []byte(text)))
		},
		"compose": func(bucket, path string) error {
			if err := s.upload(bucket, "more/source", path); err != nil {
				return err
			}
			if err := s.put(bucket, "more/end", path, "", nil); err != nil {
				return err
			}
			out, err := s.ComposeObject(now, minio.CopyDestOptions{Bucket: bucket, Object: key},
				minio.CopySrcOptions{Bucket: bucket, Object: "more/source", MatchRange: true, Start: 0, End: part + 9},
				minio.CopySrcOptions{Bucket: bucket, Object: "more/end", MatchRange: true, Start: 5, End: 99})
			if err != nil {
				return err
			}
			file, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text, err := s.text(bucket, key)
			return first(err, same("size", out.Size, part+10+95), same("read", text == string(file[:part+10])+string(file[5:100]), true))
		},
		"form": func(bucket, path string) error {
			policy := minio.NewPostPolicy()
			if err := first(policy.SetBucket(bucket), policy.SetKey(key), policy.SetExpires(time.Now().Add(time.Minute)), policy.SetContentType("text/plain"),
				policy.SetContentLengthRange(1, 100)); err != nil {
				return err
			}
			address, fields, err := s.PresignedPostPolicy(now, policy)
			if err != nil {
				return err
			}
			var body strings.Builder
			form := multipart.NewWriter(&body)
			for name, value := range fields {
				if err := form.WriteField(name, value); err != nil {
					return err
				}
			}
			file, err := form.CreateFormFile("file", "x.txt")
			if err != nil {
				return err
			}
			if _, err = file.Write([]byte("by a form")); err != nil {
				return err
			}
			if err = form.Close(); err != nil {
				return err
			}
			if _, err = visit("POST", address.String(), body.String(), http.Header{"Content-Type": {form.FormDataContentType()}}); err != nil {
				return err
			}
			text, err := s.text(bucket, key)
			return first(err, same("read", text, "by a form"))
		},
		"seek": func(bucket, path string) error {
			if err := s.upload(bucket, key, path); err != nil {
				return err
			}
			object, err := s.GetObject(now, bucket, key, minio.GetObjectOptions{})
			if err != nil {
				return err
			}
			defer object.Close()
			file, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if _, err = object.Seek(-7, io.SeekEnd); err != nil {
				return err
			}
			end, err := io.ReadAll(object)
			if err != nil {
				return err
			}
			middle := make([]byte, 100)
			if _, err = object.ReadAt(middle, part-50); err != nil {
				return err
			}
			return first(same("end", end, file[len(file)-7:]), same("middle", middle, file[part-50:part+50]))
		},
		"tags, attributes": func(bucket, path string) error {
			_, err := s.PutObject(now, bucket, key, strings.NewReader("x"), 1, minio.PutObjectOptions{UserTags: map[string]string{"a": "1"}, SendContentMd5: true,
				CacheControl: "no-cache", ContentDisposition: `attachment; filename="é.txt"`})
			if err != nil {
				return err
			}
			tags, err := s.GetObjectTagging(now, bucket, key, minio.GetObjectTaggingOptions{})
			if err != nil {
				return err
			}
			about, err := s.StatObject(now, bucket, key, minio.StatObjectOptions{})
			if err != nil {
				return err
			}
			return first(same("tags", tags.ToMap(), map[string]string{"a": "1"}), same("cache", about.Metadata.Get("Cache-Control"), "no-cache"),
				same("disposition", about.Metadata.Get("Content-Disposition"), `attachment; filename="é.txt"`), s.RemoveIncompleteUpload(now, bucket, key))
		},
	}
}
