package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// live applies contents one after another, each a minute later, and returns the refusal of
// the last.
func live(t *testing.T, texts ...string) (event.State, error) {
	t.Helper()
	s := event.State{Handle: testHandle}
	for i, text := range texts {
		c := decode(t, text)
		at := testTime.Add(time.Duration(i) * time.Minute)
		e := &event.Event{Header: event.Header{Handle: testHandle, Kind: c.Kind(), Time: at, Logged: at, Number: s.Leaves, Before: s.Last}, Content: c}
		next, err := s.Apply(e, uint64(10*i+10))
		if refusal := (*record.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
			t.Fatalf("%s: %v, which is no refusal", text, err)
		}
		if err != nil && i < len(texts)-1 {
			t.Fatalf("%s: %v", text, err)
		}
		if err != nil {
			return s, err
		}
		s = next
	}
	return s, nil
}

const (
	opened   = `opened {"account":"acct-1","type":"person","name":"Ada Reed","country":"XB","email":["ada@reed.example"]}`
	verified = `verified {"method":"other","outcome":"verified","by":"compliance-1"}`
	access   = `access {"ip":"192.0.2.7","action":"login"}`
	closed   = `closed {"reason":"left","by":"customer"}`
	held     = `held {"reason":"litigation","by":"legal-1"}`
	released = `released {"reason":"settled","by":"legal-1"}`
	hit      = `flagged {"what":"hit","thread":"designation/a","outcome":"open","score":800}`
	decided  = `flagged {"what":"decision","thread":"designation/a","outcome":"false-positive","by":"compliance-1","reason":"another person"}`
	renamed  = `changed {"set":{"name":"Ada Rush"},"unset":["email"]}`
	erased   = `erased {"reason":"over","by":"compliance-1","events":2,"filed":"0000000000000000000000000000000000000000000000000000000000000000"}`
)

// What fits a customer's life, and what does not, and in which words.
func TestLives(t *testing.T) {
	for _, tt := range []struct {
		life []string
		want string // of the refusal of the last; "" for none
	}{
		{[]string{opened, access, verified, renamed, hit, decided, held, released, closed, erased}, ""},
		{[]string{access}, "not open: its first event is opened"},
		{[]string{verified}, "not open"},
		{[]string{opened, opened}, "open already"},
		{[]string{opened, closed, access}, "was closed at"},
		{[]string{opened, closed, renamed}, "changes no more"},
		{[]string{opened, closed, verified, hit, held, released}, ""},
		{[]string{opened, closed, closed}, "closed already"},
		{[]string{opened, released}, "no such hold"},
		{[]string{opened, held, held}, "held already"},
		{[]string{opened, decided}, "nothing of designation/a is flagged"},
		{[]string{opened, erased}, "only what is closed is erased"},
		{[]string{opened, closed, held, erased}, "release it first"},
		{[]string{opened, closed, erased, access}, "is erased"},
		{[]string{opened, `changed {"set":{"lei":"529900T8BM49AURSDO55"}}`}, "break its rules: /content/set/lei"},
	} {
		_, err := live(t, tt.life...)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", strings.Join(tt.life, "\n"), err, tt.want)
		}
	}
}

// An access that happened before the account was closed, and is told of later, is logged.
func TestLateAccess(t *testing.T) {
	s, err := live(t, opened, closed)
	if err != nil {
		t.Fatal(err)
	}
	e := &event.Event{Header: event.Header{Handle: testHandle, Kind: event.KindAccess, Time: testTime.Add(30 * time.Second), Logged: testTime.Add(time.Hour), Number: 2, Before: 20}, Content: decode(t, access)}
	if s, err = s.Apply(e, 30); err != nil || s.Accesses != 1 {
		t.Errorf("%+v, %v", s.Chain, err)
	}
	e.Number, e.Before, e.Time = 3, 30, e.Logged.Add(6*time.Minute)
	if _, err = s.Apply(e, 31); err == nil || !strings.Contains(err.Error(), "ahead of the log's clock") {
		t.Errorf("an event of the future: %v", err)
	}
}

// A break of the chain is no refusal but a fault: who builds it is wrong, or it was altered.
func TestChainBroken(t *testing.T) {
	s, err := live(t, opened, access)
	if err != nil {
		t.Fatal(err)
	}
	good := event.Header{Handle: testHandle, Kind: event.KindAccess, Time: testTime, Logged: testTime, Number: 2, Before: 20}
	for name, h := range map[string]event.Header{
		"number": {Handle: testHandle, Kind: event.KindAccess, Number: 3, Before: 20},
		"before": {Handle: testHandle, Kind: event.KindAccess, Number: 2, Before: 10},
		"house":  {Handle: testHandle, Kind: event.KindSearched, Number: 2, Before: 20},
	} {
		_, err := s.Apply(&event.Event{Header: h, Content: decode(t, access)}, 30)
		if refusal := (*record.Refusal)(nil); err == nil || errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Apply(&event.Event{Header: good, Content: decode(t, access)}, 20); err == nil {
		t.Error("two events at one leaf")
	}
	if _, err := s.Apply(&event.Event{Header: good, Content: decode(t, access)}, 21); err != nil {
		t.Error(err)
	}
}

// What is known of a customer after it all, and that no state changes another.
func TestStateIsAValue(t *testing.T) {
	before, err := live(t, opened, verified, held, hit)
	if err != nil {
		t.Fatal(err)
	}
	was, _ := json.Marshal(before)
	at := testTime.Add(time.Hour)
	after := before
	for i, text := range []string{renamed, decided, released, access} {
		c := decode(t, text)
		if after, err = after.Apply(&event.Event{Header: event.Header{Handle: testHandle, Kind: c.Kind(), Time: at, Logged: at, Number: after.Leaves, Before: after.Last}, Content: c}, uint64(100+i)); err != nil {
			t.Fatal(err)
		}
	}
	if now, _ := json.Marshal(before); string(now) != string(was) {
		t.Errorf("the state before is now\n%s\nwas\n%s", now, was)
	}
	if c := after.Customer; c.Name != "Ada Rush" || c.Email != nil || c.Country != "XB" {
		t.Errorf("known: %+v", c)
	}
	if len(after.Changes["name"]) != 1 || !after.Changes["name"][0].Equal(at) || !after.Changes["email"][0].Equal(at) || len(after.Holds) != 0 ||
		after.Flags[0].Outcome != "false-positive" || *after.Flags[0].Score != 800 || !after.LastAccess.Equal(at) || after.Leaves != 8 {
		t.Errorf("after: %+v", after)
	}
	raw, err := json.Marshal(after.Life)
	if err != nil {
		t.Fatal(err)
	}
	var life event.Life
	if err := json.Unmarshal(raw, &life); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(life); string(again) != string(raw) {
		t.Errorf("read again as\n%s\nwant\n%s", again, raw)
	}
	chain, err := event.ParseChain(after.Chain.Append(nil))
	if err != nil || chain != after.Chain {
		t.Errorf("chain %+v, %v, want %+v", chain, err, after.Chain)
	}
}
