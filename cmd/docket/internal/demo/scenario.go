package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// admitCharter writes, signs and admits the charter. It is the one record that does not
// go over HTTP: there is no server before there is a ledger.
func (s *scenario) admitCharter(ctx context.Context) (err error) {
	s.printLine("")
	s.printLine("authority")
	if s.dates, err = newScenarioDates(s.now); err != nil {
		return err
	}
	c := s.newCharter()
	subject, doc, err := s.document("charter.txt", c.Name+"\n\nCharter of the ledger "+origin+".\n")
	if err != nil {
		return err
	}
	env, err := s.sign(ctx, &record.Statement{Kind: c.Kind(), Subject: subject, Predicate: c,
		Common: record.Common{Thread: "charter", Issuer: record.Authority, Document: doc}}, "root-root-1", "root-root-2", "root-root-3")
	if err != nil {
		return err
	}
	if _, _, err := s.node.Admit(ctx, env); err != nil {
		return err
	}
	s.ledger = record.IDOf(env.Payload)
	s.heads["charter"] = s.ledger
	r, err := s.client.Receipt(ctx, s.ledger, client.SinglePolicy{Only: s.policy})
	if err != nil {
		return err
	}
	if err := s.saveReceipt("charter", r); err != nil {
		return err
	}
	s.printStep("#0", "charter", "Office of Cloud Restrictions, 2 of 3 root keys, 3 witnesses (2 must cosign)")
	return nil
}

// enrolAndDesignate enrols all parties, tries an order with one signature, and gives
// three.
func (s *scenario) enrolAndDesignate(ctx context.Context) error {
	var names []string
	all := s.enrolments()
	for _, e := range all {
		st := s.statement(record.PartyThread(e.party), e.party, e.says)
		key, err := e.says.Keys[0].Key.Key()
		if err != nil {
			return err
		}
		st.Subject.SHA256 = record.IDOf(key.DER())
		if _, err := s.submit(ctx, "enrolment-"+e.party, st, e.sign...); err != nil {
			return err
		}
		names = append(names, e.party)
	}
	names[0] = "authority (3 officers)"
	s.printStep(fmt.Sprintf("#1-%d", len(all)), "enrolments", strings.Join(names, ", "))

	orders := s.orders()
	for i, o := range orders {
		subject, doc, err := s.document("order-"+o.name+".txt", orderText(o))
		if err != nil {
			return err
		}
		st := s.statement(record.DesignationThread(o.name), record.Authority, o.says)
		st.Subject, st.Document = subject, doc
		if i == 0 {
			_, err := s.send(ctx, st, "authority-officer-1")
			s.expectRefused("designation", o.name+" with one officer's signature", err)
		}
		if _, err := s.submit(ctx, "designation-"+o.name, st, "authority-officer-1", "authority-officer-2"); err != nil {
			return err
		}
	}
	s.printStep("#6-8", "designations", fmt.Sprintf("%s %s, %s %s, %s %s; two officers each", orders[0].name, orders[0].short, orders[1].name, orders[1].short, orders[2].name, orders[2].short))

	subject, doc, err := s.document("correction-2026-014-1.txt", "CORRECTION 1 to order 2026-014 (fictional)\n")
	if err != nil {
		return err
	}
	st := s.statement("designation/2026-014", record.Authority, s.correction())
	st.Subject, st.Document = subject, doc
	if _, err := s.submit(ctx, "amendment-2026-014-1", st, "authority-officer-1", "authority-officer-2"); err != nil {
		return err
	}
	s.printStep("#9", "amendment", "2026-014: registration number corrected; nobody has to answer again")
	return nil
}

