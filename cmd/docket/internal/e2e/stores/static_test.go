package stores

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	tessera "github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// serveStatic hands out what is public in the bucket as any static server does, which knows
// nothing of Docket.
func serveStatic(t testing.TB, g *gateways, prefix string) (at string) {
	t.Helper()
	s := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(g.dir, bucket, prefix, "public"))))
	t.Cleanup(s.Close)
	return s.URL
}

// checkStatic reads what a static server hands out as a whole log, once all of it is there: by
// Tessera's fsck, which hashes every entry and every tile, and by docket audit.
func checkStatic(l *cluster, at string, published proof.Tree) {
	t := l.t
	t.Helper()
	if shown := awaitTree(t, &process{name: "the static server", url: at}, published); shown != published {
		t.Fatalf("what is public is %v, and what is published %v", shown, published)
	}
	key := must(fnote.NewVerifier(l.vkey))
	fetch := must(tessera.NewHTTPFetcher(must(url.Parse(at)), nil))
	if err := fsck.New(origin, key, fetch, leafHashes, fsck.Opts{N: 2}).Check(t.Context()); err != nil {
		t.Errorf("fsck of %d entries: %v", published.Size, err)
	}
	t.Log(docket(t, nil, "audit", "--charter", l.id.String(), at))
}

// leafHashes reads an entry bundle with tessera's parser.
func leafHashes(bundle []byte) ([][]byte, error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	var out [][]byte
	for _, entry := range b.Entries {
		out = append(out, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return out, nil
}
