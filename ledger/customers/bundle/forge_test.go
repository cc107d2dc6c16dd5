package bundle_test

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/index"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// forger is a provider that makes leaves and map as it likes, and has them published.
type forger struct {
	scope  event.Scope
	events []*event.Event // at leaf 0, 1, …; the map's leaf comes after
	filed  []uint64       // what the map says of ann
}

var (
	ann  = event.Handle{1}
	ben  = event.Handle{2}
	noon = time.Date(2027, 2, 1, 12, 0, 0, 0, time.UTC)
)

// login is an event of a chain: its number, and the leaf before.
func login(h event.Handle, number, before uint64) *event.Event {
	return &event.Event{Header: event.Header{Handle: h, Kind: event.KindAccess, Time: noon, Logged: noon, Number: number, Before: before},
		Salt: event.NewSalt(), Content: &event.Access{Action: "login", Agent: "a"}}
}

// bundle is an honest bundle of what was forged, about ann: the leaves that the map files.
func (f forger) bundle(t *testing.T) (*bundle.Bundle, bundle.Public) {
	t.Helper()
	f.scope = event.NewScope(record.ID{7}, "acme-cloud")
	keySalt := make([]byte, 32)
	filed := event.FiledOpening(event.NewSalt(), event.FiledOf(f.filed))
	saltKey, err := index.NewKey(event.MapSaltName)
	if err != nil {
		t.Fatal(err)
	}
	annKey := index.HashedKey(event.MapKey(keySalt, ann))
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
	mapOpening := event.MapOpening(event.NewSalt(), m.Root())
	var leaves []proof.Hash
	for _, e := range f.events {
		leaves = append(leaves, proof.LeafHash(f.scope.Leaf(e)))
	}
	leaves = append(leaves, proof.LeafHash(f.scope.LeafOf(mapOpening)))
	root, mapPath := pathIn(leaves, len(leaves)-1)

	st := func(p record.Predicate, thread record.Thread) *record.Statement {
		return &record.Statement{Kind: p.Kind(), Subject: record.Subject{SHA256: root}, Predicate: p, Common: record.Common{Ledger: record.ID{7}, Thread: thread}}
	}
	public := bundle.Public{
		Request: bundle.Record{ID: record.ID{1}, Index: 9, Statement: st(&record.DisclosureRequest{}, "disclosure/1")},
		Logs: []bundle.Record{{ID: record.ID{2}, Index: 8, Statement: st(&record.CustomerLog{Origin: "o", Size: int64(len(leaves)), PeriodUntil: record.Date{Year: 2027, Month: 3, Day: 1}},
			record.CustomerLogThread("acme-cloud"))}},
	}
	b := &bundle.Bundle{Head: bundle.Head{Source: bundle.Source{Ledger: record.ID{7}, Party: "acme-cloud", Request: record.ID{1}, Log: &bundle.Log{
		Record: record.ID{2}, Size: int64(len(leaves)), Root: root.String(), MapRoot: hexOf(m.Root()), MapSalt: base64.StdEncoding.EncodeToString(mapOpening.Salt),
		KeySalt: base64.StdEncoding.EncodeToString(keySalt), KeyProof: string(keyProof)}}}}
	for _, h := range mapPath {
		b.Head.Log.MapPath = append(b.Head.Log.MapPath, h.String())
	}
	c := bundle.Customer{Handle: ann, Filed: &filed, Proof: prove(annKey)}
	for _, at := range f.filed {
		_, path := pathIn(leaves, int(at))
		openings, err := f.scope.Openings(f.events[at])
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

// What a provider puts into the log itself, map and all, is found as far as the chains tell;
// what it never put there, or filed under another handle, is not, and the words say so.
func TestForgedLogs(t *testing.T) {
	erased := &event.Event{Header: event.Header{Handle: ann, Kind: event.KindErased, Time: noon, Logged: noon, Number: 5, Before: 1}, Salt: event.NewSalt()}
	two := event.FiledOf([]uint64{0, 1})
	erased.Content = &event.Erased{Reason: "r", By: "b", Events: 2, Filed: hex.EncodeToString(two.Digest[:])}
	for name, c := range map[string]struct {
		forger
		lie  func(b *bundle.Bundle)
		want string // "": it verifies
	}{
		"honest": {forger: forger{events: []*event.Event{login(ann, 0, 0), login(ann, 1, 0)}, filed: []uint64{0, 1}}},
		"drops an event in the middle of the chain, in the map too": {forger: forger{events: []*event.Event{login(ann, 0, 0), login(ann, 1, 0), login(ann, 2, 1)}, filed: []uint64{0, 2}}, want: "it is number 2 of the handle's chain, and stands here as number 1"},
		"chains past an event":                 {forger: forger{events: []*event.Event{login(ann, 0, 0), login(ben, 0, 0), login(ann, 1, 1)}, filed: []uint64{0, 2}}, want: "the event before it is at leaf 1"},
		"drops the last one, in the map too":   {forger: forger{events: []*event.Event{login(ann, 0, 0), login(ann, 1, 0)}, filed: []uint64{0}}},
		"files another's event":                {forger: forger{events: []*event.Event{login(ann, 0, 0), login(ben, 1, 0)}, filed: []uint64{0, 1}}, want: "it is an event of 02"},
		"erased, and says less than was filed": {forger: forger{events: []*event.Event{login(ann, 0, 0), login(ann, 1, 0), erased}, filed: []uint64{0, 1, 2}}, lie: func(b *bundle.Bundle) { b.Customers[0].Erased, b.Customers[0].Events = true, b.Customers[0].Events[2:] }, want: "it is number 5 of the chain, and says that 2"},
		"makes an event up": {forger: forger{events: []*event.Event{login(ann, 0, 0)}, filed: []uint64{0}}, lie: func(b *bundle.Bundle) {
			b.Customers[0].Events[0].Openings, _ = event.NewScope(record.ID{7}, "acme-cloud").Openings(login(ann, 0, 0))
		}, want: "entry is not in the tree"},
		"has a map whose keys have another salt": {forger: forger{events: []*event.Event{login(ann, 0, 0)}, filed: []uint64{0}}, lie: func(b *bundle.Bundle) {
			b.Head.Log.KeySalt = base64.StdEncoding.EncodeToString(append(make([]byte, 31), 1))
		}, want: "the salt of the map's keys is not the map's own"},
	} {
		b, public := c.bundle(t)
		if c.lie != nil {
			c.lie(b)
		}
		table, err := b.Verify(public)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil && !strings.Contains(strings.Join(table.NotProven(), "\n"), "only an auditor who replays the private log") {
			t.Errorf("%s: %q does not say who could tell", name, table.NotProven())
		}
	}
}

// A log that was lost and begun anew: what the records before fixed is not of this one.
func TestRestartedLog(t *testing.T) {
	b, public := forger{events: []*event.Event{login(ann, 0, 0)}, filed: []uint64{0}}.bundle(t)
	lost := public.Logs[0]
	said := *lost.Statement.Predicate.(*record.CustomerLog)
	said.Size, said.Origin = 5000, "lost"
	st := *lost.Statement
	st.Predicate, lost.Statement, lost.ID, lost.Index = &said, &st, record.ID{3}, 5
	public.Logs = append(public.Logs, lost)
	public.Logs[0].Statement.Predicate.(*record.CustomerLog).Restart = &record.LogRestart{Reason: "lost"}
	table, err := b.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	if r := table.Customers[0].Events[0]; r.Late || r.FixedBy.ID != public.Logs[0].ID {
		t.Errorf("after a restart: fixed by %v, late %t", r.FixedBy.ID, r.Late)
	}
}

func hexOf(h proof.Hash) string { return hex.EncodeToString(h[:]) }
