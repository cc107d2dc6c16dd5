package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// customers is acme-cloud's list. C-2 bears an alias of the first order, and the registration
// number that was misprinted there.
const customers = `id,company,country,registration number
C-1,Harbour Bakery Ltd,XC,0012077
C-2,Kestrel Cloud,XE,0048231
C-3,Kestrel Falconry Club,XE,
C-4,Lumen Lamps Ltd,XC,0031415
`

// The files of the chapter, in a directory of their own.
const (
	screeningDir   = "screening"
	customersFile  = "customers.csv"
	exceptionsFile = "reviewed.csv"
	beforeFile     = "before.screening"
	afterFile      = "after.screening"
	saltsFile      = "response.salts.json" // opens what the response commits to
)

// screenCustomers finds a customer that an order may mean, by a name, and reviews that hit.
// Then the order's number is corrected, to the customer's: the exception lapses.
func (s *scenario) screenCustomers(ctx context.Context) error {
	s.printChapter("is a customer on it? (asked of a verified copy, offline)")
	const asked = "kestrel host"
	err := s.ask(ctx, func(v *view.View) error {
		found, err := v.Search(asked, view.SearchFilter{}, time.Now())
		if err != nil {
			return err
		}
		told := "NOTHING"
		if len(found.Hits) == 1 {
			h := found.Hits[0]
			told = fmt.Sprintf("%s: %s %s", h.How, h.Thread.Name(), h.Name)
		} else {
			s.unexpected++
		}
		s.printOutcome("search", fmt.Sprintf("%q", asked), told)
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.writeScreening(customersFile, []byte(customers)); err != nil {
		return err
	}

	open, err := s.screenList(ctx, nil)
	if err != nil {
		return err
	}
	if len(open.lines) != 1 || len(open.lines[0].Hits) != 1 {
		return fmt.Errorf("%d customers are hit, and one should be", len(open.lines))
	}
	hit := &open.lines[0].Hits[0]
	s.printOutcome("screening", fmt.Sprintf("%d customers, %d hit: C-2 %s", open.totals.Rows, open.totals.Hits, open.lines[0].Name), fmt.Sprintf("%s of %s, %d points: score %s", hit.How, hit.Thread.Name(), hit.Points, hit.Score))

	hit.Exception = &screening.Applied{By: "compliance", On: s.dates.today, Why: "has another registration number than the order's"}
	reviewed, err := exceptionsOf(open)
	if err != nil {
		return err
	}
	if err := s.writeScreening(exceptionsFile, reviewed); err != nil {
		return err
	}
	before, err := s.screenList(ctx, reviewed)
	if err != nil {
		return err
	}
	s.printOutcome("reviewed", "C-2 has another registration number", fmt.Sprintf("an exception, by %s; %d hits are open", hit.Exception.By, before.totals.Open))

	if err := s.correct(ctx); err != nil {
		return err
	}
	after, err := s.screenList(ctx, reviewed)
	if err != nil {
		return err
	}
	if len(after.lines) != 1 || len(after.lines[0].Hits) != 1 || after.lines[0].Hits[0].Exception == nil {
		return errors.New("the exception is not there any more")
	}
	lapsed := after.lines[0].Hits[0]
	if before.totals.Excepted != 1 || after.totals.Lapsed != 1 || after.totals.Open != 1 || lapsed.Points <= hit.Points {
		s.unexpected++
	}
	s.printOutcome("screened anew", "the same list and exception", fmt.Sprintf("LAPSED, since the order has changed: score %s", lapsed.Score))

	s.screeningReport = after.report
	return errors.Join(s.writeScreening(beforeFile, before.report), s.writeScreening(afterFile, after.report))
}

// correct amends the first order's registration number.
func (s *scenario) correct(ctx context.Context) error {
	st := s.statement("designation/2026-014", record.Authority, &record.Amendment{
		Type: "correction", Reason: "Registration number misprinted in the order; a second domain found.",
		Set: schema.Object{{Name: "target", Value: schema.Object{{Name: "registrationNumber", Value: "0048231"}}}},
		Add: schema.Object{{Name: "target", Value: schema.Object{{Name: "domain", Value: []any{"kestrel-cloud.example"}}}}},
	})
	if err := s.attachDocument(st, "correction-2026-014-1.txt", "CORRECTION 1 to order 2026-014 (fictional)\n"); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "amendment-2026-014-1", st, "authority-officer-1", "authority-officer-2"); err != nil {
		return err
	}
	s.printStep("#9", "amendment", "2026-014: registration number corrected, and it is C-2's; nobody has to answer again")
	return nil
}

// screened is a report on the customers, and what it says.
type screened struct {
	report []byte
	lines  []screening.Line // that were hit
	totals screening.Totals
}

// screenList screens the customers against all that is on the ledger now, as docket screen does.
func (s *scenario) screenList(ctx context.Context, exceptions []byte) (done screened, err error) {
	t, err := s.openTrust(ctx)
	if err != nil {
		return done, err
	}
	defer t.Close()
	run, err := s.newRun(ctx, t, exceptions)
	if err != nil {
		return done, err
	}
	var report bytes.Buffer
	done.totals, err = run.Write(ctx, &report, nil, func(l screening.Line) error {
		if len(l.Hits) > 0 {
			done.lines = append(done.lines, l)
		}
		return nil
	}, func() error { return nil })
	done.report = report.Bytes()
	return done, errors.Join(err, t.Close())
}

// newRun is a run over the customers.
func (s *scenario) newRun(ctx context.Context, t *client.Trust, exceptions []byte) (*screening.Run, error) {
	reg, err := t.Register()
	if err != nil {
		return nil, err
	}
	v, err := view.Latest(reg)
	if err != nil {
		return nil, err
	}
	zone, err := rules1.Location(zoneAtFirst)
	if err != nil {
		return nil, err
	}
	tomorrow, err := time.ParseInLocation(time.DateOnly, s.dates.today.AddDays(1).String(), zone)
	if err != nil {
		return nil, err
	}
	designations, err := screening.NewDesignations(v, tomorrow.Add(-time.Millisecond).UTC(), screening.InEffect)
	if err != nil {
		return nil, err
	}
	tree, err := t.TreeAt(ctx, v.Size())
	if err != nil {
		return nil, err
	}
	of, err := v.SourceOf(time.Time{}, tree.Root.String(), s.url)
	if err != nil {
		return nil, err
	}
	source, err := screening.NewSource(strings.NewReader(customers))
	if err != nil {
		return nil, err
	}
	defer source.Close()
	list, err := screening.NewList(strings.NewReader(customers), nil)
	if err != nil {
		return nil, err
	}
	run := &screening.Run{
		Head:     screening.NewHead(of, s.dates.today, screening.InEffect, screen.Threshold, designations),
		List:     list,
		Screener: &screening.Screener{Designations: designations, Threshold: screen.Threshold},
		Workers:  1,
	}
	run.Head.Input = source.Head(list)
	if exceptions == nil {
		return run, nil
	}
	x, err := screening.ParseExceptions(bytes.NewReader(exceptions))
	if err != nil {
		return nil, err
	}
	run.Screener.Exceptions = x
	run.Head.Exceptions = &screening.ExceptionsHead{SHA256: fmt.Sprintf("%x", sha256.Sum256(exceptions)), Count: x.Len(), Blank: x.Blank}
	return run, x.Resolve(designations, s.dates.today)
}

// exceptionsOf is the file of exceptions of hits that were reviewed.
func exceptionsOf(reviewed screened) ([]byte, error) {
	var b bytes.Buffer
	t, err := screening.NewTemplate(&b)
	if err != nil {
		return nil, err
	}
	for _, l := range reviewed.lines {
		if err := t.Add(l); err != nil {
			return nil, err
		}
	}
	err = t.Close(nil, nil)
	return b.Bytes(), err
}

// commitScreening commits a response to the newest screening report, and keeps the salt.
func (s *scenario) commitScreening(thread record.Thread) (*record.Digest, error) {
	opening := record.NewOpening("/screening", fmt.Sprintf("%x", sha256.Sum256(s.screeningReport)))
	text, err := json.MarshalIndent([]record.Opening{opening}, "", "  ")
	if err != nil {
		return nil, err
	}
	return &record.Digest{SHA256: opening.Commit(s.ledger, thread).Commit}, s.writeScreening(saltsFile, append(text, '\n'))
}

// writeScreening writes a file about customers, which is nobody else's to read.
func (s *scenario) writeScreening(name string, data []byte) error {
	return os.WriteFile(filepath.Join(s.dir, screeningDir, name), data, 0o600)
}
