package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) show() *cobra.Command {
	c := &cobra.Command{
		Use:   "show RECORD-ID | '#INDEX' | THREAD | DESIGNATION | PARTY | SCHEME:VALUE",
		Short: "Show one thing on the ledger, from the replayed copy",
		Long: `Shows a record by its ID or its index, a thread, a designation or a party by its ID,
a request to disclose by its thread, or everything about one identifier
(` + strings.Join(register.IdentifierSchemes, ", ") + `).

Of a designation or a party it gives both readings of "at T": by its dates with every
correction known now, and knowable at T: by the entries below the newest checkpoint
that a quorum of witnesses had cosigned by then. docket sync keeps those times; where
it has none that is so old, admission times stand in, which are the ledger's own word,
and the answer says so. Every answer lists the records that it rests on; docket
receipt proves each. With --json the lists of a long history show their first or newest
100 items, and of the records 16; "cut" names those that do: docket list records has all.

--prove FILE also writes the answer with the receipts of all records that it rests on, and
of those by which their signers had the right: docket verify judges it offline, computes the
answer anew, and says what such a file cannot show, as that there is no later record.

What the copy does not have is not on the ledger, up to the copy's size: "no such
record among all N entries" is a proof.`,
		Example: `  docket show --trust trust 2026-014
  docket show --trust trust acme-cloud --at 2027-06-01
  docket show --trust trust 2026-014 --prove 2026-014.answer
  docket show --trust trust domain:kestrel-hosting.example
  docket show --trust trust response/2026-014/acme-cloud
  docket show --trust trust disclosure/2027-003
  docket show --trust trust 13`,
		Args: cobra.ExactArgs(1),
	}
	prove := ""
	q := a.queryFlags(c, "prove")
	c.Flags().StringVar(&prove, "prove", "", "also write a file that proves the answer (NAME"+client.AnswerSuffix+"), which docket verify judges offline")
	c.MarkFlagsMutuallyExclusive("prove", "size")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !depends(args[0]) {
			if err := idle(c, "on a record and on a thread of records, which say the same on every day", "at"); err != nil {
				return err
			}
		}
		if q.remote {
			return q.queryServerFor(c, args[0])
		}
		r, err := q.open()
		if err != nil {
			return err
		}
		defer r.trust.Close()
		if prove != "" {
			r.at = r.at.Truncate(time.Millisecond) // as the file writes it
		}
		if err := q.showAny(c.Context(), r, args[0]); err != nil || prove == "" {
			return err
		}
		return q.prove(c.Context(), r, args[0], prove)
	}
	return c
}

// isRequest tells whether a thread is one of a request to disclose, and not of receipts.
func isRequest(thread record.Thread) bool { return thread.Request() != "" && thread.Party() == "" }

// depends tells whether what stands about it depends on the day: of designations, parties,
// requests and identifiers it does, of records it does not. A word alone may be any of them.
func depends(what string) bool {
	if _, err := record.ParseID(what); err == nil || strings.HasPrefix(what, "#") || what == string(record.CharterThread) {
		return false
	}
	_, _, named := view.SplitIdentifier(what)
	family := record.Thread(what).Family()
	return named || !strings.Contains(what, "/") || family == record.FamilyDesignation || family == record.FamilyParty || family == record.FamilyLicence || isRequest(record.Thread(what))
}

// queryServerFor asks the server. A word alone may be a designation or a party.
func (q *queryFlags) queryServerFor(c *cobra.Command, what string) error {
	path := remotePath(what)
	err := q.queryServer(c, path, url.Values{})
	var p *client.Problem
	if party, ok := strings.CutPrefix(path, "register/designations/"); ok && !strings.Contains(what, "/") && errors.As(err, &p) && p.Status == http.StatusNotFound {
		return q.queryServer(c, "register/parties/"+party, url.Values{})
	}
	return err
}

