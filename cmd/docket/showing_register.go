package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// jsonText is JSON that is printed as it is.
type jsonText = json.RawMessage

// printRow writes one line of a table; foreign text is made fit for a terminal.
func printRow(w io.Writer, columns ...any) {
	texts := make([]string, len(columns))
	for i, c := range columns {
		texts[i] = printable(fmt.Sprint(c))
	}
	fmt.Fprintln(w, strings.Join(texts, "\t"))
}

// errorPrefix leads whatever is said of a designation that was published in error.
func errorPrefix(yes bool) string {
	if yes {
		return "published in error, "
	}
	return ""
}

// showDesignation shows one designation in both readings, with its whole thread.
func (q *queryFlags) showDesignation(r *copyView, thread string) error {
	d, err := r.Designation(thread, r.at)
	if err != nil {
		return err
	}
	if q.asJSON {
		return q.printJSON(d)
	}
	if d.Error {
		q.app.printf("published in error\n")
	}
	q.app.printf("%s  %s\n", d.Thread, printable(d.Name))
	line := q.linePrinter()
	on := r.LocalDate(r.at)
	by := "with every correction known now"
	if q.ahead {
		by = "if nothing more is recorded by then"
	}
	line("in force", "on %s: %s (by its dates, %s)", on, d.Status, by)
	line("knowable", "on %s: %s (%s)", on, d.Knowable, d.KnowableBy)
	if d.Source != nil {
		line("source", "%s, %s", d.Source.List, d.Source.ID)
	}
	for _, name := range d.FormerName {
		line("former name", "%s", name)
	}
	line("effective", "from %s%s", d.EffectiveFrom, withDate(" until ", d.EffectiveUntil))
	if d.ResponseDue != nil {
		line("answers due", "%s", d.ResponseDue)
	}
	for _, e := range d.Events {
		line(string(e.Kind), "from %s%s%s: %s", e.EffectiveOn, withDate(" until ", e.Until), causeText(e.Cause), e.Reason)
	}
	q.app.printf("  says, with every amendment\n")
	if err := q.showJSON(d.Current); err != nil {
		return err
	}
	q.printCut(d.Cut, d.Thread, "history", "records")
	q.app.printf("  rests on\n")
	return r.Thread(d.Thread, 0, func(rec register.Record) bool {
		q.app.printf("    #%-6d %-14s %s  %s\n", rec.Index, rec.Kind, formatTime(rec.Admitted), rec.ID)
		return true
	})
}

// printCut says of which lists an answer shows only a part, but for those that are shown
// whole beside it.
func (q *queryFlags) printCut(cut []string, thread string, whole ...string) {
	cut = slices.DeleteFunc(slices.Clone(cut), func(name string) bool { return slices.Contains(whole, name) })
	if len(cut) > 0 {
		q.app.printf("  %-12s %s; all: docket list records --thread %s\n", "more", strings.Join(cut, ", "), thread)
	}
}

func causeText(cause string) string {
	if cause == "" {
		return ""
	}
	return " (" + cause + ")"
}

// showParty shows a party with its keys, what it filed and what it owes.
func (q *queryFlags) showParty(r *copyView, id string) error {
	p, err := r.Party(id, r.at)
	if err != nil {
		return err
	}
	if q.asJSON {
		return q.printJSON(p)
	}
	q.app.printf("party/%s  %s\n", p.ID, printable(p.LegalName))
	line := q.linePrinter()
	on := r.LocalDate(r.at)
	line("standing", "on %s: %s", on, p.Standing)
	line("knowable", "on %s: %s (%s)", on, p.Knowable, p.KnowableBy)
	line("country", "%s", p.Country)
	line("roles", "%s", joinTexts(p.Roles))
	line("enrolled", "%s", p.Enrolled)
	for _, f := range []struct{ name, value string }{{"LEI", p.LEI}, {"website", p.Website}, {"contact", p.Contact}, {"sponsor", p.Sponsor}} {
		if f.value != "" {
			line(f.name, "%s", f.value)
		}
	}
	if err := r.Keys(id, "", r.at, func(k register.PartyKey) bool { line("key", "%s", keyText(k)); return true }); err != nil {
		return err
	}
	for _, s := range p.Standings {
		line("standing", "%s from %s: %s", s.Status, s.EffectiveOn, s.Reason)
	}
	if slices.Contains(p.Roles, record.RoleProvider) {
		if err := r.Duties(register.DutyFilter{Party: id}, r.at, func(d register.Duty) bool { line("duty", "%s", q.dutyText(d)); return true }); err != nil {
			return err
		}
		err := r.Records(register.RecordFilter{Issuer: id, Attestations: true}, func(rec register.Record) bool {
			line("filed", "#%d %s on %s, %s", rec.Index, rec.Kind, rec.Thread, rec.ID)
			return true
		})
		if err != nil {
			return err
		}
	}
	q.printCut(p.Cut, "party/"+id, "keys", "duties", "attestations", "records")
	return r.Thread("party/"+id, 0, func(rec register.Record) bool { line("rests on", "%s", rec.ID); return true })
}

// keyText is a key, when it counts, and by whose word.
func keyText(k register.PartyKey) string {
	text := fmt.Sprintf("%s %s of %s", k.ID, k.Use, k.Holder)
	if len(k.Functions) > 0 {
		text += " (" + joinTexts(k.Functions) + ")"
	}
	text += fmt.Sprintf(", enrolled at #%d", k.Added)
	if !k.Live {
		text += ", " + k.WhyNotLive
	}
	return strings.Join(append([]string{text}, k.Warnings()...), ", ")
}

func (q *queryFlags) dutyText(d register.Duty) string {
	text := fmt.Sprintf("%s%s to %s", errorPrefix(d.Error), d.State.Words(q.ahead), d.Kind)
	if d.Designation != "" {
		text += " " + d.Designation
	}
	return text + withDate(", due ", d.Due) + withDate(", met on ", d.MetOn)
}

func joinTexts[T ~string](list []T) string { return strings.Join(toStrings(list), ", ") }

// showJSON shows a value's fields as showStatement shows a statement's.
func (q *queryFlags) showJSON(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tree, err := record.ParseJSON(raw)
	if err != nil {
		return err
	}
	for _, m := range tree.(record.Object) {
		showMember(q.app.out, "    ", m)
	}
	return nil
}

// linePrinter prints facts, one a line, names aligned.
func (q *queryFlags) linePrinter() func(name, format string, args ...any) {
	return func(name, format string, args ...any) {
		q.app.printf("  %-12s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
}
