package customers_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// Missed periods are caught up in order, each record extending the one before; what people
// sign says what was drafted, and the receipt is kept.
func TestPublish(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer func() { n.close() }()
	public := customers.PublicLog{}
	if _, err := n.NextRecord(t.Context(), officer, public, ""); !errors.Is(err, customers.ErrAllPublished) {
		t.Errorf("no period: %v", err)
	}
	for i := range 3 {
		n.add(t, opened("a-"+string(rune('1'+i)), "Ada Reed"))
		if _, err := n.ClosePeriod(t.Context(), day(i-4)); err != nil {
			t.Fatal(err)
		}
	}
	signer := must(draft.NewSigner(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	var ids []record.ID
	for i := range 3 {
		next, err := n.NextRecord(t.Context(), officer, public, "")
		if err != nil {
			t.Fatal(err)
		}
		if next.Period.Number != uint64(i+1) || next.Left != 2-i || (next.Predicate.VKey != "") != (i == 0) || (next.Predicate.Consistency != nil) != (i > 0) {
			t.Errorf("record %d: %+v", i, next)
		}
		st, receipt := sign(t, signer, next)
		if !reflect.DeepEqual(st.Predicate, next.Predicate) || st.Subject.SHA256 != next.Period.Root {
			t.Errorf("signed %+v, drafted %+v", st.Predicate, next.Predicate)
		}
		if i > 0 {
			checkExtends(t, public.Newest.Statement, st)
		}
		public.Newest.ID, public.Newest.Statement, public.VKey = record.IDOf(must(record.EncodeStatement(st))), st, w.signer.Key().String()
		ids = append(ids, public.Newest.ID)
		if i == 1 {
			continue // its receipt is lost
		}
		if p, err := n.Recorded(t.Context(), officer, receipt); err != nil || p.Record != public.Newest.ID {
			t.Errorf("recorded %+v, %v", p, err)
		}
		if kept, err := n.Receipt(next.Period.Number); err != nil || string(kept) != string(receipt) {
			t.Errorf("the receipt of period %d is not kept: %v", i+1, err)
		}
	}
	if _, err := n.NextRecord(t.Context(), officer, public, ""); !errors.Is(err, customers.ErrAllPublished) {
		t.Errorf("all published: %v", err)
	}
	n = w.reopen(t, n)
	for i, p := range n.Periods() {
		if p.Record != ids[i] {
			t.Errorf("period %d is published by %s, want %s: a lost receipt is made up for", i+1, p.Record, ids[i])
		}
	}
	if _, err := n.Receipt(2); err == nil {
		t.Error("a receipt that never came is there")
	}
}

// sign is what docket sign and the ledger make of a draft.
func sign(t *testing.T, signer *draft.Signer, next *customers.NextRecord) (*record.Statement, []byte) {
	t.Helper()
	form, err := draft.ParseShortForm([]byte(next.ShortForm()), draft.ShortFormResolver{})
	if err != nil {
		t.Fatalf("%v\n%s", err, next.ShortForm())
	}
	payload, _, err := form.Fill(draft.FillValues{Ledger: charter, IssuedAt: began, Follows: next.Follows})
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := signer.Sign(t.Context(), record.Envelope{Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	v, err := record.Open(envelope, func(*record.Statement) []*record.Key { return []*record.Key{signer.Key()} })
	if err != nil {
		t.Fatal(err)
	}
	entry, err := v.Entry(began, func(*record.Key) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return v.Statement(), must(proof.Receipt{Entry: entry.Marshal(), Checkpoint: next.Period.Checkpoint}.Format())
}

// checkExtends judges two records as the register does.
func checkExtends(t *testing.T, before, next *record.Statement) {
	t.Helper()
	from, to := before.Predicate.(*record.CustomerLog), next.Predicate.(*record.CustomerLog)
	var path []proof.Hash
	for _, text := range to.Consistency {
		path = append(path, must(proof.ParseHash(text)))
	}
	if err := proof.VerifyConsistency(proof.Tree{Size: uint64(from.Size), Root: before.Subject.SHA256}, proof.Tree{Size: uint64(to.Size), Root: next.Subject.SHA256}, path); err != nil {
		t.Error(err)
	}
}

// A restored backup is found before it publishes anything; a log that was lost begins anew
// only where somebody says why.
func TestPublishAlarms(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer func() { n.close() }()
	n.add(t, opened("a-1", "Ada Reed"))
	if _, err := n.ClosePeriod(t.Context(), day(-3)); err != nil {
		t.Fatal(err)
	}
	public := &ledgerOf{}
	public.publish(t, n, "")
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	backup := w.onDisk(vfs.NewMem())
	if ok, err := vfs.Clone(w.fs, backup.fs, "", ""); !ok || err != nil {
		t.Fatal(ok, err)
	}
	n = w.mustOpen(t)
	n.add(t, opened("b-2", "Bo Lindqvist"))
	if _, err := n.ClosePeriod(t.Context(), day(-2)); err != nil {
		t.Fatal(err)
	}
	public.publish(t, n, "")
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	n = backup.mustOpen(t)
	alarm := func(what, want string) {
		t.Helper()
		if _, err := n.NextRecord(t.Context(), officer, public.public, ""); !errors.Is(err, customers.ErrNotLedUp) || !containsText(err, want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	alarm("a backup", "fixes 2000 leaves, and the newest period here ends at 1000")
	n.add(t, opened("c-3", "Cara Venn"))
	for i := range 2 {
		if _, err := n.ClosePeriod(t.Context(), day(i-2)); err != nil {
			t.Fatal(err)
		}
	}
	alarm("a backup that went on", "Was a backup of the log restored?")
	if _, err := n.NextRecord(t.Context(), officer, public.public, "lost"); !isConflict(err) {
		t.Errorf("a restart under the same origin: %v", err)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}

	other := newWorldOf(t, origin+"-2")
	n = other.mustOpen(t)
	n.add(t, opened("a-1", "Ada Reed"))
	if _, err := n.ClosePeriod(t.Context(), day(-1)); err != nil {
		t.Fatal(err)
	}
	alarm("another log", "publish with a restart")
	if _, err := n.NextRecord(t.Context(), officer, customers.PublicLog{}, "lost"); !isConflict(err) {
		t.Errorf("a restart of nothing: %v", err)
	}
	next, err := n.NextRecord(t.Context(), officer, public.public, "Both copies burnt: \"all\".")
	if err != nil {
		t.Fatal(err)
	}
	if next.Predicate.Restart.Reason != "Both copies burnt: \"all\"." || next.Predicate.VKey != other.signer.Key().String() || next.Predicate.Consistency != nil || next.Follows != public.public.Newest.ID {
		t.Errorf("restart %+v", next.Predicate)
	}
	st, receipt := sign(t, must(draft.NewSigner(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))), next)
	if !reflect.DeepEqual(st.Predicate, next.Predicate) {
		t.Errorf("signed %+v, drafted %+v", st.Predicate, next.Predicate)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	n = w.mustOpen(t)
	if _, err := n.Recorded(t.Context(), officer, receipt); !isConflict(err) {
		t.Errorf("the receipt of another log: %v", err)
	}
	if _, err := n.Recorded(t.Context(), officer, []byte("no receipt\n")); err == nil {
		t.Error("what is no receipt is kept")
	}
}

func isConflict(err error) bool {
	var refusal *record.Refusal
	return errors.As(err, &refusal) && refusal.Class == record.Conflict
}