// respond answer; one sends twice, one signs for another.
func (s *scenario) respond(ctx context.Context) error {
	s.printLine("")
	s.printLine("providers")
	windDown := s.dates.windDown
	acme := s.response("acme-cloud", &record.Response{Status: "winding-down", WindDownBy: &windDown, Conditions: []string{"c1"}})
	sent, err := s.submit(ctx, "response-2026-014-acme-cloud", acme, "acme-cloud-ci")
	if err != nil {
		return err
	}
	s.printStep("#10", "response", "acme-cloud on 2026-014: winding-down by "+windDown.String())

	borealis := s.response("borealis-compute", &record.Response{Status: "no-relationship"})
	if _, err := s.submit(ctx, "response-2026-014-borealis-compute", borealis, "borealis-compute-ci"); err != nil {
		return err
	}
	s.printStep("#11", "response", "borealis-compute on 2026-014: no-relationship")

	form := s.statement("cip/acme-cloud", "acme-cloud", s.certification("cip/acme-cloud"))
	salt := record.NewOpening("/subject", record.IDOf([]byte("the form stays private")).String())
	if form.Subject.SHA256, err = record.ParseID(salt.Commit(s.ledger, "cip/acme-cloud").Commit); err != nil {
		return err
	}
	if err := s.witnessNodes[1].stop(); err != nil { // what follows goes without this witness
		return err
	}
	if s.sentWithoutW2, err = s.submit(ctx, "cip-certification-acme-cloud", form, "acme-cloud-compliance"); err != nil {
		return err
	}
	s.printStep("#12", "certification", fmt.Sprintf("acme-cloud for %d", s.dates.year))

	again, err := s.client.Submit(ctx, sent.envelope, client.SinglePolicy{Only: s.policy}, client.Retry{})
	switch {
	case err != nil:
		return err
	case again.Existed && again.Receipt.Index() == sent.receipt.Index():
		s.printOutcome("same again", "acme-cloud's response, sent twice", fmt.Sprintf("same index %d, same record", sent.receipt.Index()))
	default:
		s.unexpected++
		s.printOutcome("same again", "acme-cloud's response, sent twice", fmt.Sprintf("ANOTHER index, %d", again.Receipt.Index()))
	}

	forged := s.response("cirrus-hosting", &record.Response{Status: "no-relationship"})
	_, err = s.send(ctx, forged, "delta-racks-compliance")
	s.expectRefused("intruder", "delta-racks signs for cirrus-hosting", err)
	return nil
}

