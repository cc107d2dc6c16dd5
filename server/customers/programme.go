package customers

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// programme is what is due by, as its files say now. Each content of them is logged before
// anything is computed by it, once: so whoever alters a version leaves a trace.
func (s *Server) programme(ctx context.Context, l *private.Log) (*programme.History, error) {
	history, err := s.cfg.Programme()
	if err != nil {
		return nil, programmeFault(err)
	}
	s.logging.Lock()
	defer s.logging.Unlock()
	for _, p := range history.Versions() {
		if err := s.logProgramme(ctx, l, p); err != nil {
			return nil, err
		}
	}
	return history, nil
}

// logProgramme logs a version unless the newest act about its first day has the same content.
func (s *Server) logProgramme(ctx context.Context, l *private.Log, p *programme.Programme) error {
	sum := p.Digest()
	digest, from := hex.EncodeToString(sum[:]), p.From
	if s.logged[from] == digest {
		return nil
	}
	before, known := s.logged[from]
	if !known {
		var err error
		if before, err = loggedProgramme(ctx, l, from); err != nil {
			return err
		}
	}
	if before != digest {
		reason := p.Name
		if before != "" {
			reason = fmt.Sprintf("%s: not the content of before, which had SHA-256 %s", p.Name, before)
			inForce := !from.After(record.DateOf(time.Now(), s.cfg.Zone))
			s.log.Warn("a version of the programme was altered: a change is better a new file, with a later day", "from", from.String(), "inForce", inForce, "before", before, "now", digest)
			if inForce {
				reason = "altered while it was in force; " + reason
			}
		}
		if _, err := l.Act(ctx, event.Act{What: event.KindProgramme, By: "docket", Digest: digest, From: &from, Reason: reason}); err != nil {
			return err
		}
	}
	if s.logged == nil {
		s.logged = make(map[record.Date]string)
	}
	s.logged[from] = digest
	return nil
}

// loggedProgramme is the digest of the version of a first day that was logged last; "" if
// there is none.
func loggedProgramme(ctx context.Context, l *private.Log, from record.Date) (string, error) {
	for before := uint64(0); ; {
		events, more, err := l.House(ctx, before, 1000)
		if err != nil {
			return "", err
		}
		for _, e := range events {
			if a, ok := e.Content.(*event.Act); ok && a.What == event.KindProgramme && a.From != nil && *a.From == from {
				return a.Digest, nil
			}
			before = e.Index
		}
		if !more || len(events) == 0 {
			return "", nil
		}
	}
}
