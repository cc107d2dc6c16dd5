package customers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// api is the table of paths.
func (s *Server) api() []route {
	const v1 = "/v1/customers/"
	reading := []Role{Reader, Compliance, Discloser}
	return []route{
		{pattern: "GET /healthz", locked: true, answer: s.healthy},
		{pattern: "GET /readyz", locked: true, answer: s.ready},
		{pattern: "POST " + v1 + "events", roles: []Role{Writer, Compliance}, answer: s.addEvents},
		{pattern: "POST " + v1 + "find", roles: reading, reads: true, answer: s.find},
		{pattern: "POST " + v1 + "show", roles: reading, reads: true, answer: s.show},
		{pattern: "POST " + v1 + "house", roles: []Role{Compliance}, reads: true, answer: s.house},
		{pattern: "POST " + v1 + "queue", roles: []Role{Compliance, Reader}, reads: true, answer: s.queue},
		{pattern: "GET " + v1 + "about", roles: Roles(), locked: true, answer: s.about},
		{pattern: "GET " + v1 + "stats", roles: Roles(), answer: s.statistics},
		{pattern: "GET " + v1 + "periods", roles: reading, answer: s.periods},
		{pattern: "POST " + v1 + "periods", roles: []Role{Compliance}, long: true, answer: s.closePeriod},
		{pattern: "POST " + v1 + "publish/next", roles: []Role{Compliance}, answer: s.next},
		{pattern: "POST " + v1 + "publish/recorded", roles: []Role{Compliance}, answer: s.recorded},
		{pattern: "GET " + v1 + "disclosures", roles: []Role{Discloser, Compliance}, reads: true, answer: s.disclosures},
		{pattern: "POST " + v1 + "disclosures/prepare", roles: []Role{Discloser}, long: true, answer: s.prepare},
		{pattern: "POST " + v1 + "disclosures/review", roles: []Role{Discloser, Compliance}, reads: true, long: true, answer: s.review},
		{pattern: "POST " + v1 + "disclosures/approve", roles: []Role{Discloser}, answer: s.approve},
		{pattern: "POST " + v1 + "disclosures/withdraw", roles: []Role{Discloser}, answer: s.withdraw},
		{pattern: "POST " + v1 + "disclosures/hand-out", roles: []Role{Discloser}, long: true, answer: s.handOut},
		{pattern: "POST " + v1 + "erase", roles: []Role{Compliance}, long: true, answer: s.erase},
		{pattern: "POST " + v1 + "report", roles: []Role{Compliance}, long: true, answer: s.report},
		{pattern: "POST " + v1 + "export", roles: []Role{Compliance}, long: true, answer: s.export},
		{pattern: "POST " + v1 + "audit", roles: []Role{Compliance}, long: true, answer: s.audit},
		{pattern: "POST " + v1 + "rotate", roles: []Role{Compliance}, long: true, answer: s.rotate},
		{pattern: "POST " + v1 + "backup-keys", roles: []Role{Compliance}, long: true, answer: s.backup},
		{pattern: "POST " + v1 + "unlock", roles: []Role{Compliance}, locked: true, long: true, answer: s.unlock},
		{pattern: "POST " + v1 + "lock", roles: []Role{Compliance}, locked: true, long: true, answer: s.lock},
	}
}

// Health is the answer of /healthz, which strangers read too: of what is published on schedule
// it says what the public ledger shows anyway.
type Health struct {
	OK         bool   `json:"ok"`                   // the process lives
	Publishing string `json:"publishing,omitempty"` // how the schedule stands, where there is one
}

func (s *Server) healthy(x *request) error { return x.answer(Health{true, s.publishing.words()}) }

// About says which log it is, to those who have a role, for commands that are given its URL alone.
type About struct {
	Party  string    `json:"party"`
	Ledger record.ID `json:"ledger"` // of the charter
	Origin string    `json:"origin"`
	Zone   string    `json:"zone"` // IANA name: in which days begin and end
}

func (s *Server) about(x *request) error { return x.answer(s.cfg.About) }

