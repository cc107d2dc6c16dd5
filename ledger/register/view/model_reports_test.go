package view_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func (j *judged) resellerRules(p *record.ResellerReport) {
	j.filedBy(officer)
	reseller := j.st.Thread.Reseller()
	if p.Status == record.ResellerActive {
		is := j.hasRole(reseller, record.RoleReseller)
		j.refuse(!is, record.Invalid, "R is no reseller")
		j.refuse(is && j.holders(reseller, officer) < 1, record.Forbidden, "no officer of the reseller")
	}
	before := j.newest(j.st.Thread)
	next := map[string][]record.ResellerStatus{
		"": {"unconfirmed", "active"}, "unconfirmed": {"unconfirmed", "active", "breach", "terminated"}, "active": {"active", "breach", "terminated"},
		"breach": {"terminated"}, "terminated": {"unconfirmed", "active"},
	}
	class := record.Conflict
	if before.st == nil {
		class = record.Invalid
	}
	j.refuse(!slices.Contains(next[before.status], p.Status), class, "no such step")
	verified := 0
	for _, e := range j.log {
		if e.kind == "resell" && e.st.Thread == j.st.Thread {
			verified = max(verified, e.on)
		}
	}
	j.refuse(p.VerifiedAt != nil && (dayNumber(p.VerifiedAt) > j.day || dayNumber(p.VerifiedAt) < verified), record.Invalid, "verifiedAt")
	for _, day := range p.Attempts {
		j.refuse(dayNumber(&day) > j.day, record.Invalid, "tried in days to come")
	}
}

func (j *judged) customerLogRules(p *record.CustomerLog) {
	j.filedBy(filer)
	j.refuse(dayNumber(&p.PeriodUntil) > j.day, record.Invalid, "not over yet")
	j.refuse(p.Origin == j.c.Origin, record.Invalid, "this ledger's origin")
	var before entry
	vkey := p.VKey
	for _, e := range j.log {
		if e.kind != "customer-log" {
			continue
		}
		l := e.st.Predicate.(*record.CustomerLog)
		j.refuse(p.VKey != "" && samePublic(p.VKey, l.VKey), record.Invalid, "a log's key is never used again")
		if e.st.Thread == j.st.Thread {
			if before = e; vkey == "" || p.VKey == "" && l.VKey != "" {
				vkey = l.VKey
			}
		}
	}
	if vkey != "" {
		v, err := note.NewVerifier(vkey)
		if err == nil {
			_, err = note.Open([]byte(p.Checkpoint), note.VerifierList(v))
		}
		j.refuse(err != nil, record.Invalid, "the checkpoint is not signed by the log")
	}
	if before.st == nil {
		j.refuse(p.VKey == "" || p.Restart != nil || len(p.Consistency) > 0, record.Invalid, "a first record")
		return
	}
	l := before.st.Predicate.(*record.CustomerLog)
	if p.Restart != nil {
		j.refuse(p.Origin == l.Origin || p.VKey == "" || len(p.Consistency) > 0, record.Invalid, "a log that begins anew")
		return
	}
	j.refuse(p.Origin != l.Origin, record.Invalid, "another log")
	var proof tlog.TreeProof
	for _, h := range p.Consistency {
		raw, _ := base64.StdEncoding.DecodeString(h)
		proof = append(proof, tlog.Hash(raw))
	}
	root, old := tlog.Hash(j.st.Subject.SHA256), tlog.Hash(before.st.Subject.SHA256)
	switch {
	case p.Size < l.Size:
		j.refuse(true, record.Invalid, "a log never shrinks")
	case p.Size == l.Size:
		j.refuse(root != old || len(proof) > 0, record.Invalid, "the same size, another log")
	case l.Size == 0:
		j.refuse(len(proof) > 0, record.Invalid, "nothing to prove")
	default:
		j.refuse(tlog.CheckTree(proof, p.Size, root, l.Size, old) != nil, record.Invalid, "no extension of the log before")
	}
}

// samePublic says whether two verifier keys are of one key, whatever they are called.
func samePublic(a, b string) bool {
	part := func(v string) []byte {
		fields := strings.SplitN(v, "+", 3)
		if len(fields) < 3 {
			return nil
		}
		raw, _ := base64.StdEncoding.DecodeString(fields[2])
		return raw
	}
	return b != "" && bytes.Equal(part(a), part(b))
}

// asking is a request to disclose as it stands.
type asking struct {
	first                           *record.DisclosureRequest
	provider                        string // "" while it is sealed
	sealed                          bool
	last                            int // day to answer on
	asked, opened                   entry
	answered, withdrawn, unanswered entry
	byAuthority, byProvider         entry // who challenged
}

