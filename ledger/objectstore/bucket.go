package objectstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/transfer"
)

// bucket is one bucket behind one or more endpoints. Each call is one request, without any
// retry of the SDK: whether a write may be repeated is decided by who asks for it.
type bucket struct {
	name    string
	clients []*s3.Client  // one for each endpoint
	current atomic.Uint64 // which of them is asked: another one after each that did not answer
	patient time.Duration // how long one request may take, and longer if much is sent or comes
}

// What a request came to, beside what is wrong with it.
var (
	// errNoObject: nothing lies under the key.
	errNoObject = errors.New("no such object")
	// errUnmet: a condition did not hold: 412, 409 ConditionalRequestConflict, 404 of If-Match.
	errUnmet = errors.New("the condition of the write did not hold")
	// errPassing: no answer, or one that says to ask again. A write may have happened.
	errPassing = errors.New("the store did not answer")
)

func openBucket(ctx context.Context, c Config) (*bucket, error) {
	config, err := settings(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("reading the settings for the object store: %w", err)
	}
	b := &bucket{name: c.Bucket, patient: c.RequestTimeout}
	endpoints := c.Endpoints
	if len(endpoints) == 0 {
		endpoints = []string{""} // the region's own
	}
	for _, endpoint := range endpoints {
		b.clients = append(b.clients, s3.NewFromConfig(config, func(o *s3.Options) {
			o.UsePathStyle = c.PathStyle
			o.Retryer = aws.NopRetryer{}
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
			if c.Transport != nil {
				o.HTTPClient = &http.Client{Transport: c.Transport}
			}
			o.HTTPClient = boundedClient{o.HTTPClient}
			if endpoint != "" {
				o.BaseEndpoint = aws.String(endpoint)
			}
		}))
	}
	return b, nil
}

// maxWordsBytes bounds a listing, and what an error says: the SDK reads all of it into memory.
const maxWordsBytes = 4 << 20

// boundedClient bounds every answer but an object, which get bounds.
type boundedClient struct{ s3.HTTPClient }

func (c boundedClient) Do(r *http.Request) (*http.Response, error) {
	res, err := c.HTTPClient.Do(r)
	if err == nil && (r.Method != http.MethodGet || res.StatusCode != http.StatusOK || r.URL.Query().Has("list-type")) {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxWordsBytes), res.Body}
	}
	return res, err
}

// settings are the usual ones of the environment, the shared files and the machine, but for
// what is given.
func settings(ctx context.Context, c Config) (config aws.Config, err error) {
	if c.Transport == nil || c.Credentials == nil {
		client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost, t.MaxIdleConns = 2*maxConcurrent, 4*maxConcurrent
		})
		if config, err = awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(client)); err != nil {
			return config, err
		}
	}
	if c.Credentials != nil {
		config.Credentials = aws.NewCredentialsCache(c.Credentials)
	} else if _, err := config.Credentials.Retrieve(ctx); err != nil { // later it would be as if the store did not answer
		return config, fmt.Errorf("no credentials are found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role: %w", err)
	}
	if c.Region != "" {
		config.Region = c.Region
	}
	if config.Region == "" {
		config.Region = "us-east-1"
	}
	return config, nil
}

// object is what lies under a key.
type object struct {
	data []byte
	etag string
}

// condition of a write: none, that there is nothing yet, or that what is there has this ETag. The zero
// value is none of these, so that an ETag that the store did not tell lets nothing be written.
type condition struct {
	none, absent bool
	etag         string
}

// headers under which a static server hands out what is public.
type headers struct{ contentType, cacheControl string }

// pacePerSecond is what a request has at least of an object in a second, there or back.
const pacePerSecond = 1 << 20 // bytes