// remotePath is where a server answers about it.
func remotePath(what string) string {
	scheme, value, named := view.SplitIdentifier(what)
	thread := record.Thread(what)
	family, id := thread.Family(), thread.Name()
	switch _, err := record.ParseID(what); {
	case err == nil:
		return "records/" + what
	case named:
		return "register/identifiers/" + url.PathEscape(scheme) + "/" + url.PathEscape(value)
	case family == record.FamilyDesignation && id != "":
		return "register/designations/" + url.PathEscape(id)
	case family == record.FamilyParty && id != "":
		return "register/parties/" + url.PathEscape(id)
	case family == record.FamilyLicence && id != "":
		return "register/licences/" + url.PathEscape(id)
	case isRequest(thread):
		return "register/requests/" + url.PathEscape(id)
	case id != "":
		return "records?thread=" + url.QueryEscape(what)
	}
	return "register/designations/" + url.PathEscape(what)
}

// showAny finds out what is meant.
func (q *queryFlags) showAny(ctx context.Context, r *copyView, what string) error {
	if id, err := record.ParseID(what); err == nil {
		return q.showRecord(ctx, r, id)
	}
	if scheme, value, ok := view.SplitIdentifier(what); ok {
		return q.showIdentifier(r, scheme, value)
	}
	if scheme, _, ok := strings.Cut(what, ":"); ok && !strings.Contains(scheme, "/") {
		return usageError("%q: no identifier has the scheme %q%s", what, scheme, schema.DidYouMean(scheme, register.IdentifierSchemes)).hint("identifiers are written SCHEME:VALUE; schemes: %s", joinTexts(register.IdentifierSchemes))
	}
	if index, ok := parseIndex(what); ok && strings.HasPrefix(what, "#") {
		return q.showIndex(ctx, r, index)
	}
	thread, slash := record.Thread(what), strings.Contains(what, "/")
	switch family := thread.Family(); {
	case family == record.FamilyDesignation && slash:
		return q.showDesignation(r, thread)
	case family == record.FamilyParty && slash:
		return q.showParty(r, thread.Name())
	case family == record.FamilyLicence && slash:
		return q.showLicence(ctx, r, thread)
	case isRequest(thread):
		return q.showRequest(ctx, r, thread)
	case slash || thread == record.CharterThread:
		return q.showThread(ctx, r, thread)
	}
	err := q.showDesignation(r, record.DesignationThread(what))
	if asAbsent(err) != nil {
		err = q.showParty(r, what)
		if asAbsent(err) != nil {
			if index, ok := parseIndex(what); ok {
				return q.showIndex(ctx, r, index)
			}
			hint, err := r.DidYouMean(what, record.FamilyDesignation, record.FamilyParty)
			if err != nil {
				return err
			}
			return refusal("%w", &view.AbsentError{What: fmt.Sprintf("designation or party %q", what), Size: r.Size(), Hint: hint}).
				hint("%s", notThreadHint(what, "docket search looks for names, parts of them, identifiers and threads; docket sync fetches what is newer, and what was submitted since"))
		}
	}
	return err
}

// partOfID is what somebody may have copied of a record ID that was shortened.
var partOfID = regexp.MustCompile(`^[0-9a-f]{8,63}$`)

// notThreadHint says what a word is that names nothing on a ledger, else what would.
func notThreadHint(what, otherwise string) string {
	switch {
	case strings.HasSuffix(what, receiptSuffix), strings.HasSuffix(what, envelopeSuffix):
		return "that is a file's name: docket verify reads a receipt"
	case partOfID.MatchString(what):
		return "a record ID has 64 hexadecimal digits: docket search finds it by the first 8 or more, docket list records prints them whole"
	}
	return otherwise
}

// parseIndex reads an index as it is printed everywhere, "#13", or as the number alone.
func parseIndex(text string) (uint64, bool) {
	index, err := strconv.ParseUint(strings.TrimPrefix(text, "#"), 10, 63)
	return index, err == nil
}

func (q *queryFlags) showIndex(ctx context.Context, r *copyView, index uint64) error {
	rec, err := r.RecordAt(index)
	if err != nil {
		return err
	}
	return q.showRecord(ctx, r, rec.ID)
}

// asAbsent is the error where the copy does not have what was asked for, else nil.
func asAbsent(err error) (absent *view.AbsentError) {
	errors.As(err, &absent)
	return absent
}