// ready says whether events are taken and customers shown.
func (s *Server) ready(x *request) error {
	l := s.open.Load()
	if l == nil || l.Locked() {
		return vault.ErrLocked
	}
	if err := l.Err(); err != nil {
		return err
	}
	return x.answer(map[string]bool{"ready": true})
}

// Stats is how large the log is.
type Stats struct {
	Customers uint64 `json:"customers"` // with a key: erased ones are not
	Size      uint64 `json:"size"`      // leaves
	Published uint64 `json:"published"` // of them in closed periods
	Periods   int    `json:"periods"`
	DataBytes uint64 `json:"dataBytes"`
	KeyBytes  uint64 `json:"keyBytes"`
}

func (s *Server) statistics(x *request) error {
	st, err := x.log.Stats()
	if err != nil {
		return err
	}
	return x.answer(Stats(st))
}

// Period is a closed period as the public record of it needs it.
type Period struct {
	Number      uint64      `json:"number"`
	Until       record.Date `json:"until"`
	Size        uint64      `json:"size"`
	Root        string      `json:"root"`
	MapRoot     string      `json:"mapRoot"`
	Customers   uint64      `json:"customers"`
	ClosedAt    time.Time   `json:"closedAt"`
	Checkpoint  string      `json:"checkpoint,omitempty"`  // the signed note
	Consistency []string    `json:"consistency,omitempty"` // from the period before
	Record      *record.ID  `json:"record,omitempty"`      // the public one, once there is one
}

// Periods are all of them, the earliest first.
type Periods struct {
	Periods []Period `json:"periods"`
}

func (s *Server) periodOf(x *request, p, before private.Period) (Period, error) {
	out := Period{Number: p.Number, Until: p.Until, Size: p.Size, Root: p.Root.String(), MapRoot: record.ID(p.MapRoot).String(),
		Customers: p.Customers, ClosedAt: p.ClosedAt, Checkpoint: string(p.Checkpoint)}
	if !p.Record.IsZero() {
		out.Record = &p.Record
	}
	if before.Number > 0 && before.Size < p.Size && p.Checkpoint != nil {
		path, err := x.log.Consistency(x.req.Context(), before.Size, p.Size)
		if err != nil {
			return out, err
		}
		for _, h := range path {
			out.Consistency = append(out.Consistency, h.String())
		}
	}
	return out, nil
}

func (s *Server) periods(x *request) error {
	out := Periods{Periods: []Period{}}
	var before private.Period
	for _, p := range x.log.Periods() {
		one, err := s.periodOf(x, p, before)
		if err != nil {
			return err
		}
		out.Periods, before = append(out.Periods, one), p
	}
	return x.answer(out)
}

// CloseQuery closes a period.
type CloseQuery struct {
	Until record.Date `json:"until"` // its last day, inclusive
}

func (s *Server) closePeriod(x *request) error {
	var q CloseQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	if q.Until.IsZero() {
		return newProblem(problemMalformed, "until: want the period's last day, like 2027-01-31")
	}
	if today := s.today(); q.Until.After(today) {
		return newProblem(problemConflict, "the period cannot end on %s: today is %s", q.Until, today)
	}
	p, err := x.log.ClosePeriod(x.req.Context(), q.Until)
	if err != nil {
		return err
	}
	var before private.Period
	if all := x.log.Periods(); p.Number > 1 {
		before = all[p.Number-2]
	}
	out, err := s.periodOf(x, p, before)
	if err != nil {
		return err
	}
	return x.answer(out)
}

// ExportQuery asks for all customers: one a line.
type ExportQuery struct {
	For string `json:"for"` // screened or exported: what is logged
	Purpose
}

// export streams all customers, as JSON Lines, and last one line {"end":true}: without it the
// answer broke off.
func (s *Server) export(x *request) error {
	var q ExportQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	act := event.Act{By: x.client.Name, Request: q.Request, Reason: q.Reason}
	switch q.For {
	case "screened":
		act.What = event.KindScreened
	case "", "exported":
		act.What = event.KindExported
	default:
		return newProblem(problemMalformed, "for: want screened or exported")
	}
	started := false
	w := json.NewEncoder(x)
	err := x.log.Each(x.req.Context(), act, func(st event.State) error {
		if !started {
			x.Header().Set("Content-Type", "application/jsonl")
			started = true
		}
		return w.Encode(customerOf(st))
	})
	switch {
	case err != nil && started:
		panic(http.ErrAbortHandler)
	case err != nil:
		return err
	}
	if !started {
		x.Header().Set("Content-Type", "application/jsonl")
	}
	w.Encode(map[string]bool{"end": true})
	return nil
}

