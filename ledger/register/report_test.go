package register_test

import (
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

const (
	customersOrigin = "acme-cloud.example/customers"
	customersThread = "customer-log/acme-cloud"
)

// customersFixture is a provider whose private log of 7 leaves is committed to.
func customersFixture() (*registertest.Fixture, *registertest.PrivateLog) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	l := registertest.NewPrivateLog(customersOrigin)
	l.Grow(7)
	b.Must(b.Sign(b.Statement(customersThread, "acme-cloud", l.Commit(today(b))), "acme-cloud/ci"))
	return b, l
}

// A private log grows, stays as it is, changes its key, and may be lost and begun anew.
func TestCustomerLogLife(t *testing.T) {
	b, l := customersFixture()
	size, vkey := uint64(7), l.VKey()
	commit := func(change func(*record.CustomerLog), by string) {
		t.Helper()
		c := l.Commit(today(b), size)
		if change != nil {
			change(c)
		}
		mustSubmit(t, b, customersThread, "acme-cloud", c, by)
		size = l.Tree().Size
	}
	commit(nil, "acme-cloud/ci") // unchanged
	for _, n := range []int{1, 300, 692} {
		l.Grow(n)
		commit(nil, "acme-cloud/compliance")
	}
	l.Rotate("2027")
	l.Grow(1)
	commit(func(c *record.CustomerLog) { c.VKey = l.VKey() }, "acme-cloud/ci")
	l.Grow(1)
	commit(nil, "acme-cloud/ci")

	l = registertest.NewPrivateLog(customersOrigin + "-2")
	l.Grow(3)
	c := l.Commit(today(b))
	c.Restart = &record.LogRestart{Reason: "Both copies were lost."}
	mustSubmit(t, b, customersThread, "acme-cloud", c, "acme-cloud/compliance")
	size = 3
	l.Grow(4)
	commit(nil, "acme-cloud/ci")
	if l.VKey() == vkey {
		t.Error("the new log has the old one's key")
	}
	if got := b.Register.Size(); got != uint64(len(b.Entries)) {
		t.Errorf("size %d, want %d", got, len(b.Entries))
	}
}

