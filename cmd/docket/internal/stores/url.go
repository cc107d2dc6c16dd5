// Package stores names the stores that a ledger may be kept in, and opens them: a directory,
// a bucket of an object store, a PostgreSQL database. It promises that no password is in what
// it prints: credentials come from the environment, as the store's own tools take them, and
// one that is written into an address is for that process alone.
package stores

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// URL says where a store is. Its zero value is none.
type URL struct {
	// Directory is the absolute path of a ledger's directory, with Pebble's store in it.
	Directory string

	// Bucket and Prefix are where an object store keeps it. Endpoints are where that
	// answers, each of which must keep the same promises; none is AWS's own.
	Bucket, Prefix string
	Endpoints      []string
	Region         string
	PathStyle      bool // the bucket is the first part of the path, and not of the host

	// Database is a PostgreSQL URL without its password.
	Database string
	connect  string // with it
}

// Forms are what Parse takes, for people.
const Forms = "s3://BUCKET/PREFIX[?endpoint=URL&region=NAME&path-style], postgres://USER@HOST/DATABASE, or a directory"

// Parse reads what names a store. Its errors show no password.
func Parse(text string) (URL, error) {
	scheme, rest, isURL := strings.Cut(text, "://")
	switch {
	case text == "":
		return URL{}, fmt.Errorf("no store is named: want %s", Forms)
	case !isURL:
		return parseDirectory(text)
	case scheme == "s3":
		return parseBucket(text)
	case scheme == "postgres" || scheme == "postgresql":
		return parseDatabase(rest)
	}
	return URL{}, fmt.Errorf("%q is no kind of store: want %s", scheme+"://", Forms)
}

func parseDirectory(path string) (URL, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return URL{}, err
	}
	if real, err := filepath.EvalSymlinks(whole); err == nil {
		whole = real
	}
	return URL{Directory: whole}, nil
}

