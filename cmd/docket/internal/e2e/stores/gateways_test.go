package stores

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// The credentials are made up: both sides get them from here.
const (
	bucket    = "ledger"
	accessKey = "made-up"
	secretKey = "made-up-for-the-test"
)

// storeKeys are the environment of whoever talks to the object store.
func storeKeys() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_EC2_METADATA_DISABLED=true"}
}

// gateways are object stores that stand before one directory, as two machines of one
// operator do. One of them may be killed at any time.
type gateways struct {
	dir string // one directory of it is the bucket
	all []*process
}

func startGateways(t testing.TB, n int, args ...string) *gateways {
	t.Helper()
	g := &gateways{dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(g.dir, bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	logs := t.TempDir()
	for i := range n {
		address := freeAddress(t)
		p := &process{
			t: t, name: fmt.Sprintf("gateway %d", i+1), path: program(t, "gateway"), url: "http://" + address,
			args: append([]string{"--listen", address, "--dir", g.dir}, args...), env: storeKeys(),
			log: filepath.Join(logs, fmt.Sprintf("gateway-%d.log", i+1)),
		}
		p.start()
		g.all = append(g.all, p)
	}
	return g
}

// store is the URL of a ledger's store in the bucket, over all gateways.
func (g *gateways) store(prefix string) string {
	q := url.Values{"region": {"us-east-1"}, "path-style": {""}}
	for _, p := range g.all {
		q.Add("endpoint", p.url)
	}
	return (&url.URL{Scheme: "s3", Host: bucket, Path: "/" + prefix, RawQuery: q.Encode()}).String()
}
