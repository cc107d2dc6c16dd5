package bundle

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Counts are how many events of a table stand how.
type Counts struct {
	Customers   int
	Erased      int
	Nothing     int // customers with nothing filed under the handle
	Events      int // shown
	Before      int // of them fixed by a record before the demand
	After       int // fixed by a record after it
	Word        int // fixed by none
	Late        int
	Others      uint64 // proven not to be asked for
	FieldsShown int    // values of contents
}

// Counts counts.
func (t *Table) Counts() (n Counts) {
	for _, c := range t.Customers {
		n.Customers++
		n.Others += c.Others
		rows := c.Events
		if c.Erased != nil {
			n.Erased++
			rows = []Row{*c.Erased}
		} else if c.Filed == 0 {
			n.Nothing++
		}
		for _, r := range rows {
			n.Events++
			n.FieldsShown += len(r.Values)
			switch {
			case r.FixedBy == nil:
				n.Word++
			case r.Before:
				n.Before++
			default:
				n.After++
			}
			if r.Late {
				n.Late++
			}
		}
	}
	return n
}

// Proven says in sentences what the bundle proves.
func (t *Table) Proven() (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	n := t.Counts()
	if n.Before > 0 {
		say("%s logged before the demand: a public record of the log that covers %s stands in the ledger before the request.",
			count(n.Before, "event was", "events were"), itOrThem(n.Before))
	}
	if n.After > 0 {
		say("%s fixed by a public record after the demand: since then %s not been changed.", count(n.After, "event was", "events were"), itHas(n.After))
	}
	if n.Before+n.After > 0 {
		say("Unaltered, field by field: each value shown is the one that was logged.")
	}
	for _, c := range t.Customers {
		if t.Head.Log == nil {
			continue
		}
		which := "by the public record, which came after the demand,"
		if !t.Newer.ID.IsZero() {
			which = "by an older public record than the newest before the demand,"
		} else if t.FixedBefore {
			which = "before the demand"
		}
		switch {
		case c.Erased != nil && c.Erased.FixedBy != nil:
			say("Customer %s was erased on %s, with the %d events before: nobody can open them any more.", c.Handle, record.DateOf(c.Erased.Header().Time, time.UTC), c.Erased.Header().Number)
		case c.Erased != nil:
		case c.Filed == 0:
			say("Nothing was filed under the handle %s %s (periods until %s).", c.Handle, which, t.Until)
		default:
			say("All that was filed under the handle %s %s (periods until %s) is here: %d events; those that were not asked for show their time or their kind alone.", c.Handle, which, t.Until, c.Filed)
		}
	}
	return said
}

// NotProven says in sentences what the bundle does not prove.
func (t *Table) NotProven() (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	n := t.Counts()
	if len(t.Customers) == 0 {
		say("That there is no such customer is the provider's word, and nothing else: no proof can show that a person is no customer.")
	} else {
		say("That the provider filed everything that happened, or that it filed all of one person under one handle: only an auditor who replays the private log with its plaintexts can tell.")
		if n.Nothing > 0 {
			say("That a person is no customer: it is shown of a handle, not of a person.")
		}
	}
	if n.Events == 0 && len(t.Customers) > 0 && n.Erased == 0 {
		say("That nothing happened in what was asked: that no such event was logged is shown as far as the log is fixed, and beyond that it is the provider's word.")
	}
	for _, c := range t.Customers {
		if c.Erased != nil && c.Erased.FixedBy == nil {
			say("That customer %s was erased on %s: no public record covers that yet, so it is the provider's word.", c.Handle, record.DateOf(c.Erased.Header().Time, time.UTC))
		}
	}
	if n.Word > 0 {
		say("%s not fixed by any period yet: the provider's word, and so is that there are no others since.", count(n.Word, "event is", "events are"))
	} else if t.Head.Log == nil {
		say("It rests on no published period: all of it is the provider's word.")
	} else {
		say("What the log took in after the period until %s: that is not here, or is the provider's word.", t.Until)
	}
	if t.Head.Log != nil && !t.FixedBefore {
		say("That nothing was added or left out between the demand and the public record, which came after it.")
	}
	if question := t.Asked.words(); question != "" {
		say("That the demand asked for no more: the provider understood it as %s. Hold that against the demand.", question)
	}
	if !t.Newer.ID.IsZero() {
		covers, _ := predicateOf[*record.CustomerLog](t.Newer)
		say("That it is all that was filed before the demand: the public record %s, from before the demand, covers the log until %s, and the bundle does not rest on it. Ask for one that does.", t.Newer.ID, covers.PeriodUntil)
	}
	if t.Partial {
		say("That no other public record of the log says more: a newer one from before the demand, or an older one by which an event was logged late. Only a copy of the ledger has all of them.")
	}
	if !t.Restart.ID.IsZero() {
		why, _ := predicateOf[*record.CustomerLog](t.Restart)
		say("What the log had before it was begun anew on %s, for the reason given: %s", record.DateOf(t.Restart.Admitted, time.UTC), why.Restart.Reason)
	}
	if n.Late > 0 {
		say("That %s happened when the provider says: a public record before had fixed that period without %s, so that %s logged late.",
			count(n.Late, "event", "events"), itOrThem(n.Late), map[bool]string{true: "it was", false: "they were"}[n.Late == 1])
	}
	return said
}

// words are the bounds of a question; "" where all is asked for.
func (a Asked) words() string {
	what := "all events"
	if len(a.Kinds) > 0 {
		what = strings.Join(a.Kinds, ", ") + " events alone"
	}
	if a.From != nil {
		what += ", from " + a.From.String()
	}
	if a.Until != nil {
		what += ", until " + a.Until.String()
	}
	if len(a.Fields) > 0 {
		what += ", and of them " + strings.Join(a.Fields, ", ") + " alone"
	}
	if what == "all events" {
		return ""
	}
	return what
}

// Leaves says in sentences what leaves the house with a bundle, for those who approve it.
func (t *Table) Leaves() (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	n := t.Counts()
	if n.Events == 0 {
		say("No event is shown.")
	}
	for _, c := range t.Customers {
		kinds := make(map[string]int)
		for _, r := range c.Events {
			kind, _ := r.Field("kind")
			kinds[kind]++
		}
		text := ""
		for _, k := range event.Kinds() {
			if kinds[string(k)] > 0 {
				text += fmt.Sprintf(", %d %s", kinds[string(k)], k)
			}
		}
		switch {
		case c.Erased != nil:
			say("Of customer %s: that he was erased, when, and how many events he had.", c.Handle)
		case len(c.Events) == 0 && c.Others == 0:
			say("Of the handle %s: that nothing is filed under it.", c.Handle)
		case len(c.Events) == 0:
			say("Of customer %s: no event; how many there are (%d), and when.", c.Handle, c.Others)
		default:
			if c.Others > 0 {
				text += fmt.Sprintf("; of %s their time or their kind alone", count(int(c.Others), "other", "others"))
			}
			say("Of customer %s: %s%s.", c.Handle, count(len(c.Events), "event", "events"), text)
		}
	}
	if len(t.Fields) > 0 {
		say("Of each event shown, these fields alone: %v, and which others it has.", t.Fields)
	}
	if t.LookedFor != "" {
		say("What was looked for: %s", t.LookedFor)
	}
	if t.Head.Log != nil {
		say("Beside it: where in the log these events stand, roughly how many customers there are, and the salt by which a handle is found in the log's map.")
	}
	return said
}

func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func itOrThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func itHas(n int) string {
	if n == 1 {
		return "it has"
	}
	return "they have"
}