// What a provider publishes of its private log is held to what it published before.
func TestCustomerLogRefusals(t *testing.T) {
	b, l := customersFixture()
	old := l.Commit(today(b), 7) // the log of 7 leaves, once more
	l.Grow(5)
	other := registertest.NewPrivateLog(customersOrigin + "-2")
	other.Grow(12)
	forked := registertest.NewPrivateLog("fork.example")
	forked.Grow(12)
	rotated := registertest.NewPrivateLog(customersOrigin)
	rotated.Rotate("2027")
	rotated.Grow(12)
	borealis := registertest.NewPrivateLog("borealis.example/customers")
	mustSubmit(t, b, "customer-log/borealis", "borealis", borealis.Commit(today(b)), "borealis/ci")
	ledgers := registertest.NewPrivateLog("docket.example/test")
	restart := &record.LogRestart{Reason: "r"}
	for _, c := range []struct {
		name string
		say  *record.CustomerLog
		made func(*record.CustomerLog)
		by   string
		want string
	}{
		{"one leaf too few", old, nil, "acme-cloud/ci", ""},
		{"grown", l.Commit(today(b), 7), nil, "acme-cloud/ci", ""},
		{"signed by recovery", l.Commit(today(b), 7), nil, "acme-cloud/safe", "forbidden"},
		{"signed by another provider", l.Commit(today(b), 7), nil, "borealis/ci", "forbidden"},
		{"a day to come", l.Commit(today(b).AddDays(1), 7), nil, "acme-cloud/ci", "invalid /predicate/periodUntil"},
		{"no proof", l.Commit(today(b), 7), func(c *record.CustomerLog) { c.Consistency = nil }, "acme-cloud/ci", "invalid /predicate/consistency"},
		{"a proof from another size", l.Commit(today(b), 6), nil, "acme-cloud/ci", "invalid /predicate/consistency"},
		{"a hash too many", l.Commit(today(b), 7), func(c *record.CustomerLog) { c.Consistency = append(c.Consistency, c.Consistency[0]) }, "acme-cloud/ci", "invalid /predicate/consistency"},
		{"unchanged, with a proof", old, func(c *record.CustomerLog) { c.Consistency = l.Consistency(7) }, "acme-cloud/ci", "invalid /predicate/consistency"},
		{"another history", rotated.Commit(today(b), 7), func(c *record.CustomerLog) { c.VKey = rotated.VKey(); c.Consistency[0] = proof.EmptyRoot().String() }, "acme-cloud/ci", "invalid /predicate/consistency"},
		{"another log's name", other.Commit(today(b), 7), nil, "acme-cloud/ci", "invalid /predicate/origin"},
		{"another log's name and key", other.Commit(today(b)), nil, "acme-cloud/ci", "invalid /predicate/origin"},
		{"restarted, and not lost", l.Commit(today(b)), func(c *record.CustomerLog) { c.Restart = restart }, "acme-cloud/ci", "invalid /predicate/origin"},
		{"the key that it has", l.Commit(today(b), 7), func(c *record.CustomerLog) { c.VKey = l.VKey() }, "acme-cloud/ci", "invalid /predicate/vkey"},
		{"rotated without saying so", rotated.Commit(today(b), 7), nil, "acme-cloud/ci", "invalid /predicate/checkpoint"},
		{"rotated, signed by the old key", l.Commit(today(b), 7), func(c *record.CustomerLog) { c.VKey = rotated.VKey() }, "acme-cloud/ci", "invalid /predicate/checkpoint"},
		{"a signature altered", l.Commit(today(b), 7), func(c *record.CustomerLog) { c.Checkpoint = c.Checkpoint[:len(c.Checkpoint)-9] + "AAAAAAA=\n" }, "acme-cloud/ci", "invalid /predicate/checkpoint"},
		{"this ledger's name", ledgers.Commit(today(b)), func(c *record.CustomerLog) { c.Restart = restart }, "acme-cloud/ci", "invalid /predicate/origin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			say := *c.say
			if c.made != nil {
				c.made(&say)
			}
			env, keys := sign(b, customersThread, "acme-cloud", &say, c.by)
			if c.want == "" {
				v, err := record.Open(env, b.Register.CandidateKeys)
				if err == nil {
					_, err = b.Register.Begin(b.Now).Judge(v)
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefusal(t, judgeRefused(t, b, env, keys...), c.want)
		})
	}

	mustSubmit(t, b, customersThread, "acme-cloud", l.Commit(today(b), 7), "acme-cloud/ci")
	env, _ := sign(b, customersThread, "acme-cloud", old, "acme-cloud/ci")
	wantRefusal(t, judgeRefused(t, b, env), "invalid /predicate/size")

	// A key that a log ever had is nobody's afterwards, not its own either.
	rotated.Grow(1)
	next := rotated.Commit(today(b), 12)
	next.VKey = rotated.VKey()
	mustSubmit(t, b, customersThread, "acme-cloud", next, "acme-cloud/ci")
	l.Grow(2)
	back := l.Commit(today(b), 13)
	back.VKey = l.VKey()
	env, _ = sign(b, customersThread, "acme-cloud", back, "acme-cloud/ci")
	wantRefusal(t, judgeRefused(t, b, env), "invalid /predicate/vkey")
}

// The key of a private log is no party's, no root key, no log's or witness's, and none of
// the ledger's notes; and each of these is no private log's.
func TestKeysOfNotesAreApart(t *testing.T) {
	b, l := customersFixture()
	refusals, receipts := registertest.NewPrivateLog("refusals.example"), registertest.NewPrivateLog("receipts.example")
	all := []string{"root/root-1", "root/root-2"}
	charter := func(refusalsKey, receiptKey string) record.Envelope {
		return charterEnvelope(b, func(c *record.Charter) { c.RefusalsKey, c.ReceiptKey = refusalsKey, receiptKey }, all...)
	}
	wantRefusal(t, judgeRefused(t, b, charter(l.VKey(), "")), "invalid /predicate/refusalsKey")
	wantRefusal(t, judgeRefused(t, b, charter(refusals.VKey(), refusals.VKey())), "invalid /predicate/receiptKey")
	wantRefusal(t, judgeRefused(t, b, charter(registertest.VKeyOf("notes.example", rawKey(b.Signer("root/root-1"))), "")), "invalid /predicate/refusalsKey")
	wantRefusal(t, judgeRefused(t, b, charter("", registertest.VKeyOf("notes.example", rawKey(b.Signer("acme-cloud/ci"))))), "invalid /predicate/receiptKey")
	b.Must(charter(refusals.VKey(), receipts.VKey()))
	b.Must(charter(refusals.VKey(), receipts.VKey())) // the same owners keep them
	wantRefusal(t, judgeRefused(t, b, charter(receipts.VKey(), "")), "invalid /predicate/refusalsKey")

	// A provider's log with a key that is another's.
	stolen := registertest.NewPrivateLog("refusals.example")
	env, _ := sign(b, "customer-log/borealis", "borealis", stolen.Commit(today(b)), "borealis/ci")
	wantRefusal(t, judgeRefused(t, b, env), "invalid /predicate/vkey")
	again := registertest.NewPrivateLog(customersOrigin)
	env, _ = sign(b, "customer-log/borealis", "borealis", again.Commit(today(b)), "borealis/ci")
	wantRefusal(t, judgeRefused(t, b, env), "invalid /predicate/vkey")
}

// Reports are about days that are over, and filed by providers.
func TestReports(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	day := today(b)
	for _, c := range []struct {
		name   string
		thread record.Thread
		say    record.Predicate
		by     string
		want   string
	}{
		{"abuse until tomorrow", "abuse/acme-cloud", &record.AbuseReport{PeriodFrom: day, PeriodUntil: day.AddDays(1), Band: "0"}, "acme-cloud/ci", "invalid /predicate/periodUntil"},
		{"abuse, by recovery", "abuse/acme-cloud", &record.AbuseReport{PeriodFrom: day, PeriodUntil: day, Band: "0"}, "acme-cloud/safe", "forbidden"},
		{"a run known tomorrow", "ai/1/acme-cloud", &record.AITrainingReport{KnownOn: day.AddDays(1), Threshold: "t"}, "acme-cloud/ci", "invalid /predicate/knownOn"},
		{"a run, by recovery", "ai/1/acme-cloud", &record.AITrainingReport{KnownOn: day, Threshold: "t"}, "acme-cloud/safe", "forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env, keys := sign(b, c.thread, "acme-cloud", c.say, c.by)
			wantRefusal(t, judgeRefused(t, b, env, keys...), c.want)
		})
	}
	mustSubmit(t, b, "abuse/acme-cloud", "acme-cloud", &record.AbuseReport{PeriodFrom: day.AddDays(-30), PeriodUntil: day, Band: "10-99"}, "acme-cloud/ci")
	mustSubmit(t, b, "abuse/acme-cloud", "acme-cloud", &record.AbuseReport{PeriodFrom: day.AddDays(-90), PeriodUntil: day.AddDays(-60), Band: "0"}, "acme-cloud/compliance")
	mustSubmit(t, b, "ai/1/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: day.AddDays(-400), Threshold: "t"}, "acme-cloud/ci") // late, and admitted
	mustSubmit(t, b, "ai/1/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: day, Threshold: "t"}, "acme-cloud/compliance")
	mustSubmit(t, b, "party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: day, Reason: "r"}, "authority/officer-1")
	env, keys := sign(b, "ai/2/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: day, Threshold: "t"}, "acme-cloud/ci")
	wantRefusal(t, judgeRefused(t, b, env, keys...), "forbidden")
}
