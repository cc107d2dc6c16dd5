package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// customersEvent is one run of a verb that logs one event of a customer.
type customersEvent struct {
	app         *app
	f           *customersFlags
	kind        event.Kind
	id, at      string
	members     map[string]*string // of the content, from flags
	fromFile    bool               // the content stands in a file, "-" standard input
	fileMembers string             // what it may say, for the help
}

// customersEventVerb makes a verb that logs one event.
func (a *app) customersEventVerb(kind event.Kind, c *cobra.Command, e *customersEvent) *cobra.Command {
	e.app, e.kind = a, kind
	e.f = a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.Flags().StringVar(&e.id, "id", "", "your own ID of the event: the same again is the same event; default: a new one")
	c.Flags().StringVar(&e.at, "time", "", "when it happened, like 2027-01-31T09:30:00Z; default now")
	c.Args = cobra.ExactArgs(1)
	if e.fromFile {
		c.Args = cobra.ExactArgs(2)
		c.ValidArgsFunction = completeFiles("json")
	}
	c.RunE = e.f.withServer(e.run)
	return c
}

// member adds a flag that is a member of the content.
func (e *customersEvent) member(c *cobra.Command, name, doc string) *customersEvent {
	if e.members == nil {
		e.members = make(map[string]*string)
	}
	e.members[name] = c.Flags().String(name, "", doc)
	if name != "request" {
		c.MarkFlagRequired(name)
	}
	return e
}

func (e *customersEvent) run(c *cobra.Command, s *customersServer, args []string) error {
	if _, err := event.ParseHandle(args[0]); err == nil {
		return usageError("%s is a handle; want the account", args[0]).hint("docket customers show %s says which account it is", args[0])
	}
	in, err := e.input(args)
	if err != nil {
		return err
	}
	out, err := s.addLines(c.Context(), append(in.Append(nil), '\n'))
	if err != nil {
		return err
	}
	if len(out) != 1 {
		return refusal("one event was sent, and %d answered", len(out))
	}
	if out[0].Problem != "" {
		return refusal("%s", outcomeText(out[0]))
	}
	if e.f.asJSON {
		return e.app.printJSON(out[0])
	}
	known := ""
	if out[0].Duplicate {
		known = ", there already"
	}
	e.app.printf("%s: %s at leaf %d%s\n", printable(args[0]), e.kind, *out[0].Index, known)
	if seen := out[0].SeenAfter; !seen.IsZero() {
		e.app.logf("the log has the customer at %s, after that closing: it is kept from then on, and not from --time on", record.Instant{Time: seen})
	}
	return nil
}

func (e *customersEvent) input(args []string) (event.Input, error) {
	content := schema.Object{}
	if e.fromFile {
		raw, err := e.app.readFile(args[1])
		if err != nil {
			return event.Input{}, err
		}
		v, err := schema.ParseJSON(raw)
		o, ok := v.(schema.Object)
		if err != nil || !ok {
			return event.Input{}, usageError("%s: want one JSON object: %s", args[1], orWords(errText(err), "this is something else")).hint("it may say %s", e.fileMembers)
		}
		content = o
	}
	for name, value := range e.members {
		if *value != "" {
			content = append(content, schema.Member{Name: name, Value: *value})
		}
	}
	id := e.id
	if id == "" {
		raw := make([]byte, 12)
		rand.Read(raw) // never fails
		id = "docket-" + hex.EncodeToString(raw)
	}
	at := e.at
	if at == "" {
		at = record.Instant{Time: time.Now().UTC().Truncate(time.Millisecond)}.String()
	}
	in, faults := event.InputOf(schema.Object{{Name: "account", Value: args[0]}, {Name: "id", Value: id}, {Name: "kind", Value: string(e.kind)}, {Name: "time", Value: at}, {Name: "content", Value: content}})
	if len(faults) > 0 {
		texts := make([]string, len(faults))
		for i, f := range faults {
			texts[i] = f.String()
		}
		return in, usageError("the event breaks its schema: %s", strings.Join(texts, "; "))
	}
	return in, nil
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprint(err)
}

func (a *app) customersVerified() *cobra.Command {
	e := &customersEvent{fromFile: true, fileMembers: "method, outcome, document, by, note"}
	return a.customersEventVerb(event.KindVerified, &cobra.Command{
		Use:   "verified --dir C ACCOUNT FILE",
		Short: "Log that an identity was verified, or could not be",
		Long: `Logs a verification of identity. FILE ("-": standard input) is a JSON object: method
(documentary, non-documentary, other), outcome (verified, unverifiable), document (kind,
issuer, number or numberCommitted, expiresOn), by, note. What is personal stands in the
file, never on the command line, which others can see.`,
		Example: `  docket customers verified --dir C acct-20417 verification.json`,
	}, e)
}

func (a *app) customersChange() *cobra.Command {
	e := &customersEvent{fromFile: true, fileMembers: "set, unset, reason, by"}
	return a.customersEventVerb(event.KindChanged, &cobra.Command{
		Use:   "change --dir C ACCOUNT FILE",
		Short: "Log that something known of a customer is another now",
		Long: `Logs a change. FILE ("-": standard input) is a JSON object: set, elements and their new
values (name, country, address, email, telephone, payment, owners …), each replaced whole;
unset, elements that are taken away; reason; by. The programme may want a verification
again.`,
		Example: `  docket customers change --dir C acct-20417 change.json`,
	}, e)
}

func (a *app) customersClose() *cobra.Command {
	e := &customersEvent{}
	c := &cobra.Command{
		Use:     "close --dir C ACCOUNT --reason WHY --by WHO",
		Short:   "Log that an account was closed",
		Long:    "Logs that an account was closed. From then on it is kept for two years, or what retention in C/customers.json says; then docket customers erase may erase the customer. Where --time is before something else that the log has of the customer, such as a log-in, he is kept from that on: the verb says so, and from when on.",
		Example: `  docket customers close --dir C acct-20417 --reason 'asked by the customer' --by support-2`,
	}
	return a.customersEventVerb(event.KindClosed, c, e.member(c, "reason", "why, for people").member(c, "by", "whose decision it is: a post, or a system"))
}

func (a *app) customersHold() *cobra.Command {
	e := &customersEvent{}
	c := &cobra.Command{
		Use:     "hold --dir C ACCOUNT --reason WHY --by WHO",
		Short:   "Keep a customer from being erased, for the law",
		Long:    "Logs a legal hold: nothing of the customer may be erased until docket customers release.",
		Example: `  docket customers hold --dir C acct-20417 --reason 'preservation letter of 3 May' --by legal-1`,
	}
	return a.customersEventVerb(event.KindHeld, c, e.member(c, "reason", "why, for people").member(c, "request", "thread of the request that it is for").member(c, "by", "whose decision it is: a post, or a system"))
}

func (a *app) customersRelease() *cobra.Command {
	e := &customersEvent{}
	c := &cobra.Command{
		Use:     "release --dir C ACCOUNT --reason WHY --by WHO",
		Short:   "End a hold",
		Long:    "Logs that a hold ended: the customer may be erased again once the account is closed for long enough.",
		Example: `  docket customers release --dir C acct-20417 --reason 'letter withdrawn' --by legal-1`,
	}
	return a.customersEventVerb(event.KindReleased, c, e.member(c, "reason", "why, for people").member(c, "request", "thread of the request that it was for").member(c, "by", "whose decision it is: a post, or a system"))
}