// showIdentifier shows who bears an identifier, or bore it.
func (q *queryFlags) showIdentifier(r *copyView, scheme, value string) error {
	if q.asJSON {
		found, err := r.Identifier(scheme, value, r.at)
		if err != nil {
			return err
		}
		return q.printJSON(found)
	}
	n, failed := 0, error(nil)
	w := q.app.table()
	err := r.IdentifierMatches(scheme, value, "", r.at, func(m view.IdentifierMatch) bool {
		if n++; n%maxTableRows == 0 {
			failed = w.Flush()
		}
		switch {
		case m.Designation != nil:
			printRow(w, m.Use, m.Thread, errorPrefix(m.Designation.Error)+string(m.Designation.Status), m.Designation.Name, m.Since)
		case m.Party != nil:
			printRow(w, m.Use, m.Thread, m.Party.Standing, m.Party.LegalName, m.Since)
		}
		return failed == nil
	})
	if err := cmp.Or(err, failed); err != nil {
		return err
	}
	if n == 0 {
		return &view.AbsentError{What: fmt.Sprintf("%s %q", scheme, value), Size: r.Size()}
	}
	return w.Flush()
}

// showLicence shows how a licence stands, and its records.
func (q *queryFlags) showLicence(ctx context.Context, r *copyView, thread record.Thread) error {
	l, err := r.Licence(thread, r.at)
	if err != nil {
		return err
	}
	if q.asJSON {
		return q.printJSON(l)
	}
	if l.Error {
		q.app.printf("published in error\n")
	}
	q.app.printf("%s  %s\n", l.Thread, printable(l.Summary()))
	line := q.linePrinter()
	line("stands", "on %s: %s", r.LocalDate(r.at), l.Status)
	if e := l.Revoked; e != nil {
		line(string(e.Kind), "from %s%s", e.EffectiveOn, causeText(e.Cause))
	}
	return q.showRecords(ctx, r, thread)
}

// showThread shows the records of any thread, and what the newest says.
func (q *queryFlags) showThread(ctx context.Context, r *copyView, thread record.Thread) error {
	if q.asJSON {
		var records []register.RecordRow
		err := r.Thread(thread, 0, func(rec register.RecordRow) bool { records = append(records, rec); return true })
		if err != nil {
			return err
		}
		return q.app.printJSON(map[string]any{"thread": thread, "records": records})
	}
	if _, err := r.Head(thread); err != nil {
		return err
	}
	q.app.printf("%s\n", printable(string(thread)))
	return q.showRecords(ctx, r, thread)
}

// showRecords shows the records of a thread, each in a line, and its ID.
func (q *queryFlags) showRecords(ctx context.Context, r *copyView, thread record.Thread) error {
	failed := error(nil)
	err := r.Thread(thread, 0, func(rec register.RecordRow) bool {
		var st *record.Statement
		if st, failed = statementAt(ctx, r, rec.Index); failed != nil {
			return false
		}
		q.app.printf("  #%-6d %-18s %s  %s\n          %s\n", rec.Index, rec.Kind, formatTime(rec.Admitted), printable(view.Summary(st)), rec.ID)
		return true
	})
	return cmp.Or(err, failed)
}

// showRecord shows one record as it was signed, and by whom.
func (q *queryFlags) showRecord(ctx context.Context, r *copyView, id record.ID) error {
	rec, err := r.Record(id)
	if err != nil {
		return err
	}
	e, err := r.entry(ctx, rec.Index)
	if err != nil {
		return err
	}
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		return err
	}
	signers := make([]register.KeyHolder, len(e.Envelope.Signatures))
	for i, s := range e.Envelope.Signatures {
		if signers[i], err = r.keyHolder(s.KeyID); err != nil {
			return err
		}
	}
	if q.asJSON {
		return q.app.printJSON(map[string]any{"record": rec, "predicate": st.Object(), "signers": signers, "entry": jsonText(e.Marshal())})
	}
	if d, err := r.Designation(rec.Thread, r.at); err == nil && d.Error {
		q.app.printf("published in error\n")
	}
	showStatement(q.app.out, rec.ID, st)
	q.app.printf("  %-12s index %d, admitted %s\n", "on ledger", rec.Index, formatTime(rec.Admitted))
	for _, h := range signers {
		q.app.printf("  %-12s %s\n", "signed by", keyHolderText(h))
	}
	if head, err := r.Head(rec.Thread); err == nil && head.ID != id {
		q.app.printf("  %-12s %s at index %d, %s\n", "newer", head.Kind, head.Index, head.ID)
	}
	return nil
}