// get reads an object of at most that many bytes once. [errNoObject], [errPassing].
func (b *bucket) get(ctx context.Context, key string, most int64) (object, error) {
	attempt, watched := transfer.Floor{Patience: b.patient, PerSecond: pacePerSecond}.Watch(ctx)
	defer watched.Close()
	client, of := b.client()
	out, err := client.GetObject(attempt, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		if slow := context.Cause(attempt); errors.Is(slow, transfer.ErrSlow) {
			err = slow
		}
		return object{}, b.judged(ctx, of, "GET", key, err, false)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(watched.Reader(out.Body), most+1))
	switch {
	case err != nil:
		b.leave(ctx, of)
		return object{}, fmt.Errorf("%w: GET %s: %w", errPassing, key, cmp.Or(context.Cause(attempt), err))
	case int64(len(data)) > most:
		return object{}, fmt.Errorf("%w: GET %s: more than %d bytes", ledger.ErrCorrupt, key, most)
	case out.ContentLength != nil && *out.ContentLength != int64(len(data)):
		return object{}, fmt.Errorf("%w: GET %s: %d of %d bytes", errPassing, key, len(data), *out.ContentLength)
	}
	return object{data, aws.ToString(out.ETag)}, nil
}

// put writes an object once. [errUnmet], [errPassing]. The store may tell no ETag of it.
func (b *bucket) put(ctx context.Context, key string, data []byte, when condition, h headers) (etag string, err error) {
	attempt, cancel := context.WithTimeout(ctx, b.patient+time.Duration(len(data))*time.Second/pacePerSecond)
	defer cancel()
	in := &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(data)}
	switch {
	case when.absent:
		in.IfNoneMatch = aws.String("*")
	case when.etag != "":
		in.IfMatch = &when.etag
	case !when.none:
		return "", errNoETag(key)
	}
	if h.contentType != "" {
		in.ContentType, in.CacheControl = &h.contentType, &h.cacheControl
	}
	client, of := b.client()
	out, err := client.PutObject(attempt, in)
	if err != nil {
		return "", b.judged(ctx, of, "PUT", key, err, !when.none)
	}
	return aws.ToString(out.ETag), nil
}

// list calls back for each key with that prefix that comes after another one, in their order, and
// says whether there are more: a store may list fewer than it was asked for.
func (b *bucket) list(ctx context.Context, prefix, after string, most int32, found func(key string, modified time.Time)) (more bool, err error) {
	in := &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix, MaxKeys: &most}
	if after != "" {
		in.StartAfter = &after
	}
	attempt, cancel := context.WithTimeout(ctx, 3*b.patient) // some stores look through all that they have
	defer cancel()
	client, of := b.client()
	out, err := client.ListObjectsV2(attempt, in)
	if err != nil {
		return false, b.judged(ctx, of, "LIST", prefix, err, false)
	}
	for _, o := range out.Contents {
		found(aws.ToString(o.Key), aws.ToTime(o.LastModified))
	}
	return aws.ToBool(out.IsTruncated), nil
}

