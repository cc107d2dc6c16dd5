package view_test

import (
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

var start = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// today is the admission date of the fixture's next record.
func today(b *registertest.Fixture) record.Date {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	return record.DateOf(b.Now, zone)
}

func ptr[T any](v T) *T { return &v }

var (
	officers       = []string{"authority/officer-1", "authority/officer-2"}
	noRelationship = &record.Response{Status: "no-relationship"}
	acknowledged   = &record.Response{Status: "acknowledged"}
)

// submit makes a record and admits it.
func submit(t *testing.T, b *registertest.Fixture, thread record.Thread, issuer string, p record.Predicate, keys ...string) {
	t.Helper()
	if _, err := b.Submit(b.Sign(b.Statement(thread, issuer, p), keys...)); err != nil {
		t.Fatal(err)
	}
}

func suspend(b *registertest.Fixture, in int, until *record.Date) *record.Suspension {
	return &record.Suspension{EffectiveOn: today(b).AddDays(in), Until: until, Reason: "test"}
}

func setMember(name string, value any) schema.Object {
	return schema.Object{{Name: name, Value: value}}
}
