// Package bundletest makes disclosures of logs as a lying provider would keep them, for the tests
// of what verifies them.
package bundletest

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/index"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Forger is a provider that makes leaves and map as it likes, and has them published.
type Forger struct {
	Ledger record.ID // of the charter; zero: a fictional one
	scope  event.Scope
	Events []*event.Event // at leaf 0, 1, …; the map's leaf comes after
	Filed  []uint64       // what the map says of Ann
}

// Ann and ben are two customers.
var (
	Ann  = event.Handle{1}
	ben  = event.Handle{2}
	noon = time.Date(2027, 2, 1, 12, 0, 0, 0, time.UTC)
)

// Login is an event of a chain: its number, and the leaf before.
func Login(h event.Handle, number, before uint64) *event.Event {
	return &event.Event{Header: event.Header{Handle: h, Kind: event.KindAccess, Time: noon, Logged: noon, Number: number, Before: before},
		Salt: event.NewSalt(), Content: &event.Access{Action: "login", Agent: "a"}}
}

// Bundle is an honest bundle of what was forged, about ann: the leaves that the map files.
func (f Forger) Bundle(t testing.TB) (*bundle.Bundle, bundle.Public) {
	t.Helper()
	if f.Ledger.IsZero() {
		f.Ledger = record.ID{7}
	}
	f.scope = event.NewScope(f.Ledger, "acme-cloud")
	keySalt := make([]byte, 32)
	filed := event.FiledOpening(event.NewSalt(), event.FiledOf(f.Filed))
	saltKey, err := index.NewKey(event.MapSaltName)
	if err != nil {
		t.Fatal(err)
	}
	annKey := index.HashedKey(event.MapKey(keySalt, Ann))
	entries := []index.Entry{{Key: saltKey, Value: event.MapSaltValue(keySalt)}, {Key: annKey, Value: f.scope.FiledValue(filed)}}
	slices.SortFunc(entries, func(a, b index.Entry) int { return a.Key.Compare(b.Key) })
	m, err := index.Build(slices.Values(entries))
	if err != nil {
		t.Fatal(err)
	}
	prove := func(k index.Key) *index.Proof {
		p, err := m.Prove(k)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	keyProof, _ := prove(saltKey).MarshalText()
	mapRoot := m.Root()
	mapOpening := event.MapOpening(event.NewSalt(), mapRoot)
	var leaves []proof.Hash
	for _, e := range f.Events {
		leaves = append(leaves, proof.LeafHash(f.scope.Leaf(e)))
	}
	leaves = append(leaves, proof.LeafHash(f.scope.LeafOf(mapOpening)))
	root, mapPath := pathIn(leaves, len(leaves)-1)

	st := func(p record.Predicate, thread record.Thread) *record.Statement {
		return &record.Statement{Kind: p.Kind(), Subject: record.Subject{SHA256: root}, Predicate: p, Common: record.Common{Ledger: f.Ledger, Thread: thread}}
	}
	public := bundle.Public{
		Request: bundle.Record{ID: record.ID{1}, Index: 9, Statement: st(&record.DisclosureRequest{Status: record.RequestRequested}, "disclosure/1")},
		Logs: []bundle.Record{{ID: record.ID{2}, Index: 8, Statement: st(&record.CustomerLog{Origin: "o", Size: int64(len(leaves)), PeriodUntil: record.Date{Year: 2027, Month: 3, Day: 1}},
			record.CustomerLogThread("acme-cloud"))}},
	}
	b := &bundle.Bundle{Head: bundle.Head{Source: bundle.Source{Ledger: f.Ledger, Party: "acme-cloud", Request: record.ID{1}, Log: &bundle.Log{
		Record: record.ID{2}, Size: int64(len(leaves)), Root: root.String(), MapRoot: hex.EncodeToString(mapRoot[:]), MapSalt: base64.StdEncoding.EncodeToString(mapOpening.Salt),
		KeySalt: base64.StdEncoding.EncodeToString(keySalt), KeyProof: string(keyProof)}}}}
	for _, h := range mapPath {
		b.Head.Log.MapPath = append(b.Head.Log.MapPath, h.String())
	}
	c := bundle.Customer{Handle: Ann, Filed: &filed, Proof: prove(annKey)}
	for _, at := range f.Filed {
		_, path := pathIn(leaves, int(at))
		openings, err := f.scope.Openings(f.Events[at])
		if err != nil {
			t.Fatal(err)
		}
		c.Events = append(c.Events, bundle.Event{Leaf: at, Path: path, Openings: openings})
	}
	b.Customers = []bundle.Customer{c}
	return b, public
}

// pathIn is the root over leaves, and the path of one (RFC 6962, section 2.1).
func pathIn(leaves []proof.Hash, at int) (root proof.Hash, path []proof.Hash) {
	if len(leaves) == 1 {
		return leaves[0], nil
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	inLeft := at < k
	left, pathLeft := pathIn(leaves[:k], min(at, k-1))
	right, pathRight := pathIn(leaves[k:], max(at-k, 0))
	if inLeft {
		return proof.NodeHash(left, right), append(pathLeft, right)
	}
	return proof.NodeHash(left, right), append(pathRight, left)
}

// Forged is a disclosure of a forged log, and the public records that it rests on.
type Forged struct {
	Name   string
	Bundle *bundle.Bundle
	Public bundle.Public
	Want   string // of the refusal; "": it verifies
}

// All are what a provider puts into the log itself, map and all, and what it lies about it.
func All(t testing.TB) (all []Forged) {
	erased := &event.Event{Header: event.Header{Handle: Ann, Kind: event.KindErased, Time: noon, Logged: noon, Number: 5, Before: 1}, Salt: event.NewSalt()}
	two := event.FiledOf([]uint64{0, 1})
	since := &event.Event{Header: event.Header{Handle: Ann, Kind: event.KindErased, Time: noon, Logged: noon, Number: 1, Before: 1}, Salt: event.NewSalt()}
	elsewhere := event.FiledOf([]uint64{1})
	since.Content = &event.Erased{Reason: "r", By: "b", Events: 1, Filed: hex.EncodeToString(elsewhere.Digest[:])}
	erased.Content = &event.Erased{Reason: "r", By: "b", Events: 2, Filed: hex.EncodeToString(two.Digest[:])}
	for _, c := range []struct {
		name string
		Forger
		lie  func(b *bundle.Bundle)
		want string
	}{
		{name: "honest", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0), Login(Ann, 1, 0)}, Filed: []uint64{0, 1}}},
		{name: "drops an event in the middle of the chain, in the map too", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0), Login(Ann, 1, 0), Login(Ann, 2, 1)}, Filed: []uint64{0, 2}}, want: "it is number 2 of the handle's chain, and stands here as number 1"},
		{name: "chains past an event", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0), Login(ben, 0, 0), Login(Ann, 1, 1)}, Filed: []uint64{0, 2}}, want: "the event before it is at leaf 1"},
		{name: "drops the last one, in the map too", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0), Login(Ann, 1, 0)}, Filed: []uint64{0}}},
		{name: "files another's event", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0), Login(ben, 1, 0)}, Filed: []uint64{0, 1}}, want: "it is an event of 02"},
		{name: "erased, and says less than was filed", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0), Login(Ann, 1, 0), erased}, Filed: []uint64{0, 1, 2}}, lie: func(b *bundle.Bundle) { b.Customers[0].Erased, b.Customers[0].Events = true, b.Customers[0].Events[2:] }, want: "it is number 5 of the chain, and says that 2"},
		{name: "erased since, and says that others were filed", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0)}, Filed: []uint64{0}}, lie: func(b *bundle.Bundle) {
			openings, _ := event.NewScope(record.ID{7}, "acme-cloud").Openings(since)
			b.Customers[0].Erased, b.Customers[0].Events = true, []bundle.Event{{Leaf: 5, Openings: openings}}
		}, want: "the map files other leaves"},
		{name: "makes an event up", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0)}, Filed: []uint64{0}}, lie: func(b *bundle.Bundle) {
			b.Customers[0].Events[0].Openings, _ = event.NewScope(record.ID{7}, "acme-cloud").Openings(Login(Ann, 0, 0))
		}, want: "entry is not in the tree"},
		{name: "has a map whose keys have another salt", Forger: Forger{Events: []*event.Event{Login(Ann, 0, 0)}, Filed: []uint64{0}}, lie: func(b *bundle.Bundle) {
			b.Head.Log.KeySalt = base64.StdEncoding.EncodeToString(append(make([]byte, 31), 1))
		}, want: "the salt of the map's keys is not the map's own"},
	} {
		b, public := c.Bundle(t)
		if c.lie != nil {
			c.lie(b)
		}
		all = append(all, Forged{c.name, b, public, c.want})
	}
	return all
}
