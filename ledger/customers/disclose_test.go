package customers_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// ledgerOf is the public ledger as a verifier of it knows it: the customer-log records of one
// provider, and a request.
type ledgerOf struct {
	public customers.PublicLog
	logs   []bundle.Record
	next   uint64
}

var charter = record.ID(sha256.Sum256([]byte("charter")))

func (l *ledgerOf) admit(thread record.Thread, issuer string, p record.Predicate, subject [32]byte, follows record.ID) bundle.Record {
	l.next++
	payload := must(record.EncodeStatement(&record.Statement{Kind: p.Kind(), Subject: record.Subject{SHA256: subject}, Predicate: p,
		Common: record.Common{Ledger: charter, Thread: thread, Issuer: issuer, IssuedAt: began, Follows: follows}}))
	return bundle.Record{ID: record.IDOf(payload), Index: l.next, Admitted: began, Statement: must(record.ParseStatement(payload))}
}

// publish publishes every closed period that is not.
func (l *ledgerOf) publish(t testing.TB, n *node, restart string) {
	t.Helper()
	for {
		next, err := n.NextRecord(t.Context(), officer, l.public, restart)
		if errors.Is(err, customers.ErrAllPublished) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		r := l.admit(record.CustomerLogThread("acme-cloud"), "acme-cloud", next.Predicate, next.Period.Root, next.Follows)
		if next.Predicate.VKey != "" {
			l.public.VKey = next.Predicate.VKey
		}
		l.public.Newest, l.logs, restart = r, append(l.logs, r), ""
		if err := n.Published(t.Context(), officer, next.Period.Number, r.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *ledgerOf) demand(recipient string) bundle.Public {
	due := day(30)
	r := l.admit("disclosure/2027-7", "authority", &record.DisclosureRequest{Status: "requested", Type: record.Sealable{Text: "warrant"},
		Provider: record.Sealable{Text: "acme-cloud"}, Jurisdiction: "XA", DueOn: &due, Recipient: recipient}, [32]byte{1}, record.ID{})
	return bundle.Public{Request: r, Logs: l.logs}
}

var officer = customers.Who{By: "discloser-1", Role: "discloser"}

// holder is who holds the role discloser.
type holder struct {
	key     *record.Key
	private ed25519.PrivateKey
}

func newHolder() holder {
	public, private, _ := ed25519.GenerateKey(nil)
	return holder{must(record.NewKey(public)), private}
}

func (h holder) approve(t testing.TB, n *node, d *customers.Disclosure) error {
	_, err := n.Approve(t.Context(), officer, d.Number, h.key.ID(), ed25519.Sign(h.private, n.Message(d)))
	return err
}

// scene is a provider with a day's customers, a published period, and a demand after it.
type scene struct {
	*world
	*node
	ledger  *ledgerOf
	holders []holder
	reader  age.Identity // of the authority
	ask     customers.Ask
	public  bundle.Public
	ada, bo event.Handle
}

func newScene(t testing.TB) *scene {
	t.Helper()
	return newSceneOf(t, 0)
}

// newSceneOf is a scene whose customers did what they did by the minutes from one on.
func newSceneOf(t testing.TB, minute int) *scene {
	t.Helper()
	s := &scene{world: newWorld(t), ledger: &ledgerOf{}, holders: []holder{newHolder(), newHolder(), newHolder()}}
	for _, h := range s.holders[:2] {
		s.disclosers = append(s.disclosers, h.key)
	}
	s.node = s.mustOpen(t)
	t.Cleanup(func() { s.node.close() })
	results := s.add(t, input("a-1", minute, &event.Opened{Account: "a-1", Type: "person", Name: "Ada Reed"}), opened("b-2", "Bo Lindqvist"),
		access("a-1", minute+1, "192.0.2.7"), access("a-1", minute+2, "192.0.2.8"), access("b-2", 3, "192.0.2.9"))
	s.ada, s.bo = results[0].Handle, results[1].Handle
	if _, err := s.ClosePeriod(t.Context(), day(-2)); err != nil {
		t.Fatal(err)
	}
	s.ledger.publish(t, s.node, "")
	identity, recipient, err := vault.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	s.reader = must(vault.ParseIdentities(identity, nil))[0]
	s.public = s.ledger.demand(recipient)
	s.ask = customers.Ask{Public: s.public, Recipient: recipient, Handles: []event.Handle{s.ada}, Chains: [][]byte{[]byte("c2sp.org/tlog-proof@v1\n…\n")}}
	return s
}

func (s *scene) prepare(t testing.TB) (*customers.Disclosure, []byte) {
	t.Helper()
	d, err := s.Prepare(t.Context(), officer, s.ask)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.Review(t.Context(), officer, d.Number)
	if err != nil {
		t.Fatal(err)
	}
	return d, raw
}

func (s *scene) verify(t testing.TB, raw []byte) *bundle.Table {
	t.Helper()
	b, err := bundle.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Verify(s.public)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// A demand is answered: two holders approve what leaves the house, the authority decrypts and
// verifies it, and every step stands in the house's chain.
func TestDisclosure(t *testing.T) {
	s := newScene(t)
	s.add(t, access("a-1", 4, "192.0.2.10"))
	s.ask.Asked.Kinds = []string{"access"}
	d, raw := s.prepare(t)
	if !strings.Contains(strings.Join(d.Leaves, "\n"), "3 events, 3 access; of 1 other their") {
		t.Errorf("what leaves the house: %q", d.Leaves)
	}
	if d.Digest != bundle.Digest(raw) || bytes.Contains(raw, []byte("Reed")) || !bytes.Contains(raw, []byte("192.0.2.8")) {
		t.Errorf("the bundle:\n%s", raw)
	}
	if _, _, err := s.HandOut(t.Context(), officer, d.Number); err == nil || !strings.Contains(err.Error(), "0 of 2 approvals") {
		t.Errorf("not approved: %v", err)
	}
	for i, want := range []struct {
		by  holder
		err string
	}{{s.holders[0], ""}, {s.holders[0], "another holder"}, {s.holders[2], "does not hold the role"}, {s.holders[1], ""}} {
		if err := want.by.approve(t, s.node, d); (err == nil) != (want.err == "") || err != nil && !containsText(err, want.err) {
			t.Errorf("approval %d: %v, want %q", i, err, want.err)
		}
	}
	other := *d
	other.Digest = strings.Repeat("0", 64)
	if _, err := s.Approve(t.Context(), officer, d.Number, s.holders[1].key.ID(), ed25519.Sign(s.holders[1].private, s.Message(&other))); err == nil || !containsText(err, "is not that of the key") {
		t.Errorf("the signature of another digest: %v", err)
	}
	holders := s.disclosers
	s.disclosers = holders[:1] // one of the two holds the role no longer
	if _, _, err := s.HandOut(t.Context(), officer, d.Number); err == nil || !strings.Contains(err.Error(), "1 of 2 approvals") {
		t.Errorf("approved by who holds no role now: %v", err)
	}
	s.disclosers = holders
	s.node = s.reopen(t, s.node)
	s.add(t, access("a-1", 5, "192.0.2.11")) // what comes after is not of it
	file, digest, err := s.HandOut(t.Context(), officer, d.Number)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != digest || bytes.Contains(file, []byte("192.0.2")) {
		t.Error("the file is not that of the digest, or in clear")
	}
	opened, err := age.Decrypt(bytes.NewReader(file), s.reader)
	if err != nil {
		t.Fatal(err)
	}
	if got := must(io.ReadAll(opened)); !bytes.Equal(got, raw) {
		t.Error("the authority reads something else than what was approved")
	}
	table := s.verify(t, raw)
	if got, want := table.Counts(), (bundle.Counts{Customers: 1, Events: 3, Before: 2, Word: 1, Others: 1, FieldsShown: 6}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	for _, want := range []string{"2 events were logged before the demand", "Unaltered, field by field", "All that was filed under the handle " + s.ada.String() + " before the demand"} {
		if !strings.Contains(strings.Join(table.Proven(), "\n"), want) {
			t.Errorf("proven: %q, want %q", table.Proven(), want)
		}
	}
	for _, want := range []string{"That the provider filed everything", "1 event is not fixed by any period yet: the provider's word"} {
		if !strings.Contains(strings.Join(table.NotProven(), "\n"), want) {
			t.Errorf("not proven: %q, want %q", table.NotProven(), want)
		}
	}
	acts, _, err := s.House(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []event.Kind{event.KindPrepared, event.KindShown, event.KindApproved, event.KindDisclosed} {
		if !slices.ContainsFunc(acts, func(a customers.Logged) bool {
			return a.Kind == kind && a.Content.(*event.Act).Request == "disclosure/2027-7" && a.Content.(*event.Act).Digest != ""
		}) {
			t.Errorf("no %s event of the request", kind)
		}
	}
	all, err := s.Disclosures(t.Context())
	if err != nil || len(all) != 1 || all[0].State() != "disclosed" || all[0].Disclosed[0].Digest != digest {
		t.Errorf("disclosures %+v, %v", all, err)
	}
	s.audit(t)
}

// What was asked for is shown, and nothing else: days, kinds, fields.
func TestDisclosureShowsWhatWasAsked(t *testing.T) {
	s := newScene(t)
	s.ask.Asked.Fields = []string{"ip"}
	_, raw := s.prepare(t)
	if bytes.Contains(raw, []byte("login")) || bytes.Contains(raw, []byte("Ada")) || !bytes.Contains(raw, []byte("192.0.2.7")) {
		t.Errorf("fields:\n%s", raw)
	}
	if n := s.verify(t, raw).Counts(); n.Events != 3 || n.FieldsShown != 2 {
		t.Errorf("fields: %+v", n)
	}
	yesterday := record.DateOf(began, time.UTC).AddDays(-1)
	s.ask.Asked = bundle.Asked{Until: &yesterday}
	_, raw = s.prepare(t)
	table := s.verify(t, raw)
	if n := table.Counts(); n.Events != 0 || n.Others != 3 || bytes.Contains(raw, []byte(`"/event/kind"`)) {
		t.Errorf("days: %+v", n)
	}
	if !strings.Contains(strings.Join(table.NotProven(), "\n"), "beyond that it is the provider's word") {
		t.Errorf("nothing in the days asked: %q", table.NotProven())
	}
}

// A disclosure of nothing is possible, and says whose word it is.
func TestDisclosureOfNothing(t *testing.T) {
	s := newScene(t)
	s.ask.Handles, s.ask.Asked.LookedFor = nil, "Cara Venn, born 1990"
	d, raw := s.prepare(t)
	table := s.verify(t, raw)
	if text := strings.Join(table.NotProven(), "\n"); !strings.Contains(text, "no such customer is the provider's word") || d.Events != 0 {
		t.Errorf("nobody: %q", text)
	}
	s.ask.Handles = []event.Handle{{9}}
	d, raw = s.prepare(t)
	table = s.verify(t, raw)
	if text := strings.Join(table.Proven(), "\n"); !strings.Contains(text, "Nothing was filed under the handle 0900") || !strings.Contains(strings.Join(d.Leaves, "\n"), "that nothing is filed under it") {
		t.Errorf("a handle that nobody had: %q, %q", text, d.Leaves)
	}
	if text := strings.Join(table.NotProven(), "\n"); !strings.Contains(text, "That a person is no customer") {
		t.Errorf("a handle that nobody had: %q", text)
	}
	b := must(bundle.Parse(raw))
	b.Customers[0].Handle = s.ada
	if _, err := b.Verify(s.public); !errors.Is(err, bundle.ErrUnproven) {
		t.Errorf("the absence of one who is there: %v", err)
	}
}

// The newest period before any record: all of it is the provider's word.
func TestDisclosureBeforeAnyPeriod(t *testing.T) {
	s := newScene(t)
	w := newWorld(t)
	w.disclosers = s.disclosers
	n := w.mustOpen(t)
	defer n.close()
	s.ask.Handles = []event.Handle{n.add(t, opened("a-1", "Ada Reed"))[0].Handle}
	d, err := n.Prepare(t.Context(), officer, s.ask)
	if err != nil || !strings.Contains(strings.Join(d.NotProven, "\n"), "1 event is not fixed by any period yet") || d.Proven != nil {
		t.Errorf("%+v, %v", d, err)
	}
	s.ask.Handles = []event.Handle{{9}}
	if _, err := n.Prepare(t.Context(), officer, s.ask); !errors.Is(err, vault.ErrNoCustomer) {
		t.Errorf("a handle that nobody had: %v", err)
	}
}

// Of an erased customer it is said that he is, by the event; and a disclosure that waits stops
// the erasure.
func TestDisclosureOfErased(t *testing.T) {
	s := newSceneOf(t, threeYearsAgo)
	s.add(t, closed("a-1", threeYearsAgo+3))
	d, _ := s.prepare(t)
	if errs, err := s.Erase(t.Context(), officer, s.ada); err != nil || errs[0] == nil || !containsText(errs[0], "disclosure 1 names it") {
		t.Fatalf("erased under a disclosure: %v, %v", errs, err)
	}
	if _, err := s.Withdraw(t.Context(), officer, d.Number); err != nil {
		t.Fatal(err)
	}
	if errs, err := s.Erase(t.Context(), officer, s.ada); err != nil || errs[0] != nil {
		t.Fatalf("%v, %v", errs, err)
	}
	if _, err := s.Review(t.Context(), officer, d.Number); !errors.Is(err, customers.ErrChanged) {
		t.Errorf("what was prepared of an erased customer: %v", err)
	}
	// Erased after the period: the event is the provider's word, the map's entry is proven.
	_, raw := s.prepare(t)
	table := s.verify(t, raw)
	if c := table.Customers[0]; c.Erased == nil || c.Filed != 3 || c.Erased.FixedBy != nil {
		t.Errorf("erased since: %+v", c)
	}
	if _, err := s.ClosePeriod(t.Context(), day(-1)); err != nil {
		t.Fatal(err)
	}
	s.ledger.publish(t, s.node, "")
	s.public.Logs = s.ledger.logs
	s.ask.Public = s.public
	_, raw = s.prepare(t)
	table = s.verify(t, raw)
	if c := table.Customers[0]; c.Erased == nil || c.Filed != 5 || c.Erased.FixedBy == nil || table.FixedBefore {
		t.Errorf("erased: %+v", c)
	}
	if text := strings.Join(table.Proven(), "\n"); !strings.Contains(text, "was erased on") || !strings.Contains(text, "with the 4 events before") {
		t.Errorf("proven: %q", text)
	}
}

// A provider that lies about a chain is found by the bundle's own proofs.
func TestLyingBundles(t *testing.T) {
	s := newScene(t)
	late := access("a-1", 0, "192.0.2.77")
	late.ID, late.Time = "late", began.AddDate(0, 0, -5)
	s.add(t, late)
	if _, err := s.ClosePeriod(t.Context(), day(-1)); err != nil {
		t.Fatal(err)
	}
	s.ledger.publish(t, s.node, "")
	s.public = s.ledger.demand(s.ask.Recipient)
	s.ask.Public = s.public
	_, raw := s.prepare(t)
	table := s.verify(t, raw)
	if n := table.Counts(); n.Late != 1 || n.Before != 4 || !table.Customers[0].Events[3].Late {
		t.Errorf("back-dated: %+v", n)
	}
	if !strings.Contains(strings.Join(table.NotProven(), "\n"), "logged late") {
		t.Errorf("back-dated: %q", table.NotProven())
	}
	s.ask.Handles = []event.Handle{s.bo}
	_, others := s.prepare(t)
	elses := must(bundle.Parse(others))
	for name, c := range map[string]struct {
		lie  func(b *bundle.Bundle)
		want string
	}{
		"drops an event in the middle": {func(b *bundle.Bundle) { b.Customers[0].Events = slices.Delete(b.Customers[0].Events, 1, 2) }, "the map files 4 leaves"},
		"drops the last event":         {func(b *bundle.Bundle) { b.Customers[0].Events = b.Customers[0].Events[:3] }, "the map files 4 leaves"},
		"shows an event twice": {func(b *bundle.Bundle) {
			b.Customers[0].Events = append(b.Customers[0].Events, b.Customers[0].Events[3])
		}, "out of order"},
		"shows another's event": {func(b *bundle.Bundle) { b.Customers[0].Events[0] = elses.Customers[0].Events[0] }, "the map files 4 leaves"},
		"says that nothing is filed": {func(b *bundle.Bundle) {
			b.Customers[0].Filed, b.Customers[0].Events = nil, nil
		}, "the map has an entry"},
		"shows another's entry of the map": {func(b *bundle.Bundle) {
			b.Customers[0].Filed, b.Customers[0].Proof = elses.Customers[0].Filed, elses.Customers[0].Proof
		}, "the map"},
		"looks under another salt":  {func(b *bundle.Bundle) { b.Head.Log.KeySalt = b.Head.Log.MapSalt }, "the salt of the map's keys"},
		"rests on another record":   {func(b *bundle.Bundle) { b.Head.Log.Record = s.ledger.logs[0].ID }, "the public record"},
		"rests on a record unknown": {func(b *bundle.Bundle) { b.Head.Log.Record = record.ID{77} }, "not among those verified"},
		"answers another request":   {func(b *bundle.Bundle) { b.Head.Request = record.ID{77} }, "it answers the request"},
		"does not open what is asked": {func(b *bundle.Bundle) {
			o := &b.Customers[0].Events[2].Openings
			*o = (*o)[:len(*o)-1]
		}, "was asked for and is not opened"},
		"shows what was not asked for":         {func(b *bundle.Bundle) { b.Head.Fields = []string{"country"} }, "was not asked for and is opened"},
		"shows events that were not asked for": {func(b *bundle.Bundle) { b.Head.Kinds = []string{"opened"} }, "more of it is opened"},
		"says that he is erased": {func(b *bundle.Bundle) {
			b.Customers[0].Erased, b.Customers[0].Events = true, b.Customers[0].Events[:1]
		}, "not opened as the event by which"},
		"moves an event beyond the record": {func(b *bundle.Bundle) {
			e := &b.Customers[0].Events[3]
			e.Leaf, e.Path = e.Leaf+5000, nil
		}, "the map files 4 leaves"},
	} {
		b := must(bundle.Parse(raw))
		c.lie(b)
		again, err := b.Format()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err = must(bundle.Parse(again)).Verify(s.public); !errors.Is(err, bundle.ErrUnproven) || !containsText(err, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A holder approves one disclosure to one key. Whoever prepares the same bundle again, after it was
// withdrawn or to a key of his own, has no use of that signature, nor of a record that is no demand.
func TestApprovalIsOfOneDisclosureToOneKey(t *testing.T) {
	s := newScene(t)
	_, mine, err := vault.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	first, _ := s.prepare(t)
	signature := ed25519.Sign(s.holders[1].private, s.Message(first))
	if _, err := s.Withdraw(t.Context(), officer, first.Number); err != nil {
		t.Fatal(err)
	}
	again, _ := s.prepare(t)
	if again.Digest != first.Digest {
		t.Fatal("the same question has another bundle")
	}
	if _, err := s.Approve(t.Context(), officer, again.Number, s.holders[1].key.ID(), signature); err == nil || !containsText(err, "is not that of the key") {
		t.Errorf("an approval of what was withdrawn: %v", err)
	}
	other := *again
	if other.Recipient = mine; bytes.Equal(s.Message(&other), s.Message(again)) {
		t.Error("an approval says nothing of whom the bundle is encrypted to")
	}
	ask := s.ask
	ask.Recipient = mine
	if _, err := s.Prepare(t.Context(), officer, ask); err == nil || !containsText(err, "to the key that it names") {
		t.Errorf("encrypted to another than the request names: %v", err)
	}
	ask = s.ask
	ask.Public.Request = s.ledger.admit("disclosure/2027-7", "authority", &record.DisclosureRequest{Status: "withdrawn"}, [32]byte{1}, s.public.Request.ID)
	if _, err := s.Prepare(t.Context(), officer, ask); err == nil || !containsText(err, "is a later record of") {
		t.Errorf("an answer to a request's withdrawal: %v", err)
	}
}

// A request that asks another party is refused, with that as the reason.
func TestRequestToAnotherParty(t *testing.T) {
	s := newScene(t)
	ask := s.ask
	demand := *s.public.Request.Statement.Predicate.(*record.DisclosureRequest)
	demand.Provider.Text = "other-cloud"
	ask.Public.Request = s.ledger.admit("disclosure/2027-8", "authority", &demand, [32]byte{2}, record.ID{})
	_, err := s.Prepare(t.Context(), officer, ask)
	if r := new(record.Refusal); !errors.As(err, &r) || !containsText(err, "asks other-cloud") {
		t.Errorf("an answer to a request to another party: %v", err)
	}
}

// What was acknowledged of a disclosure outlives a loss of power, with its act in the house's chain.
func TestDisclosureOutlivesCrash(t *testing.T) {
	s := newScene(t)
	d, raw := s.prepare(t)
	crashed := func(state string, approved int) {
		t.Helper()
		n := s.onDisk(s.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})).mustOpen(t)
		defer n.close()
		got, err := n.Disclosure(t.Context(), d.Number)
		if err != nil || got.State() != state || len(got.Approved) != approved || got.Digest != d.Digest {
			t.Fatalf("after a crash: %+v, %v; want it %s by %d", got, err, state, approved)
		}
		acts, _, err := n.House(t.Context(), 0, 1)
		if err != nil || acts[0].Content.(*event.Act).Digest == "" {
			t.Errorf("the newest act is %+v, %v", acts, err)
		}
		if again, err := n.Review(t.Context(), officer, d.Number); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("after a crash the bundle is another: %v", err)
		}
	}
	crashed("prepared", 0)
	for i, h := range s.holders[:2] {
		if err := h.approve(t, s.node, d); err != nil {
			t.Fatal(err)
		}
		crashed([]string{"prepared", "approved"}[i], i+1)
	}
	if _, _, err := s.HandOut(t.Context(), officer, d.Number); err != nil {
		t.Fatal(err)
	}
	crashed("disclosed", 2)
	s.Lock()
	if _, _, err := s.HandOut(t.Context(), officer, d.Number); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("handed out of a locked vault: %v", err)
	}
	if _, err := s.Disclosures(t.Context()); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("read of a locked vault: %v", err)
	}
}

// What cannot be asked is refused, with what could.
func TestAskRefuses(t *testing.T) {
	s := newScene(t)
	from, until := day(-1), day(-2)
	for want, change := range map[string]func(a *customers.Ask){
		"name its record":          func(a *customers.Ask) { a.Public.Request = bundle.Record{} },
		"is a record of kind":      func(a *customers.Ask) { a.Public.Request = s.ledger.logs[0] },
		"age1pq1":                  func(a *customers.Ask) { a.Recipient = s.id.Recipient().String() },
		"named twice":              func(a *customers.Ask) { a.Handles = []event.Handle{s.ada, s.ada} },
		"none of a customer":       func(a *customers.Ask) { a.Handles = []event.Handle{event.House} },
		`did you mean "access"?`:   func(a *customers.Ask) { a.Asked.Kinds = []string{"acces"} },
		`no kind of event "shown"`: func(a *customers.Ask) { a.Asked.Kinds = []string{"shown"} },
		"no event has a field":     func(a *customers.Ask) { a.Asked.Fields = []string{"ipp"} },
		"before it begins":         func(a *customers.Ask) { a.Asked.From, a.Asked.Until = &from, &until },
	} {
		ask := s.ask
		change(&ask)
		var refusal *record.Refusal
		if _, err := s.Prepare(t.Context(), officer, ask); !errors.As(err, &refusal) || !containsText(err, want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	s.ask.Period = 2
	if _, err := s.Prepare(t.Context(), officer, s.ask); !errors.Is(err, customers.ErrPeriod) {
		t.Errorf("a period that is none: %v", err)
	}
	if _, err := s.Disclosure(t.Context(), 7); !errors.Is(err, customers.ErrNoDisclosure) {
		t.Errorf("a disclosure that is none: %v", err)
	}
	if all, err := s.Disclosures(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("what was refused is kept: %v, %v", all, err)
	}
}

// TestWriteBundleVectors writes, with -update, the bundle that package bundle tests what it reads by:
// salts are random, so that it is another each time.
func TestWriteBundleVectors(t *testing.T) {
	if !refusaltest.Update() {
		t.Skip("only with -update")
	}
	s := newScene(t)
	late := access("a-1", 0, "192.0.2.77")
	late.ID, late.Time = "late", began.AddDate(0, 0, -5)
	s.add(t, late)
	if _, err := s.ClosePeriod(t.Context(), day(-1)); err != nil {
		t.Fatal(err)
	}
	s.ledger.publish(t, s.node, "")
	s.public = s.ledger.demand(s.ask.Recipient)
	s.add(t, access("a-1", 4, "192.0.2.10"))
	s.ask.Public, s.ask.Handles = s.public, []event.Handle{s.ada, s.bo}
	from := record.DateOf(began, time.UTC).AddDays(-7)
	s.ask.Asked = bundle.Asked{From: &from, Kinds: []string{"access"}, Fields: []string{"ip"}, LookedFor: "Ada Reed & Bo Lindqvist"}
	_, raw := s.prepare(t)
	var public []byte
	for _, r := range append(slices.Clone(s.public.Logs), s.public.Request) {
		public = append(append(public, must(record.EncodeStatement(r.Statement))...), '\n')
	}
	dir := filepath.Join("bundle", "testdata")
	for name, content := range map[string][]byte{"two.disclosure": raw, "public.jsonl": public} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}