func (s *Server) audit(x *request) error {
	report, err := x.log.Audit(x.req.Context(), nil)
	if errors.Is(err, ledger.ErrCorrupt) { // which place is damaged, and nothing of anybody
		return &problem{kind: problemDamaged, detail: fmt.Sprintf("the audit could not go on: %v: bring back a backup of data/ and log/", err), cause: err}
	} else if err != nil {
		return err
	}
	return x.answer(auditOf(report))
}

// RotateQuery gives the vault a new key.
type RotateQuery struct {
	Recipients string `json:"recipients,omitempty"` // one a line; "": as before
}

func (s *Server) rotate(x *request) error {
	var q RotateQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	var recipients []vault.Recipient
	if q.Recipients != "" {
		if x.client.Name != owner.Name { // or one person over the network has the vault to himself
			return newProblem(problemForbidden, "who opens the vault is said over the socket in the log's directory alone")
		}
		var err error
		if recipients, err = vault.ParseRecipients([]byte(q.Recipients), nil); err != nil {
			return newProblem(problemMalformed, "recipients: %v", err)
		}
	}
	if err := x.log.RotateVault(x.req.Context(), x.who(Purpose{}, Compliance), recipients, nil); err != nil {
		return err
	}
	return x.answer(struct{}{})
}

// BackupQuery backs up the customers' keys.
type BackupQuery struct {
	Dir string `json:"dir"` // absolute, on the server's machine
}

// Backup is the answer.
type Backup struct {
	Name    string   `json:"name"`
	Deleted []string `json:"deleted,omitempty"`
}

func (s *Server) backup(x *request) error {
	var q BackupQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	if x.client.Name != owner.Name || s.cfg.Backup == nil {
		return newProblem(problemForbidden, "a backup is made over the socket in the log's directory alone")
	}
	if !filepath.IsAbs(q.Dir) {
		return newProblem(problemMalformed, "dir: want an absolute path")
	}
	var out Backup
	var err error
	if out.Name, out.Deleted, err = s.cfg.Backup(x.req.Context(), q.Dir); err != nil {
		return err
	}
	return x.answer(out)
}

// unlock takes the secret key of age as the body. It is never kept, and never logged.
func (s *Server) unlock(x *request) error {
	raw, err := x.body()
	if err != nil {
		return err
	}
	defer clear(raw)
	if len(bytes.TrimSpace(raw)) == 0 {
		return newProblem(problemMalformed, "want the secret key of age that opens the vault as the body")
	}
	ids, err := vault.ParseIdentities(raw, nil)
	if err != nil {
		return newProblem(problemMalformed, "%v", err)
	}
	err = s.Unlock(x.req.Context(), x.who(Purpose{}, Compliance), ids...)
	switch {
	case err == nil:
		return x.answer(struct{}{})
	case errors.Is(err, vault.ErrNoVault), errors.Is(err, vault.ErrNotVault), errors.Is(err, vault.ErrRotated), errors.Is(err, vault.ErrNoPlugin), errors.Is(err, vault.ErrOtherVault), errors.Is(err, private.ErrOtherKey):
		return newProblem(problemConflict, "%v", err)
	case errors.Is(err, private.ErrLost), errors.Is(err, ledger.ErrCorrupt), errors.Is(err, ledger.ErrRollback):
		return &problem{kind: problemDamaged, detail: err.Error(), cause: err} // says what is lost, and nothing of anybody
	}
	return err
}

func (s *Server) lock(x *request) error {
	if err := s.Lock(x.req.Context(), x.who(Purpose{Reason: "asked for"}, Compliance)); err != nil {
		return err
	}
	return x.answer(struct{}{})
}
