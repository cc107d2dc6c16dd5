package server

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func TestBucketsRefillAndSayHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets(Rate{PerSecond: 2, Burst: 3}, 10)
		for i := range 3 {
			if _, ok := b.take("acme"); !ok {
				t.Fatalf("token %d of a full bucket of 3 was refused", i+1)
			}
		}
		wait, ok := b.take("acme")
		if ok || wait != 500*time.Millisecond {
			t.Fatalf("an empty bucket gave %v, %v; want a wait of 500ms", wait, ok)
		}
		if w, empty := b.empty("acme"); !empty || w != 500*time.Millisecond {
			t.Errorf("empty: %v, %v; want 500ms, true", w, empty)
		}
		if _, ok := b.take("borealis"); !ok {
			t.Error("one key's bucket drained another's")
		}
		time.Sleep(wait)
		if _, ok := b.take("acme"); !ok {
			t.Error("refused after the wait that it asked for")
		}
	})
}

func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets(Rate{PerSecond: 1, Burst: 2}, 8)
		b.take("busy")
		b.take("busy")
		for i := range 100 {
			b.take(fmt.Sprint("once-", i))
			if n := len(b.byKey); n > 8 {
				t.Fatalf("%d buckets, bound 8", n)
			}
		}
		time.Sleep(time.Second) // all but busy's are full again, and may be forgotten
		b = newBuckets(Rate{PerSecond: 1, Burst: 2}, 4)
		b.take("busy")
		b.take("busy")
		for i := range 3 {
			b.take(fmt.Sprint("idle-", i))
		}
		time.Sleep(time.Second)
		b.take("new")
		if _, empty := b.empty("busy"); empty {
			t.Error("busy has one token again by now")
		}
		if b.byKey["busy"] == nil {
			t.Error("a bucket in use was forgotten while full ones could be")
		}
	})
}

func TestNoBuckets(t *testing.T) {
	b := newBuckets(Rate{PerSecond: -1}, 8)
	for range 1000 {
		if _, ok := b.take("any"); !ok {
			t.Fatal("an unlimited rate refused")
		}
	}
}

// A rate that never gives a token back would lock out for good whoever used up his
// burst.
func TestRatesThatEnd(t *testing.T) {
	for _, r := range []Rate{{PerSecond: -1}, {PerSecond: -1, Burst: 7}, {PerSecond: 0.001}, {PerSecond: 50, Burst: 500}} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if (Rate{}).Check() == nil {
		t.Error("no record at all, ever, was taken for a rate")
	}
	for _, r := range []Rate{{Burst: 500}, {Burst: -1}, {PerSecond: math.NaN(), Burst: 1}, {PerSecond: math.Inf(1), Burst: 1}, {PerSecond: 5, Burst: -1}} {
		if r.Check() == nil {
			t.Errorf("%+v was taken", r)
		}
		for _, c := range []Config{{IssuerRate: r}, {ImporterRate: r}, {ForgeryRate: r}} {
			c.Ledger, c.Register = new(ledger.Public), new(register.Register)
			if _, err := New(c); err == nil {
				t.Errorf("%+v was taken for a server", r)
			}
		}
	}
}