func (m *model) request(name string, at time.Time) (a asking, ok bool) {
	for _, e := range m.log {
		if e.request != name || e.at.After(at) {
			continue
		}
		switch {
		case e.kind == "receipt" && e.status == "answered":
			if a.answered.st == nil {
				a.answered = e
			}
		case e.kind == "receipt":
			if a.byProvider.st == nil {
				a.byProvider = e
			}
		case a.first == nil:
			a.first, a.provider, a.sealed, a.last, a.asked, a.opened = e.st.Predicate.(*record.DisclosureRequest), e.party, e.sealed, e.due, e, e
		case e.opens:
			a.provider, a.sealed, a.opened = e.party, false, e
			a.last = max(a.last, later(e.day, m.charterAt(e.index).Periods.Response))
		}
		if e.kind == "ask" {
			switch e.status {
			case "withdrawn":
				a.withdrawn = e
			case "unanswered":
				a.unanswered = e
			case "challenged":
				a.byAuthority = e
			}
		}
	}
	return a, a.first != nil
}

// standing of a request, and the entry that says so.
func (a asking) standing() (string, entry) {
	switch {
	case a.withdrawn.st != nil:
		return "withdrawn", a.withdrawn
	case a.answered.st != nil:
		return "answered", a.answered
	case a.unanswered.st != nil:
		return "unanswered", a.unanswered
	case a.byProvider.st != nil && (a.byAuthority.st == nil || a.byProvider.index < a.byAuthority.index):
		return "challenged", a.byProvider
	case a.byAuthority.st != nil:
		return "challenged", a.byAuthority
	}
	return "open", entry{}
}

func (j *judged) requestRules(p *record.DisclosureRequest) {
	j.refuse(j.officers(record.FuncDemands) < 1, record.Forbidden, "no officer who demands")
	a, ok := j.request(j.st.Thread.Request(), j.at)
	if !ok {
		j.refuse(dayNumber(p.DueOn) < j.day, record.Invalid, "due already")
		j.refuse(p.SealedUntil != nil && dayNumber(p.SealedUntil) < j.day, record.Invalid, "the seal is over already")
		j.refuse(p.Provider.Text != "" && !j.hasRole(p.Provider.Text, record.RoleProvider), record.Invalid, "no provider")
		return
	}
	status, _ := a.standing()
	if p.Open != nil {
		if !a.sealed {
			j.refuse(true, record.Conflict, "nothing is sealed")
		} else {
			j.refuse(dayNumber(a.first.SealedUntil) > j.day, record.Invalid, "the seal holds")
			j.refuse(!j.hasRole(p.Open.Provider, record.RoleProvider), record.Invalid, "no provider")
		}
	}
	for _, again := range []bool{
		p.DueOn != nil && *p.DueOn != *a.first.DueOn, p.Jurisdiction != "" && p.Jurisdiction != a.first.Jurisdiction,
		p.SealedUntil != nil && (a.first.SealedUntil == nil || *p.SealedUntil != *a.first.SealedUntil), p.Recipient != "" && p.Recipient != a.first.Recipient,
		p.Type.Text != "" && p.Type.Text != a.first.Type.Text, p.Provider.Text != "" && p.Provider.Text != a.first.Provider.Text,
	} {
		j.refuse(again, record.Invalid, "says a term otherwise")
	}
	if status == "withdrawn" {
		j.refuse(!(a.sealed && p.Open != nil && p.Status == "withdrawn"), record.Conflict, "withdrawn is final")
		return
	}
	switch p.Status {
	case "requested":
		j.refuse(p.Open == nil, record.Conflict, "requested already")
	case "withdrawn":
		j.refuse(status == "answered", record.Conflict, "answered")
	case "challenged":
		j.refuse(status == "answered" || status == "unanswered" || a.byAuthority.st != nil, record.Conflict, "not challenged any more")
	case "unanswered":
		opened, last := p.Open != nil, a.last
		if opened {
			last = max(last, later(j.day, j.c.Periods.Response))
		}
		j.refuse(status == "answered" || status == "unanswered", record.Conflict, "said already")
		j.refuse(a.sealed && !opened, record.Conflict, "nobody could answer yet")
		j.refuse(j.day <= last, record.Invalid, "there is time to answer")
	}
}

func (j *judged) receiptRules(p *record.DisclosureReceipt) {
	j.filedBy(officer)
	name := j.st.Thread.Request()
	a, ok := j.request(name, j.at)
	if !ok {
		j.refuse(true, record.Invalid, "no such request")
		return
	}
	to, ok := j.byID(p.Request)
	j.refuse(!ok || to.st.Thread != record.RequestThread(name), record.Invalid, "names no record of the request")
	if a.sealed {
		j.refuse(true, record.Conflict, "sealed")
		return
	}
	status, _ := a.standing()
	j.refuse(a.provider != j.st.Issuer, record.Invalid, "another is asked")
	j.refuse(status == "withdrawn", record.Conflict, "withdrawn")
	j.refuse(p.Challenged && (status == "answered" || a.byProvider.st != nil), record.Conflict, "not challenged any more")
}
