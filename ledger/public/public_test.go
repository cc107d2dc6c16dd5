package public_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

const testOrigin = "log.example/1"

// publicLedger is a public ledger with the people who write to it.
type publicLedger struct {
	*registertest.World
	l                *public.Ledger
	fs               vfs.FS
	signer           *proof.Signer
	store            *pebblestore.Store
	reg              *register.Register
	commitAndPublish func() // commits and publishes
}

func newPublicLedger(t testing.TB, fs vfs.FS, dir string) *publicLedger {
	signer, policy := newLogKey(t)
	o := &publicLedger{World: registertest.New(time.Now(), testOrigin, policy.Text()), fs: fs, signer: signer}
	o.open(t, dir, ledger.Config{})
	return o
}

func (o *publicLedger) open(t testing.TB, dir string, c ledger.Config) {
	t.Helper()
	options := registertest.SmallOptions()
	so := pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20}
	if o.fs == vfs.Default {
		options.CacheBytes, options.MemTableBytes, options.CachedThreads = 0, 0, 0
		so = pebblestore.Options{}
	}
	options.CheckPolicy, options.PolicyKeys = proof.CheckCharterPolicy, proof.PolicyEd25519Keys
	var err error
	if o.store, err = pebblestore.Open(o.fs, dir+"log", so); err != nil {
		t.Fatal(err)
	}
	if o.reg, err = register.Open(o.fs, dir+"register", options); err != nil {
		t.Fatal(err)
	}
	c.Origin, c.Signers = testOrigin, []*proof.Signer{o.signer}
	if o.l, err = ledger.Open(t.Context(), o.store, public.Fold(o.reg), c); err != nil {
		t.Fatal(err)
	}
	o.commitAndPublish = func() {
		if err := errors.Join(o.l.Commit(t.Context()), o.l.Publish(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
}

func (o *publicLedger) close(t testing.TB) {
	t.Helper()
	if err := errors.Join(o.reg.Close(), o.store.Close()); err != nil {
		t.Fatal(err)
	}
}

// submit opens, appends and steps; it notes what was admitted.
func (o *publicLedger) submit(t testing.TB, env record.Envelope) (ledger.Admission, error) {
	t.Helper()
	v, err := record.Open(env, o.reg.CandidateKeys)
	if err != nil {
		return ledger.Admission{}, err
	}
	ticket, err := o.l.Append(t.Context(), v)
	if err != nil {
		return ledger.Admission{}, err
	}
	o.commitAndPublish()
	a, err := ticket.AwaitCommitted(t.Context())
	if err == nil {
		o.NoteAdmitted(env)
	}
	return a, err
}

func (o *publicLedger) mustSubmit(t testing.TB, env record.Envelope) ledger.Admission {
	t.Helper()
	a, err := o.submit(t, env)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A small public ledger: the register judges, the same record is the same entry,
// one signature too few is refused and then enough, a register that is lost comes
// back, and every receipt verifies with the charter's policy.
func TestPublicLedger(t *testing.T) {
	o := newPublicLedger(t, vfs.NewCrashableMem(), "")
	o.mustSubmit(t, o.Charter())
	o.mustSubmit(t, o.Authority())
	o.mustSubmit(t, o.Provider("acme-cloud"))

	order := o.Statement("designation/2026-014", record.Authority, o.NewDesignation("Kestrel Hosting"))
	half := o.Sign(order, "authority/officer-1")
	if _, err := o.submit(t, half); !strings.Contains(fmt.Sprint(err), "2 officers needed, 1 signed") {
		t.Errorf("one officer's signature: %v", err)
	}
	whole := o.Sign(order, "authority/officer-1", "authority/officer-2")
	if a := o.mustSubmit(t, whole); a != (ledger.Admission{Index: 3}) {
		t.Errorf("two officers' signatures: %+v", a)
	}
	answer := o.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged", Conditions: []string{"c1"}})
	v, err := record.Open(answer, o.reg.CandidateKeys)
	if err != nil {
		t.Fatal(err)
	}
	draft := o.reg.Begin(time.Now())
	if _, err := draft.Judge(v); err != nil {
		t.Errorf("dry run: %v", err)
	}
	if effects := must(view.Effects(draft)); len(effects) == 0 {
		t.Error("a dry run without effects")
	}
	if a := o.mustSubmit(t, answer); a != (ledger.Admission{Index: 4}) {
		t.Errorf("after the dry run: %+v", a)
	}
	if a := o.mustSubmit(t, answer); a != (ledger.Admission{Index: 4, Duplicate: true}) {
		t.Errorf("sent again: %+v", a)
	}

	var before, after strings.Builder
	if err := o.reg.Dump(&before); err != nil {
		t.Fatal(err)
	}
	o.close(t)
	if err := o.fs.RemoveAll("register"); err != nil {
		t.Fatal(err)
	}
	o.open(t, "", ledger.Config{})
	defer func() { o.close(t) }()
	if err := o.reg.Dump(&after); err != nil {
		t.Fatal(err)
	}
	if before.String() != after.String() {
		t.Error("the replayed register differs from the one in use")
	}
	if a := o.mustSubmit(t, answer); a != (ledger.Admission{Index: 4, Duplicate: true}) {
		t.Errorf("sent again after the replay: %+v", a)
	}
	policy := must(proof.ParsePolicy([]byte(o.CharterPredicate.Policy)))
	published := o.l.Published()
	for i := range uint64(5) {
		r := must(o.l.ReceiptAgainst(t.Context(), i, published))
		r = must(proof.ParseReceipt(must(r.Format())))
		v, err := r.Verify(policy, time.Now())
		if err != nil {
			t.Fatalf("receipt %d: %v", i, err)
		}
		e, err := record.ParseEntry(v.Entry())
		if err != nil || e.Admitted.After(time.Now()) {
			t.Errorf("entry %d: %+v, %v", i, e, err)
		}
	}
}

// BenchmarkRecords appends real responses, verified beforehand, under the full
// fold; choose how many with -benchtime 30000x.
func BenchmarkRecords(b *testing.B) {
	const providers = 64
	o := newPublicLedger(b, vfs.Default, b.TempDir()+"/")
	defer o.close(b)
	o.mustSubmit(b, o.Charter())
	o.mustSubmit(b, o.Authority())
	for i := range providers {
		o.mustSubmit(b, o.Provider(fmt.Sprintf("provider-%02d", i)))
	}
	for i := range b.N/providers + 1 {
		name := fmt.Sprintf("2026-%05d", i)
		env := o.Designate(name, o.NewDesignation("Kestrel "+name))
		if _, err := o.l.Append(b.Context(), must(record.Open(env, o.reg.CandidateKeys))); err != nil {
			b.Fatal(err)
		}
		o.NoteAdmitted(env)
	}
	o.commitAndPublish()
	verified := make([]record.Verified, b.N)
	for i := range verified {
		env := o.Respond(fmt.Sprintf("2026-%05d", i/providers), fmt.Sprintf("provider-%02d", i%providers),
			&record.Response{Status: "acknowledged", Conditions: []string{"c1"}})
		verified[i] = must(record.Open(env, o.reg.CandidateKeys))
	}
	start := o.l.Head().Size
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- o.l.Run(ctx) }()
	b.ResetTimer()
	b.ReportAllocs()
	before := cpuTime()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 4096 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				ticket, err := o.l.Append(b.Context(), verified[i])
				if err == nil {
					_, err = ticket.AwaitCommitted(b.Context())
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/entry")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	entries, err := o.l.Entries(b.Context(), start, start+1)
	if err != nil || o.l.Head().Size != start+uint64(b.N) {
		b.Fatal(o.l.Head().Size, err)
	}
	b.ReportMetric(float64(len(entries[0])), "bytes/entry")
}

// cpuTime is the processor time that the process has used: what a busy machine does not change.
func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// newLogKey makes a log key and the policy that wants it and no witness.
func newLogKey(t testing.TB) (*proof.Signer, *proof.Policy) {
	t.Helper()
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	return must(proof.ParseSigner(skey)), must(proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n")))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