// statementAt reads what the entry of an index says.
func statementAt(ctx context.Context, r *copyView, index uint64) (*record.Statement, error) {
	e, err := r.entry(ctx, index)
	if err != nil {
		return nil, err
	}
	return record.ParseStatement(e.Envelope.Payload)
}

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
func (q *queryFlags) showDesignation(r *copyView, thread record.Thread) error {
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
	if err := q.showBoard(r, d); err != nil {
		return err
	}
	q.app.printf("  says, with every amendment\n")
	if err := q.showJSON(d.Current); err != nil {
		return err
	}
	q.printCut(d.Cut, d.Thread, "history", "records", "board")
	q.app.printf("  rests on\n")
	return r.Thread(d.Thread, 0, func(rec register.RecordRow) bool {
		q.app.printf("    #%-6d %-14s %s  %s\n", rec.Index, rec.Kind, formatTime(rec.Admitted), rec.ID)
		return true
	})
}

// showBoard shows who has to answer a designation, how each one did, when, and who is late.
func (q *queryFlags) showBoard(r *copyView, d view.DesignationDetail) error {
	line := q.linePrinter()
	if len(d.Board.Duties) == 0 {
		return nil
	}
	for _, kind := range view.DutyKinds {
		var counts []string
		for _, state := range view.DutyStates {
			if n := d.Board.Counts[kind][state]; n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, state.Words(q.ahead)))
			}
		}
		if len(counts) > 0 {
			line("board", "%s: %s", kind, strings.Join(counts, ", "))
		}
	}
	w, n, failed := q.app.table(), 0, error(nil)
	err := r.Duties(view.DutyFilter{Designation: string(d.Thread)}, r.at, func(d view.Duty) bool {
		if n++; n%maxTableRows == 0 {
			failed = w.Flush()
		}
		by := ""
		if d.MetBy != nil {
			by = d.MetBy.String()
		}
		printRow(w, "    "+d.Party, d.Kind, d.State.Words(q.ahead), "due "+dueText(d.Due), strings.TrimSpace(d.Answer+withDate(" on ", d.MetOn)), by)
		return failed == nil
	})
	return cmp.Or(err, failed, w.Flush())
}

// printCut says of which lists an answer shows only a part, but for those that are shown
// whole beside it.
func (q *queryFlags) printCut(cut []string, thread record.Thread, whole ...string) {
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
	q.app.printf("%s  %s\n", record.PartyThread(p.ID), printable(p.LegalName))
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
	if err := r.Keys(id, "", r.at, func(k view.PartyKey) bool { line("key", "%s", keyText(k)); return true }); err != nil {
		return err
	}
	for _, s := range p.Standings {
		line("standing", "%s from %s: %s", s.Status, s.EffectiveOn, s.Reason)
	}
	if p.CustomerLog != nil {
		line("private log", "%s (record %s)", p.CustomerLog.Words(), p.CustomerLog.Record)
	}
	if slices.Contains(p.Roles, record.RoleProvider) {
		if err := r.Duties(view.DutyFilter{Party: id}, r.at, func(d view.Duty) bool { line("duty", "%s", q.dutyText(d)); return true }); err != nil {
			return err
		}
		err := r.Records(view.RecordFilter{Issuer: id, Attestations: true}, func(rec register.RecordRow) bool {
			line("filed", "#%d %s on %s, %s", rec.Index, rec.Kind, rec.Thread, rec.ID)
			return true
		})
		if err != nil {
			return err
		}
	}
	q.printCut(p.Cut, record.PartyThread(id), "keys", "duties", "attestations", "records")
	return r.Thread(record.PartyThread(id), 0, func(rec register.RecordRow) bool { line("rests on", "%s", rec.ID); return true })
}

// keyText is a key, when it counts, and by whose word.
func keyText(k view.PartyKey) string {
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

func (q *queryFlags) dutyText(d view.Duty) string {
	text := fmt.Sprintf("%s%s to %s", errorPrefix(d.Error), d.State.Words(q.ahead), d.Kind.Words())
	if about := aboutDuty(d); about != "" {
		text += " " + about
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
	tree, err := schema.ParseJSON(raw)
	if err != nil {
		return err
	}
	for _, m := range tree.(schema.Object) {
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
