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
		b := newTokenBuckets(Rate{PerSecond: 2, Burst: 3}, 10)
		for i := range 3 {
			if _, empty := b.wait("acme"); empty {
				t.Fatalf("a bucket of 3 is empty after %d", i)
			}
			b.take("acme", 1)
		}
		wait, empty := b.wait("acme")
		if !empty || wait != 500*time.Millisecond {
			t.Fatalf("an empty bucket says %v, %v; want a wait of 500ms", wait, empty)
		}
		if _, empty := b.wait("borealis"); empty {
			t.Error("one key's bucket drained another's")
		}
		time.Sleep(wait)
		if _, empty := b.wait("acme"); empty {
			t.Error("empty after the wait that it asked for")
		}
		// Whoever was let in while there was a token pays, though there is none any more.
		for range 5 {
			b.take("acme", 1)
		}
		if wait, empty := b.wait("acme"); !empty || wait != 2500*time.Millisecond {
			t.Errorf("in debt: %v, %v; want 2.5s", wait, empty)
		}
	})
}

func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTokenBuckets(Rate{PerSecond: 1, Burst: 2}, 8)
		b.take("busy", 1)
		b.take("busy", 1)
		for i := range 100 {
			b.take(fmt.Sprint("once-", i), 1)
			if n := len(b.byKey); n > 8 {
				t.Fatalf("%d buckets, bound 8", n)
			}
		}
		time.Sleep(time.Second) // all but busy's are full again, and may be forgotten
		b = newTokenBuckets(Rate{PerSecond: 1, Burst: 2}, 4)
		b.take("busy", 1)
		b.take("busy", 1)
		for i := range 3 {
			b.take(fmt.Sprint("idle-", i), 1)
		}
		time.Sleep(time.Second)
		b.take("new", 1)
		if _, empty := b.wait("busy"); empty {
			t.Error("busy has one token again by now")
		}
		if b.byKey["busy"] == nil {
			t.Error("a bucket in use was forgotten while full ones could be")
		}
	})
}

func TestNoBuckets(t *testing.T) {
	b := newTokenBuckets(Rate{PerSecond: -1}, 8)
	for range 1000 {
		b.take("any", 1)
		if _, empty := b.wait("any"); empty {
			t.Fatal("an unlimited rate refused")
		}
	}
}

// A rate that never gives a token back would lock out for good whoever used up his
// burst.
func TestInvalidRates(t *testing.T) {
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
		for _, c := range []Config{{IssuerRate: r}, {ImporterRate: r}, {RefusalRate: r}} {
			c.Ledger, c.Register = new(ledger.Public), new(register.Register)
			if _, err := New(c); err == nil {
				t.Errorf("%+v was taken for a server", r)
			}
		}
	}
}
