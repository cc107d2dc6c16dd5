package register_test

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

var start = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

// judgeRefused judges a record whose signatures are looked up among every key that the
// test made, not only among the register's candidates: an attacker's keyid hint
// is no excuse for admitting what Open would not have offered.
func judgeRefused(t *testing.T, b *registertest.Fixture, env record.Envelope, keys ...string) error {
	t.Helper()
	v, err := record.Open(env, func(st *record.Statement) []*record.Key {
		all := b.Register.CandidateKeys(st)
		for _, name := range keys {
			all = append(all, b.Signer(name).Key())
		}
		return all
	})
	if err != nil {
		return err
	}
	d := b.Register.Begin(b.Now)
	before := d.NextIndex()
	_, err = d.Judge(v)
	var refusal *record.Refusal
	switch {
	case err == nil:
		t.Errorf("%s on %s was admitted", v.Statement().Kind, v.Statement().Thread)
	case !errors.As(err, &refusal):
		t.Errorf("an error that is no refusal: %v", err)
	case d.NextIndex() != before || d.Len() != 0:
		t.Errorf("a refusal moved the draft")
	}
	return err
}

// sign makes the record and signs it with each of these keys.
func sign(b *registertest.Fixture, thread record.Thread, issuer string, p record.Predicate, keys ...string) (record.Envelope, []string) {
	return b.Sign(b.Statement(thread, issuer, p), keys...), keys
}

// wantRefusal asserts what an error is and where it lies: "invalid /predicate/windDownBy"
// is a refusal with one fault, "forbidden" one of a whole record; "entry 5 conflict" is an
// entry to blame, "entry 5" one for what no record is refused for; "upgrade 5" and "not
// shown 5" blame none. Its words are those of the golden file.
func wantRefusal(t *testing.T, err error, want string) *record.Refusal {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", want)
	}
	var (
		got     []string
		entry   *register.EntryError
		upgrade *register.UpgradeError
		hidden  *register.NotShownError
		refusal *record.Refusal
	)
	words := err.Error()
	switch {
	case errors.As(err, &upgrade):
		got = append(got, fmt.Sprint("upgrade ", upgrade.Index))
	case errors.As(err, &entry):
		got = append(got, fmt.Sprint("entry ", entry.Index))
	case errors.As(err, &hidden):
		got = append(got, fmt.Sprint("not shown ", hidden.Index))
	}
	if errors.As(err, &refusal) {
		got = append(got, classNames[refusal.Class])
		for _, f := range refusal.Faults {
			got = append(got, cmp.Or(f.Pointer, "(whole)"))
		}
		for _, f := range refusal.Faults[min(1, len(refusal.Faults)):] {
			words += "\n" + f.String()
		}
	}
	if got := strings.Join(got, " "); got != want {
		t.Fatalf("got %s (%v), want %s", got, err, want)
	}
	refusaltest.Words(t, words)
	return refusal
}

var classNames = map[record.RefusalClass]string{
	record.Malformed: "malformed", record.TooLarge: "too large", record.Invalid: "invalid", record.Forbidden: "forbidden",
	record.Conflict: "conflict", record.TooEarly: "too early", record.Unsupported: "unsupported",
}

// wantSigners lists whose signatures an entry kept.
func wantSigners(t *testing.T, b *registertest.Fixture, e record.Entry, want ...string) {
	t.Helper()
	var ids, wanted []string
	for _, s := range e.Envelope.Signatures {
		ids = append(ids, s.KeyID)
	}
	for _, name := range want {
		wanted = append(wanted, b.KeyID(name))
	}
	slices.Sort(wanted)
	if !slices.Equal(ids, wanted) {
		t.Errorf("kept signatures %v, want %v (%v)", ids, wanted, want)
	}
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// today is the admission date of the book's next record.
func today(b *registertest.Fixture) record.Date {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	return record.DateOf(b.Now, zone)
}

func ptr[T any](v T) *T { return &v }

func rawKey(s *draft.Signer) []byte { return s.Key().Public().(ed25519.PublicKey) }

// indexedNames lists the names under which a thread is found, in the dump.
func indexedNames(t *testing.T, b *registertest.Fixture, thread record.Thread) (names []string) {
	t.Helper()
	for _, line := range strings.Split(dump(t, b.Register), "\n") {
		if rest, ok := strings.CutPrefix(line, `"nname\x1f`); ok {
			if name, rest, ok := strings.Cut(rest, `\x1f`); ok && strings.HasPrefix(rest, string(thread)+`\x00`) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// sameWords compares lists that are joined by "; ".
func sameWords(a, b string) bool {
	x, y := strings.Split(a, "; "), strings.Split(b, "; ")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

func dump(t *testing.T, r *register.Register) string {
	t.Helper()
	var b strings.Builder
	if err := r.Dump(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func latestView(t *testing.T, b *registertest.Fixture) *view.View {
	t.Helper()
	v, err := view.Latest(b.Register)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