// remove deletes an object; one that is not there is none the less.
func (b *bucket) remove(ctx context.Context, key string) error {
	attempt, cancel := context.WithTimeout(ctx, b.patient)
	defer cancel()
	client, of := b.client()
	_, err := client.DeleteObject(attempt, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	if err = b.judged(ctx, of, "DELETE", key, err, false); errors.Is(err, errNoObject) {
		return nil
	}
	return err
}

func (b *bucket) client() (*s3.Client, uint64) {
	of := b.current.Load()
	return b.clients[of%uint64(len(b.clients))], of
}

// leave has the next request go to another endpoint, unless whoever asked gave up: strangers who read and
// hang up would have a writer ask one that is dead.
func (b *bucket) leave(ctx context.Context, of uint64) {
	if !errors.Is(ctx.Err(), context.Canceled) {
		b.current.CompareAndSwap(of, of+1)
	}
}

// judged sorts an error into what a caller decides by. ctx is the caller's.
func (b *bucket) judged(ctx context.Context, of uint64, method, key string, err error, conditional bool) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf("%s %s", method, key)
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 {
		b.leave(ctx, of)
		return fmt.Errorf("%w: %s: %w", errPassing, what, err)
	}
	code := ""
	if e := smithy.APIError(nil); errors.As(err, &e) {
		code = e.ErrorCode()
	}
	status := answer.HTTPStatusCode()
	switch {
	case code == "NoSuchBucket":
		return fmt.Errorf("there is no bucket %q: make it, and grant s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket", b.name)
	case status == http.StatusPreconditionFailed,
		status == http.StatusConflict && (code == "ConditionalRequestConflict" || code == "OperationAborted"),
		status == http.StatusNotFound && conditional:
		return fmt.Errorf("%w: %s: %d %s", errUnmet, what, status, code)
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: %s", errNoObject, what)
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, code == "RequestTimeout", code == "SlowDown":
		b.leave(ctx, of)
		return fmt.Errorf("%w: %s: %d %s", errPassing, what, status, code)
	case status == http.StatusForbidden && method == "GET":
		return fmt.Errorf("%s: %w (where s3:ListBucket is not granted, a missing object is told as a forbidden one)", what, err)
	case status < 300: // its body could not be read to the end
		return fmt.Errorf("%w: %s: %w", errPassing, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// pause is how long to wait before asking again, ever longer.
type pause struct{ next time.Duration }

// wait is false if ctx ended meanwhile.
func (p *pause) wait(ctx context.Context) bool {
	p.next = min(max(2*p.next, 20*time.Millisecond), time.Second)
	timer := time.NewTimer(p.next)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// again repeats what may be repeated until the store answers.
func again(ctx context.Context, do func() error) error {
	for p := (pause{}); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := do()
		if !errors.Is(err, errPassing) {
			return err
		}
		if !p.wait(ctx) {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// read is get until the store answers.
func (b *bucket) read(ctx context.Context, key string, most int64) (o object, err error) {
	err = again(ctx, func() error { o, err = b.get(ctx, key, most); return err })
	return o, err
}

// readTagged is read of what is to be swapped, which is of no use without its ETag.
func (b *bucket) readTagged(ctx context.Context, key string, most int64) (o object, err error) {
	for range 3 { // some servers lose it now and then
		if o, err = b.read(ctx, key, most); err != nil || o.etag != "" {
			return o, err
		}
	}
	return o, errNoETag(key)
}

func errNoETag(key string) error {
	return fmt.Errorf("%w: it tells no ETag of %s", ErrUnfit, key)
}

// write is put, without a condition, of what is always the same under its key, until the
// store answers.
func (b *bucket) write(ctx context.Context, key string, data []byte, h headers) error {
	return again(ctx, func() error { _, err := b.put(ctx, key, data, condition{none: true}, h); return err })
}

// exists says whether any key has that prefix.
func (b *bucket) exists(ctx context.Context, prefix string) (found bool, err error) {
	var more bool
	err = again(ctx, func() (err error) {
		more, err = b.list(ctx, prefix, "", 1, func(string, time.Time) { found = true })
		return err
	})
	if err == nil && more && !found {
		err = fmt.Errorf("%w: the store lists no key under %s, and says that there are more", ledger.ErrCorrupt, prefix)
	}
	return found, err
}

// all lists every key with that prefix, page by page.
func (b *bucket) all(ctx context.Context, prefix string) (keys []string, err error) {
	const page, most = 1000, 1 << 20
	for after, more := "", true; more; {
		var got []string
		if err := again(ctx, func() (err error) {
			got = nil
			more, err = b.list(ctx, prefix, after, page, func(key string, _ time.Time) { got = append(got, key) })
			return err
		}); err != nil {
			return nil, err
		}
		if more && (len(got) == 0 || got[0] <= after || len(keys)+len(got) > most) {
			return nil, fmt.Errorf("%w: the store lists no end of keys under %s, or the same again", ledger.ErrCorrupt, prefix)
		}
		if keys = append(keys, got...); more {
			after = got[len(got)-1]
		}
	}
	return keys, nil
}
