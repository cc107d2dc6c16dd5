package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func (a *app) show() *cobra.Command {
	c := &cobra.Command{
		Use:   "show RECORD-ID | '#INDEX' | THREAD | DESIGNATION | PARTY | SCHEME:VALUE",
		Short: "Show one thing on the ledger, from the replayed copy",
		Long: `Shows a record by its ID or its index, a thread, a designation or a party by its ID,
or everything about one identifier (` + strings.Join(register.IdentifierSchemes, ", ") + `).

Of a designation or a party it gives both readings of "at T": by its dates with every
correction known now, and knowable at T: by the entries below the newest checkpoint
that a quorum of witnesses had cosigned by then. docket sync keeps those times; where
it has none that is so old, admission times stand in, which are the ledger's own word,
and the answer says so. Every answer lists the records that it rests on; docket
receipt proves each. With --json the lists of a long history show their first or newest
100 items, and of the records 16; "cut" names those that do: docket list records has all.

What the copy does not have is not on the ledger, up to the copy's size: "no such
record among all N entries" is a proof.`,
		Example: `  docket show --trust trust 2026-014
  docket show --trust trust acme-cloud --at 2027-06-01
  docket show --trust trust domain:kestrel-hosting.example
  docket show --trust trust response/2026-014/acme-cloud
  docket show --trust trust 13`,
		Args: cobra.ExactArgs(1),
	}
	q := a.queryFlags(c)
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
		return q.showAny(c.Context(), r, args[0])
	}
	return c
}

// depends tells whether what stands about it depends on the day: of designations, parties
// and identifiers it does, of records it does not. A word alone may be any of them.
func depends(what string) bool {
	if _, err := record.ParseID(what); err == nil || strings.HasPrefix(what, "#") || what == "charter" {
		return false
	}
	family, _, slash := strings.Cut(what, "/")
	_, _, named := splitIdentifier(what)
	return named || !slash || family == "designation" || family == "party"
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
	scheme, value, named := splitIdentifier(what)
	kind, id, _ := strings.Cut(what, "/")
	switch _, err := record.ParseID(what); {
	case err == nil:
		return "records/" + what
	case named:
		return "register/identifiers/" + url.PathEscape(scheme) + "/" + url.PathEscape(value)
	case kind == "designation" && id != "":
		return "register/designations/" + url.PathEscape(id)
	case kind == "party" && id != "":
		return "register/parties/" + url.PathEscape(id)
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
	if scheme, value, ok := splitIdentifier(what); ok {
		return q.showIdentifier(r, scheme, value)
	}
	if scheme, _, ok := strings.Cut(what, ":"); ok && !strings.Contains(scheme, "/") {
		return usageError("%q: no identifier has the scheme %q%s", what, scheme, record.DidYouMean(scheme, register.IdentifierSchemes)).hint("identifiers are written SCHEME:VALUE; schemes: %s", joinTexts(register.IdentifierSchemes))
	}
	if index, ok := parseIndex(what); ok && strings.HasPrefix(what, "#") {
		return q.showIndex(ctx, r, index)
	}
	switch family, id, slash := strings.Cut(what, "/"); {
	case family == "designation" && slash:
		return q.showDesignation(r, what)
	case family == "party" && slash:
		return q.showParty(r, id)
	case slash || what == "charter":
		return q.showThread(ctx, r, what)
	}
	err := q.showDesignation(r, what)
	if noDesignation := asAbsent(err); noDesignation != nil {
		err = q.showParty(r, what)
		if noParty := asAbsent(err); noParty != nil {
			if index, ok := parseIndex(what); ok {
				return q.showIndex(ctx, r, index)
			}
			return refusal("%w", &register.AbsentError{
				What: fmt.Sprintf("designation or party %q", what), Size: r.Size(), Hint: cmp.Or(noDesignation.Hint, noParty.Hint),
			}).hint("docket list designations, or parties, names what there is; identifiers are written SCHEME:VALUE, like domain:kestrel.example; docket sync fetches what is newer")
		}
	}
	return err
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
func asAbsent(err error) (absent *register.AbsentError) {
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
	err := r.IdentifierMatches(scheme, value, "", r.at, func(m register.IdentifierMatch) bool {
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
		return &register.AbsentError{What: fmt.Sprintf("%s %q", scheme, value), Size: r.Size()}
	}
	return w.Flush()
}

// showThread shows the records of any thread, and what the newest says.
func (q *queryFlags) showThread(ctx context.Context, r *copyView, thread string) error {
	if q.asJSON {
		var records []register.Record
		err := r.Thread(thread, 0, func(rec register.Record) bool { records = append(records, rec); return true })
		if err != nil {
			return err
		}
		return q.app.printJSON(map[string]any{"thread": thread, "records": records})
	}
	said, failed := false, error(nil)
	err := r.Thread(thread, 0, func(rec register.Record) bool {
		if !said {
			q.app.printf("%s\n", printable(thread))
			said = true
		}
		var st *record.Statement
		if st, failed = statementAt(ctx, r, rec.Index); failed != nil {
			return false
		}
		q.app.printf("  #%-6d %-18s %s  %s\n          %s\n", rec.Index, rec.Kind, formatTime(rec.Admitted), printable(summary(st)), rec.ID)
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
	e, err := entryAt(ctx, r, rec.Index)
	if err != nil {
		return err
	}
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		return err
	}
	reg, err := r.trust.Register()
	if err != nil {
		return err
	}
	signers := make([]register.KeyHolder, len(e.Envelope.Signatures))
	for i, s := range e.Envelope.Signatures {
		if signers[i], _, err = reg.KeyHolder(s.KeyID); err != nil {
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

// entryAt reads an entry of the copy again.
func entryAt(ctx context.Context, r *copyView, index uint64) (record.Entry, error) {
	raw, err := r.trust.Entry(ctx, index)
	if err != nil {
		return record.Entry{}, err
	}
	return record.ParseEntry(raw)
}

func statementAt(ctx context.Context, r *copyView, index uint64) (*record.Statement, error) {
	e, err := entryAt(ctx, r, index)
	if err != nil {
		return nil, err
	}
	return record.ParseStatement(e.Envelope.Payload)
}