// verifyAndAudit verifies a receipt offline, a spoilt one, and then everything.
func (s *scenario) verifyAndAudit(ctx context.Context) error {
	s.printLine("")
	s.printLine("auditor")
	t, err := s.openTrust(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	const name = "response-2026-014-acme-cloud" + proof.ReceiptSuffix
	file, err := os.ReadFile(filepath.Join(s.dir, "receipts", name))
	if err != nil {
		return err
	}
	r, err := client.Verify(ctx, file, t, time.Now())
	if err != nil {
		return err
	}
	if r.Authorship != client.AuthorshipByReplay {
		s.unexpected++
	}
	s.printOutcome("receipt", name, "verified offline")
	who := r.Signers[0]
	s.printStep("", "", fmt.Sprintf("  signed by   %s, holder %s (key %s, enrolled at #%d)", who.Party, who.Holder, who.KeyID[:len("SHA256:")+6]+"…", who.Added))
	cp := r.Published.Checkpoint()
	s.printStep("", "", fmt.Sprintf("  on ledger   %s, index %d of %d", cp.Origin, r.Index, cp.Size))
	k, n := r.Policy.QuorumSize()
	existed := r.Published.ExistedBy()
	s.printStep("", "", fmt.Sprintf("  existed by  %s, said %s (%d of %d needed)", existed.Format("2006-01-02 15:04:05Z"), strings.Join(r.Published.SatisfiedMembers(existed), ", "), k, n))

	_, err = client.Verify(ctx, tamper(file), t, time.Now())
	s.expectRefused("one byte off", "the same file, tampered", err)

	audit, err := s.audit(ctx, t)
	if err != nil {
		return err
	}
	verdict := "consistent; 0 entries that should not be there"
	if len(audit.Findings) > 0 {
		s.unexpected++
		verdict = strings.Join(audit.Findings, "; ")
	}
	root := record.ID(audit.Tree.Root).String()[:4] + "…"
	s.printOutcome("full replay", fmt.Sprintf("%d entries, %d signatures, root %s", audit.Tree.Size, audit.Signatures, root), verdict)
	return t.Close()
}

// statement fills in what every record has.
func (s *scenario) statement(thread record.Thread, issuer string, p record.Predicate) *record.Statement {
	st := &record.Statement{Kind: p.Kind(), Predicate: p, Common: record.Common{
		Ledger: s.ledger, Thread: thread, Issuer: issuer, Follows: s.heads[thread],
	}}
	st.Subject.Name = string(thread)
	return st
}

// response is a provider's response to the first order as it stands.
func (s *scenario) response(party string, r *record.Response) *record.Statement {
	st := s.statement(record.ResponseThread("2026-014", party), party, r)
	st.Subject = record.Subject{Name: "designation/2026-014", SHA256: s.heads["designation/2026-014"]}
	return st
}

// sign makes the envelope of a statement, issued now.
func (s *scenario) sign(ctx context.Context, st *record.Statement, names ...string) (record.Envelope, error) {
	st.IssuedAt = time.Now().UTC().Truncate(time.Second)
	payload, err := record.EncodeStatement(st)
	if err != nil {
		return record.Envelope{}, err
	}
	env := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
	for _, name := range names {
		signer, err := s.keyring.signer(name)
		if err != nil {
			return env, err
		}
		if env, err = signer.Sign(ctx, env); err != nil {
			return env, err
		}
	}
	return env, nil
}

// sentRecord is a record that is on the ledger.
type sentRecord struct {
	envelope []byte
	receipt  *client.Receipt
}

// send signs and submits, and believes nothing but a verified receipt.
func (s *scenario) send(ctx context.Context, st *record.Statement, names ...string) (sentRecord, error) {
	env, err := s.sign(ctx, st, names...)
	if err != nil {
		return sentRecord{}, err
	}
	raw := env.Marshal()
	sub, err := s.client.Submit(ctx, raw, client.SinglePolicy{Only: s.policy}, client.Retry{MaxElapsed: 30 * time.Second})
	if err != nil {
		return sentRecord{}, err
	}
	if sub.Receipt == nil {
		return sentRecord{}, errors.New("committed, and not published in time")
	}
	s.heads[st.Thread] = sub.ID
	return sentRecord{raw, sub.Receipt}, nil
}

// submit sends a record that must be accepted, and keeps its receipt.
func (s *scenario) submit(ctx context.Context, name string, st *record.Statement, names ...string) (sentRecord, error) {
	done, err := s.send(ctx, st, names...)
	if err != nil {
		return sentRecord{}, fmt.Errorf("%s: %w", name, err)
	}
	return done, s.saveReceipt(name, done.receipt)
}

func (s *scenario) saveReceipt(name string, r *client.Receipt) error {
	s.receipts++
	return s.write(filepath.Join("receipts", name+proof.ReceiptSuffix), r.Text)
}

// audit replays the whole ledger from the server's tiles, into memory.
func (s *scenario) audit(ctx context.Context, t *client.Trust) (*client.AuditReport, error) {
	return client.Audit{
		Source: s.client.Source(), Charter: t.Ledger(), Trusted: t.Checkpoint(), RegisterFiles: vfs.NewMem(), RegisterDir: "audit",
	}.Run(ctx)
}

// printDuties says who has not answered, and what is in force.
func (s *scenario) printDuties(ctx context.Context) error {
	t, err := s.openTrust(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	reg, err := t.Register()
	if err != nil {
		return err
	}
	v, err := view.Latest(reg)
	if err != nil {
		return err
	}
	now := time.Now()
	s.printLine("who has not answered 2026-014 (due %s)", s.dates.due)
	var open []string
	err = v.Duties(view.DutyFilter{Designation: "2026-014", Kind: view.DutyRespond, State: view.DutyOpen}, now, func(d view.Duty) bool {
		open = append(open, d.Party)
		return true
	})
	if err != nil {
		return err
	}
	s.printStep("", "open", strings.Join(open, ", "))
	inForce, announced, err := countDesignations(v, now)
	if err != nil {
		return err
	}
	then, _, err := countDesignations(v, time.Date(s.dates.from.Year, s.dates.from.Month, s.dates.from.Day, 17, 0, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	s.printStep("", "in force", fmt.Sprintf("today %d (announced %d); on %s %d", inForce, announced, s.dates.from, then))
	if len(open) != 2 || inForce != 0 || announced != 3 || then != 3 {
		s.unexpected++
	}
	return t.Close()
}

func countDesignations(v *view.View, at time.Time) (inForce, announced int, err error) {
	err = v.Designations(view.DesignationFilter{}, at, func(d view.Designation) bool {
		switch d.Status {
		case view.StatusInForce:
			inForce++
		case view.StatusAnnounced:
			announced++
		}
		return true
	})
	return inForce, announced, err
}

// tamper changes one digit of the entry inside a receipt: what the record says, and
// nothing of the proof.
func tamper(receipt []byte) []byte {
	lines := bytes.SplitN(receipt, []byte("\n"), 3)
	entry, err := base64.StdEncoding.DecodeString(string(bytes.TrimPrefix(lines[1], []byte("extra "))))
	if err != nil {
		return nil
	}
	at := bytes.Index(entry, []byte(`"admitted":"2`)) + len(`"admitted":"2`)
	entry[at]++
	lines[1] = []byte("extra " + base64.StdEncoding.EncodeToString(entry))
	return bytes.Join(lines, []byte("\n"))
}
