// Debian's Go SDKs, one per process: one line per call, one line per result. ../../programs.py documents the lines.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// The part size of multipart uploads: the minimum of S3.
const part = 5 << 20

const region = "us-east-1"

// The description of an object.
type objectInfo struct {
	length   int64
	kind     string
	etag     string
	metadata map[string]string
}

// One SDK. Objects are read from files and written to files. A range of -1 is all.
type sdk interface {
	createBucket(bucket string) error
	deleteBucket(bucket string) error
	put(bucket, key, path, kind string, metadata map[string]string) error
	head(bucket, key string) (objectInfo, error)
	get(bucket, key, path string, first, last int64) error
	list(bucket, prefix, delimiter string, page int) (keys, groups []string, err error)
	upload(bucket, key, path string) error
	copy(source, sourceKey, bucket, key string) error
	delete(bucket, key string) error
	deleteMany(bucket string, keys []string) error
	// Further scenarios. Each verifies its result. `path` is a file of more than two parts.
	more() map[string]func(bucket, path string) error
}

func do(s sdk, words []string) (response []string, err error) {
	// Alibaba's SDK panics after some failed calls.
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("the SDK panicked: %v", what)
		}
	}()
	op, a := words[0], words[1:]
	switch op {
	case "create_bucket":
		err = s.createBucket(a[0])
	case "delete_bucket":
		err = s.deleteBucket(a[0])
	case "put":
		metadata := map[string]string{}
		for at := 4; at+1 < len(a); at += 2 {
			metadata[a[at]] = a[at+1]
		}
		err = s.put(a[0], a[1], a[2], a[3], metadata)
	case "head":
		var t objectInfo
		if t, err = s.head(a[0], a[1]); err == nil {
			response = []string{strconv.FormatInt(t.length, 10), t.kind, t.etag}
			for name, value := range t.metadata {
				response = append(response, strings.ToLower(name), value)
			}
		}
	case "get":
		first, last := int64(-1), int64(-1)
		if len(a) > 3 {
			first, _ = strconv.ParseInt(a[3], 10, 64)
			last, _ = strconv.ParseInt(a[4], 10, 64)
		}
		err = s.get(a[0], a[1], a[2], first, last)
	case "list":
		page, _ := strconv.Atoi(a[3])
		var keys, groups []string
		keys, groups, err = s.list(a[0], a[1], a[2], page)
		for _, key := range keys {
			response = append(response, "key", key)
		}
		for _, group := range groups {
			response = append(response, "group", group)
		}
	case "upload":
		err = s.upload(a[0], a[1], a[2])
	case "copy":
		err = s.copy(a[0], a[1], a[2], a[3])
	case "delete":
		err = s.delete(a[0], a[1])
	case "delete_many":
		err = s.deleteMany(a[0], a[1:])
	case "more":
		for name := range s.more() {
			response = append(response, name)
		}
		sort.Strings(response)
	case "do":
		err = s.more()[a[0]](a[1], a[2])
	default:
		err = fmt.Errorf("no call is named %s", op)
	}
	return
}

func main() {
	mode, port, key, secret := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	makers := map[string]func(port, key, secret string) sdk{
		"aws-go-v1": awsV1, "aws-go-v2": awsV2, "minio-go": minioGo, "oss-go": ossGo,
	}
	s := makers[mode](port, key, secret)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		for at, word := range words {
			words[at], _ = url.QueryUnescape(word)
		}
		response, err := do(s, words)
		if err != nil {
			response = []string{"error", strconv.Itoa(status(err)), err.Error()}
		} else {
			response = append([]string{"ok"}, response...)
		}
		for at, word := range response {
			response[at] = url.QueryEscape(word)
		}
		fmt.Println(strings.Join(response, "\t"))
	}
}

// Escapes a key for the copy source header.
func escape(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
}

// Returns the HTTP status of an SDK's error, or 0.
func status(err error) int {
	for _, find := range []func(error) int{statusAwsV1, statusAwsV2, statusMinio, statusOss} {
		if found := find(err); found != 0 {
			return found
		}
	}
	// Alibaba's SDK has the status of a response without a body only in the error message.
	if found := words.FindStringSubmatch(err.Error()); found != nil {
		code, _ := strconv.Atoi(found[1])
		return code
	}
	return 0
}

var words = regexp.MustCompile(`without a response body \((\d\d\d)`)

// Sends a request to a presigned URL without an SDK, and returns the response body.
func visit(method, address, body string, headers http.Header) (string, error) {
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	for name, values := range headers {
		// The HTTP client sends these headers itself.
		if name != "Host" && name != "Content-Length" {
			request.Header[name] = values
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s %s", method, response.Status, text)
	}
	return string(text), err
}

// Returns an error unless both values are equal.
func same(what string, got, wanted interface{}) error {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		return fmt.Errorf("%s: %.200v, not %.200v", what, got, wanted)
	}
	return nil
}

// Returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A body of unknown length.
type stream struct{ io.Reader }

func equal(path string, got []byte) error {
	wanted, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(wanted, got) {
		err = fmt.Errorf("%d bytes, not the %d that were sent", len(got), len(wanted))
	}
	return err
}
