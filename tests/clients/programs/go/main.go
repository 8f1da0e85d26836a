// Debian's Go SDKs, one a process: a line in, a line out. See ../../programs.py, which says what each line means.
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

// The parts of what is uploaded in parts: the smallest that S3 takes.
const part = 5 << 20

const region = "us-east-1"

// What is told of an object.
type told struct {
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
	head(bucket, key string) (told, error)
	get(bucket, key, path string, first, last int64) error
	list(bucket, prefix, delimiter string, page int) (keys, groups []string, err error)
	upload(bucket, key, path string) error
	copy(source, sourceKey, bucket, key string) error
	delete(bucket, key string) error
	deleteMany(bucket string, keys []string) error
	// What else it can do: each checks by itself what came of it. The second word is a file of more than two parts.
	more() map[string]func(bucket, path string) error
}

func do(s sdk, words []string) (answer []string, err error) {
	// That of Alibaba takes the answer of a call that failed for one.
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("the SDK gave up: %v", what)
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
		var t told
		if t, err = s.head(a[0], a[1]); err == nil {
			answer = []string{strconv.FormatInt(t.length, 10), t.kind, t.etag}
			for name, value := range t.metadata {
				answer = append(answer, strings.ToLower(name), value)
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
			answer = append(answer, "key", key)
		}
		for _, group := range groups {
			answer = append(answer, "group", group)
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
			answer = append(answer, name)
		}
		sort.Strings(answer)
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
		answer, err := do(s, words)
		if err != nil {
			answer = []string{"error", strconv.Itoa(status(err)), err.Error()}
		} else {
			answer = append([]string{"ok"}, answer...)
		}
		for at, word := range answer {
			answer[at] = url.QueryEscape(word)
		}
		fmt.Println(strings.Join(answer, "\t"))
	}
}

// A key as it stands in the header that names a copy's source.
func escape(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
}

// The HTTP status that an SDK's error carries, or 0.
func status(err error) int {
	for _, find := range []func(error) int{statusAwsV1, statusAwsV2, statusMinio, statusOss} {
		if found := find(err); found != 0 {
			return found
		}
	}
	// That of Alibaba tells what has no body in words only.
	if found := words.FindStringSubmatch(err.Error()); found != nil {
		code, _ := strconv.Atoi(found[1])
		return code
	}
	return 0
}

var words = regexp.MustCompile(`without a response body \((\d\d\d)`)

// Asks a signed URL as a stranger would, and gives back what it answers.
func visit(method, address, body string, headers http.Header) (string, error) {
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	for name, values := range headers {
		// The length and the host are said by the request itself.
		if name != "Host" && name != "Content-Length" {
			request.Header[name] = values
		}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s %s", method, answer.Status, text)
	}
	return string(text), err
}

// Fails unless both are the same.
func same(what string, got, wanted interface{}) error {
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		return fmt.Errorf("%s: %.200v, not %.200v", what, got, wanted)
	}
	return nil
}

// The first that failed.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Bytes of an object that comes without its length.
type stream struct{ io.Reader }

func equal(path string, got []byte) error {
	wanted, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(wanted, got) {
		err = fmt.Errorf("%d bytes, not the %d that were sent", len(got), len(wanted))
	}
	return err
}