var (
	bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`) // of a part, as package objectstore has it
)

func parseBucket(text string) (URL, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return URL{}, errors.New("the address of the bucket cannot be read: want s3://BUCKET/PREFIX[?endpoint=URL&region=NAME&path-style]")
	}
	if parsed.User != nil {
		return URL{}, errors.New("credentials do not stand in the address: they come from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the machine's role)")
	}
	u := URL{Bucket: parsed.Host, Prefix: strings.Trim(parsed.Path, "/")}
	if !bucketPattern.MatchString(u.Bucket) {
		return URL{}, fmt.Errorf("s3://%s: %q is no name of a bucket", u.Bucket, u.Bucket)
	}
	if u.Prefix != "" {
		for part := range strings.SplitSeq(u.Prefix, "/") {
			if !prefixPattern.MatchString(part) {
				return URL{}, fmt.Errorf("s3://%s/%s: a prefix has letters, digits, dots, hyphens and underscores between its slashes, and no part begins with a dot", u.Bucket, u.Prefix)
			}
		}
	}
	if parsed.Fragment != "" {
		return URL{}, fmt.Errorf("s3://%s/%s has a fragment", u.Bucket, u.Prefix)
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil {
		return URL{}, fmt.Errorf("s3://%s/%s: what stands behind ? cannot be read", u.Bucket, u.Prefix)
	}
	for name, values := range query {
		switch name {
		case "endpoint":
			for _, e := range values {
				at, err := url.Parse(e)
				if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.User != nil || at.RawQuery != "" {
					return URL{}, fmt.Errorf("s3://%s/%s: an endpoint is http://HOST[:PORT] or https://HOST[:PORT]", u.Bucket, u.Prefix)
				}
				if e = strings.TrimRight(e, "/"); !slices.Contains(u.Endpoints, e) {
					u.Endpoints = append(u.Endpoints, e)
				}
			}
		case "region":
			u.Region = values[len(values)-1]
		case "path-style":
			switch v := values[len(values)-1]; v {
			case "", "true", "1":
				u.PathStyle = true
			case "false", "0":
			default:
				return URL{}, fmt.Errorf("s3://%s/%s: path-style=%s: want path-style alone", u.Bucket, u.Prefix, v)
			}
		default:
			return URL{}, fmt.Errorf("s3://%s/%s: %s is not known: want endpoint, region or path-style", u.Bucket, u.Prefix, name)
		}
	}
	return u, nil
}

// secrets are the parameters of a PostgreSQL URL that are no one's to read.
var secrets = []string{"password", "sslpassword", "passfile"}

// parseDatabase reads what stands behind postgres://. It is not net/url's: several hosts with
// ports are none of its URLs.
func parseDatabase(rest string) (URL, error) {
	const want = "want postgres://USER@HOST/DATABASE, the password in PGPASSWORD or ~/.pgpass"
	address, rawQuery, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(address, "/")
	at := strings.LastIndex(authority, "@")
	user, hosts, hasUser := "", authority, at >= 0
	if hasUser {
		user, hosts = authority[:at], authority[at+1:]
	}
	user, _, _ = strings.Cut(user, ":")
	query, err := parametersOf(rawQuery)
	switch {
	case err != nil:
		return URL{}, fmt.Errorf("what stands behind ? in the address of the database cannot be read: %s", want)
	case strings.ContainsAny(hosts, "@ #"):
		return URL{}, fmt.Errorf("the address of the database cannot be read: %s", want)
	case hosts == "" && query.Get("host") == "":
		return URL{}, fmt.Errorf("the address of the database names no host: %s", want)
	case strings.Contains(database, "@"): // what seems to be a port is of the password
		return URL{}, fmt.Errorf("the address of the database cannot be read: write / and @ in a password as %%2F and %%40; %s", want)
	case database == "" || strings.ContainsAny(database, "/#"):
		return URL{}, fmt.Errorf("the address of the database names no database: %s", want)
	}
	kept := slices.DeleteFunc(strings.Split(rawQuery, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.PathUnescape(name)
		return pair == "" || err != nil || slices.Contains(secrets, name)
	})
	shown := "postgres://"
	if user != "" {
		shown += user + "@"
	}
	shown += hosts + "/" + database
	if len(kept) > 0 {
		shown += "?" + strings.Join(kept, "&")
	}
	return URL{Database: shown, connect: "postgres://" + rest}, nil
}

// IsZero says that no store is named.
func (u URL) IsZero() bool { return u.Directory == "" && u.Bucket == "" && u.Database == "" }

// IsShared says that more than one machine can reach it.
func (u URL) IsShared() bool { return u.Bucket != "" || u.Database != "" }

// IsLocal says that the store answers on this machine alone, as where all of a ledger's processes run on one.
func (u URL) IsLocal() bool {
	hosts := make([]string, 0, len(u.Endpoints))
	if u.Database != "" {
		hosts, _, _ = databaseOf(u.Database)
	}
	for _, e := range u.Endpoints {
		at, err := url.Parse(e)
		if err != nil {
			return false
		}
		hosts = append(hosts, at.Host)
	}
	return len(hosts) > 0 && !slices.ContainsFunc(hosts, func(host string) bool {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		ip, err := netip.ParseAddr(host)
		return host != "localhost" && !strings.HasPrefix(host, "/") && (err != nil || !ip.IsLoopback())
	})
}

// String is what Parse reads, without any password.
func (u URL) String() string {
	switch {
	case u.Directory != "":
		return u.Directory
	case u.Database != "":
		return u.Database
	case u.Bucket == "":
		return ""
	}
	var query []string
	for _, e := range u.Endpoints {
		query = append(query, "endpoint="+url.QueryEscape(e))
	}
	if u.Region != "" {
		query = append(query, "region="+url.QueryEscape(u.Region))
	}
	if u.PathStyle {
		query = append(query, "path-style")
	}
	s := "s3://" + u.Bucket
	if u.Prefix != "" {
		s += "/" + u.Prefix
	}
	if len(query) > 0 {
		s += "?" + strings.Join(query, "&")
	}
	return s
}

// Name is the address without what stands behind ?, as a URL that any library reads: of a
// database the first of its hosts.
func (u URL) Name() *url.URL {
	if u.Bucket != "" {
		return &url.URL{Scheme: "s3", Host: u.Bucket, Path: "/" + u.Prefix}
	}
	hosts, database, _ := databaseOf(u.Database)
	named := &url.URL{Scheme: "postgres", Host: hosts[0], Path: "/" + database}
	if again, err := url.Parse(named.String()); err != nil || again.String() != named.String() || strings.HasPrefix(hosts[0], "/") {
		named.Host = "localhost" // a socket of this machine
	}
	return named
}

// Beside is another store in the same bucket or database: under the prefix, or in a schema whose name
// begins as this one's does.
func (u URL) Beside(name string) URL {
	if u.Bucket != "" {
		u.Prefix = strings.TrimPrefix(u.Prefix+"/"+name, "/")
		return u
	}
	schema := u.Schema() + "_" + name
	u.Database, u.connect = withSchema(u.Database, schema), withSchema(u.connect, schema)
	return u
}

// Schema is where in a database the store is.
func (u URL) Schema() string {
	_, _, schema := databaseOf(u.Database)
	return schema
}

// withSchema has the address of a database name another schema.
func withSchema(address, schema string) string {
	address, rawQuery, _ := strings.Cut(address, "?")
	kept := slices.DeleteFunc(strings.Split(rawQuery, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.PathUnescape(name)
		return pair == "" || err == nil && name == "schema"
	})
	return address + "?" + strings.Join(append(kept, "schema="+url.PathEscape(schema)), "&")
}

// IsSame says whether two addresses are of one store, whatever else they say of the way there:
// the same bucket and prefix at an endpoint that both name, or the same database at such a host.
func (u URL) IsSame(v URL) bool {
	shared := func(a, b []string) bool {
		return len(a)+len(b) == 0 || slices.ContainsFunc(a, func(e string) bool { return slices.Contains(b, e) })
	}
	switch {
	case u.Bucket != "":
		return u.Bucket == v.Bucket && u.Prefix == v.Prefix && shared(u.Endpoints, v.Endpoints)
	case u.Database != "" && v.Database != "":
		hosts, database, schema := databaseOf(u.Database)
		others, other, otherSchema := databaseOf(v.Database)
		return database == other && schema == otherSchema && shared(hosts, others)
	}
	return u.Directory == v.Directory && v.Bucket == "" && v.Database == ""
}

// parametersOf reads what stands behind ? as libpq does, which takes a plus for a plus.
func parametersOf(rawQuery string) (url.Values, error) {
	return url.ParseQuery(strings.ReplaceAll(rawQuery, "+", "%2B"))
}

// databaseOf takes apart what parseDatabase made.
func databaseOf(shown string) (hosts []string, database, schema string) {
	address, rawQuery, _ := strings.Cut(strings.TrimPrefix(shown, "postgres://"), "?")
	authority, database, _ := strings.Cut(address, "/")
	authority = authority[strings.LastIndex(authority, "@")+1:]
	query, _ := parametersOf(rawQuery) // it was made of one
	ports := strings.Split(cmp.Or(query.Get("port"), "5432"), ",")
	for i, host := range strings.Split(cmp.Or(authority, query.Get("host")), ",") {
		if !strings.Contains(host[strings.LastIndex(host, "]")+1:], ":") {
			host += ":" + ports[min(i, len(ports)-1)]
		}
		hosts = append(hosts, host)
	}
	return hosts, database, cmp.Or(query.Get("schema"), "docket")
}
