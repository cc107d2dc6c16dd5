package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// requestDisclosure asks two states for mutual legal assistance. One answers, the other does
// not, and a finding cites that.
func (s *scenario) requestDisclosure(ctx context.Context) error {
	s.printChapter("a request that nobody answers (in life it has more than a day)")
	asked, err := s.requestAssistance(ctx, "2026-001", "borealis-compute", "XC", s.dates.due)
	if err != nil {
		return err
	}
	entries, size := int64(3), int64(1204)
	answer := s.statement(record.ReceiptThread("2026-001", "borealis-compute"), "borealis-compute", &record.DisclosureReceipt{Request: asked, Entries: &entries, LogSize: &size})
	if err := s.attachDocument(answer, "bundle-2026-001.age", "bundle 2026-001 (fictional, encrypted)\n"); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "disclosure-receipt-2026-001", answer, "borealis-compute-compliance"); err != nil {
		return err
	}
	s.printStep("#19-20", "answered", fmt.Sprintf("2026-001 asks XC to let borealis-compute disclose, by %s; it hands over %d entries, encrypted", s.dates.due, entries))
	now, err := newScenarioDates(time.Now(), zoneAtFirst) // the story may have begun before midnight
	if err != nil {
		return err
	}
	if asked, err = s.requestAssistance(ctx, "2026-002", "cirrus-hosting", "XD", now.today); err != nil {
		return err
	}
	s.printStep("#21", "request", fmt.Sprintf("2026-002 asks XD to let cirrus-hosting disclose, by today, %s", now.today))

	says := func() *record.Statement {
		return s.statement(record.RequestThread("2026-002"), record.Authority, &record.DisclosureRequest{Status: record.RequestUnanswered})
	}
	early := says()
	if err := s.attachDocument(early, "unanswered-2026-002.txt", "Request 2026-002 went unanswered (fictional)\n"); err != nil {
		return err
	}
	_, err = s.send(ctx, early, "authority-officer-3")
	s.expectRefused("too early", `"unanswered", said before the day is over`, err)
	if err := s.moveAcrossDateLine(ctx); err != nil {
		return err
	}
	late := says()
	late.Subject, late.Document = early.Subject, early.Document
	if _, err := s.submit(ctx, "disclosure-request-2026-002-unanswered", late, "authority-officer-3"); err != nil {
		return err
	}
	s.printStep("#23", "unanswered", fmt.Sprintf("2026-002: it is %s now, and nothing came", s.datesAfterMove.today))
	return s.find(ctx, asked, s.heads[late.Thread])
}

// requestAssistance asks a state about a customer of a provider, whose receipt will say that it
// was answered.
func (s *scenario) requestAssistance(ctx context.Context, name, provider, jurisdiction string, due record.Date) (record.ID, error) {
	st := s.statement(record.RequestThread(name), record.Authority, &record.DisclosureRequest{
		Status: record.RequestRequested, Type: record.Sealable{Text: "mlat"}, Provider: record.Sealable{Text: provider}, Jurisdiction: jurisdiction, DueOn: &due,
	})
	if err := s.attachDocument(st, "request-"+name+".txt", "REQUEST "+name+" for mutual legal assistance (fictional)\n"); err != nil {
		return record.ID{}, err
	}
	_, err := s.submit(ctx, "disclosure-request-"+name, st, "authority-officer-3")
	return s.heads[st.Thread], err
}

// moveAcrossDateLine amends the charter: the office's calendar goes on by a day.
func (s *scenario) moveAcrossDateLine(ctx context.Context) (err error) {
	st := s.statement(record.CharterThread, record.Authority, s.newCharter(zoneAfterMove))
	if err := s.attachDocument(st, "charter-2.txt", "The office keeps the time of "+zoneAfterMove+" (fictional)\n"); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "charter-2", st, "root-root-1", "root-root-2"); err != nil {
		return err
	}
	if s.datesAfterMove, err = newScenarioDates(time.Now(), zoneAfterMove); err != nil {
		return err
	}
	s.printStep("#22", "charter", "the office moves across the date line, from Pago Pago to Apia, as Samoa did in 2011: its calendar goes on by a day (every clock here is true)")
	return nil
}

// find designates a jurisdiction on the evidence of a request and of the record that says it
// went unanswered.
func (s *scenario) find(ctx context.Context, evidence ...record.ID) error {
	d := s.datesAfterMove
	o := order{"2026-017", "Sundria (jurisdiction)", d.designation(record.Target{Schema: "Jurisdiction", Name: "Sundria (fictional)", Country: "XD"}, "jurisdiction", "prohibit")}
	o.says.Findings, o.says.Evidence = []string{"no-mutual-legal-assistance"}, evidence
	st := s.statement(record.DesignationThread(o.name), record.Authority, o.says)
	if err := s.attachDocument(st, "order-"+o.name+".txt", orderText(o)); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "designation-"+o.name, st, "authority-officer-1", "authority-officer-2"); err != nil {
		return err
	}
	s.printStep("#24", "designation", fmt.Sprintf("%s %s: no mutual legal assistance; evidence: records #21 and #23", o.name, o.short))

	return s.ask(ctx, func(v *view.View) error {
		counts, err := v.Cooperation("", time.Now())
		if err != nil {
			return err
		}
		var words []string
		for _, c := range counts {
			words = append(words, fmt.Sprintf("%s %d of %d", c.Jurisdiction, c.Answered, c.Asked))
		}
		told := strings.Join(words, ", ")
		if told != "XC 1 of 1, XD 0 of 1" {
			s.unexpected++
		}
		s.printOutcome("recount", "answered, as anybody can count", told)
		return nil
	})
}
