package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// providers are the parties that enrol, in this order.
var providers = []string{"acme-cloud", "borealis-compute", "cirrus-hosting"}

// zone is the charter's.
var zone = func() *time.Location {
	z, err := rules1.Location("America/New_York")
	must(err)
	return z
}()

// begin is the record without which nothing else goes, nil if there is none. While
// nobody knows what became of it, it is the same one.
func (p *people) begin() *letter {
	switch {
	case p.Ledger.IsZero():
		return p.once("the charter", p.Charter)
	case p.Head("party/authority").IsZero():
		return p.once("the authority's enrolment", p.Authority)
	}
	for _, id := range providers[:1+p.w.rng.IntN(len(providers))] {
		if p.Head("party/" + id).IsZero() {
			return p.once("the enrolment of "+id, func() record.Envelope { return p.Provider(id) })
		}
	}
	return nil
}

// once writes a letter unless there is one already whose fate is not known.
func (p *people) once(what string, make func() record.Envelope) *letter {
	for _, l := range p.letters {
		if l.what == what && !l.settled {
			return l
		}
	}
	return p.write(what, make())
}

// speech is one thing to be said, and who has to sign it.
type speech struct {
	what           string
	thread, issuer string
	says           record.Predicate
	sign           []string
	noted          func()
}

// anything says something that one of them could say, or forges it.
func (p *people) anything() *letter {
	s := p.speech()
	st := p.Statement(s.thread, s.issuer, s.says)
	st.Note = fmt.Sprintf("letter %d", len(p.letters)) // no two are alike
	if _, err := record.EncodeStatement(st); err != nil {
		return nil // no one could even sign it
	}
	if p.w.chance(25) {
		return p.forge(s, st)
	}
	if p.w.chance(5) {
		st.IssuedAt = st.IssuedAt.Add(time.Duration(1+p.w.rng.IntN(60)) * time.Minute) // a clock ahead: fine later
		s.what += ", dated ahead"
	}
	l := p.write(s.what, p.Sign(st, s.sign...))
	l.noted = s.noted
	return l
}

// rivals are two letters that cannot both be admitted.
func (p *people) rivals() []*letter {
	p.Now = time.Now().UTC().Truncate(time.Millisecond)
	if p.begin() != nil {
		return nil
	}
	s := p.speech()
	var all []*letter
	for range 2 {
		st := p.Statement(s.thread, s.issuer, s.says)
		st.Note = fmt.Sprintf("letter %d", len(p.letters))
		if _, err := record.EncodeStatement(st); err != nil {
			return nil
		}
		l := p.write(s.what+", one of two", p.Sign(st, s.sign...))
		l.noted = s.noted
		all = append(all, l)
	}
	return all
}

// speech picks something to say.
func (p *people) speech() speech {
	w, today := p.w, rules1.DateIn(p.Now, zone)
	officers := []string{"authority/officer-1", "authority/officer-2"}
	provider := pick(w, providers...)
	order := fmt.Sprintf("2026-%03d", len(p.orders))
	if len(p.orders) > 0 && w.chance(80) {
		order = p.orders[w.rng.IntN(len(p.orders))]
	}
	thread, listed := "designation/"+order, pick(w, "36", "173", "306")
	if !slices.Contains(p.orders, order) {
		d := p.Order(pick(w, "Kestrel Hosting", "Lumen Resale", "Кестрел"))
		return speech{"designation " + order, thread, record.Authority, d, officers, func() { p.orders = append(p.orders, order) }}
	}
	switch w.rng.IntN(14) {
	case 0:
		return speech{"alias for " + order, thread, record.Authority, &record.Amendment{Type: "alias", Reason: "r", Add: alias(fmt.Sprintf("K%d", w.rng.IntN(5)))}, officers, nil}
	case 1:
		due := today.AddDays(30 + w.rng.IntN(9))
		scope := record.Object{{Name: "scope", Value: record.Object{{Name: "successors", Value: w.chance(50)}}}}
		return speech{"scope of " + order, thread, record.Authority, &record.Amendment{Type: "scope", Reason: "r", Set: scope, ResponseDue: &due}, officers, nil}
	case 2:
		until := today.AddDays(3 + w.rng.IntN(20))
		return speech{"suspension of " + order, thread, record.Authority, &record.Suspension{EffectiveOn: today.AddDays(w.rng.IntN(3)), Until: &until, Reason: "talks"}, officers, func() { p.paused = append(p.paused, order) }}
	case 3:
		if n := len(p.paused); n > 0 {
			order, thread = p.paused[n-1], "designation/"+p.paused[n-1]
		}
		return speech{"reinstatement of " + order, thread, record.Authority, &record.Reinstatement{EffectiveOn: today.AddDays(w.rng.IntN(3)), Reason: "talks ended"}, officers, nil}
	case 4:
		return speech{"revocation of " + order, thread, record.Authority, &record.Revocation{EffectiveOn: today, Cause: pick(w, "lifted", "error"), Reason: "r"}, officers, nil}
	case 5:
		return speech{"import of " + listed, "designation/ofac-sdn-" + listed, record.Authority, p.Listed(listed, pick(w, "AEROCARIBBEAN", "BANCO")), []string{"authority/nightly-import"}, nil}
	case 6:
		return speech{"delisting of " + listed, "designation/ofac-sdn-" + listed, record.Authority, &record.Revocation{EffectiveOn: today, Cause: "delisted", Reason: "r"}, []string{"authority/nightly-import"}, nil}
	case 7:
		c := &record.CIPCertification{PeriodFrom: today.AddDays(-400 + w.rng.IntN(30)), PeriodUntil: today.AddDays(-5), Initial: p.Head("cip/" + provider).IsZero()}
		return speech{"certification of " + provider, "cip/" + provider, provider, c, []string{provider + "/compliance"}, nil}
	case 8:
		status := &record.Standing{Status: pick(w, "suspended", "active", "active"), EffectiveOn: today, Reason: "r"}
		return speech{status.Status + " " + provider, "party/" + provider, record.Authority, status, []string{"authority/officer-1"}, nil}
	case 9:
		return p.newKey(provider)
	case 10:
		c := p.Rules
		c.Periods.Response = record.Period{Days: 30 + w.rng.IntN(3)}
		return speech{"a new charter", "charter", record.Authority, &c, []string{"root/root-1", "root/root-3"}, nil}
	}
	return p.response(provider, order)
}

// response is what a provider did about an order.
func (p *people) response(provider, order string) speech {
	by := rules1.DateIn(p.Now, zone).AddDays(10 + p.w.rng.IntN(20))
	r := &record.Response{Status: pick(p.w, "acknowledged", "winding-down", "no-relationship"), WindDownBy: &by}
	return speech{"response of " + provider + " on " + order, "response/" + order + "/" + provider, provider, r, []string{provider + "/ci"}, nil}
}

// crowd is what all providers say at once, each on every order.
func (p *people) crowd() (all []*letter) {
	p.Now = time.Now().UTC().Truncate(time.Millisecond)
	for _, order := range p.orders {
		for _, provider := range providers {
			if p.Head("party/" + provider).IsZero() {
				continue
			}
			s := p.response(provider, order)
			st := p.Statement(s.thread, s.issuer, s.says)
			st.Note = fmt.Sprintf("letter %d", len(p.letters))
			all = append(all, p.write(s.what, p.Sign(st, s.sign...)))
		}
	}
	return all
}

// newKey adds a key, and revokes one that was added before.
func (p *people) newKey(provider string) speech {
	name := fmt.Sprintf("%s/k-%d", provider, len(p.letters))
	k := &record.Keys{Add: []record.PartyKey{p.Officer(name)}}
	old := ""
	for _, spare := range p.spare {
		if strings.HasPrefix(spare, provider+"/") && !slices.Contains(p.revoked, spare) {
			old = spare
		}
	}
	if old != "" {
		k.Revoke = []record.KeyRevocation{{KeyID: p.KeyID(old)}}
	}
	return speech{"keys of " + provider, "party/" + provider, provider, k, []string{provider + "/compliance", name}, func() {
		p.spare = append(p.spare, name)
		if old != "" {
			p.revoked = append(p.revoked, old)
		}
	}}
}

// forge spoils what is to be said, so that no ledger may admit it.
func (p *people) forge(s speech, st *record.Statement) *letter {
	why, sign := "", s.sign
	lacks := []string(nil)
	switch p.w.rng.IntN(7) {
	case 0:
		if len(s.sign) > 1 {
			why, sign, lacks = "one has yet to sign", s.sign[:1], s.sign[1:]
			break
		}
		fallthrough
	case 1:
		why, sign = "signed by a stranger", []string{"stranger/compliance"}
	case 2:
		other := slices.IndexFunc(providers, func(id string) bool { return id != s.issuer })
		why, sign = "signed by another provider", []string{providers[other] + "/ci", providers[other] + "/compliance"}
	case 3:
		why, st.Ledger = "for another ledger", record.ID{1}
	case 4:
		why, st.Follows = "follows what is not there", record.ID{byte(p.w.rng.IntN(256)), 1}
	case 5:
		why, st.IssuedAt = "an abandoned draft", st.IssuedAt.Add(-40*24*time.Hour)
	case 6:
		if len(p.revoked) > 0 {
			why, sign = "signed by a revoked key", []string{p.revoked[p.w.rng.IntN(len(p.revoked))]}
			break
		}
		why = "a signature of other bytes"
	}
	if _, err := record.EncodeStatement(st); err != nil {
		return nil
	}
	env := p.Sign(st, sign...)
	if why == "a signature of other bytes" {
		env.Signatures[0].Sig[3] ^= 1
	}
	l := p.write(s.what, env)
	l.forged, l.lacks = why, lacks
	return l
}

// complete lets those sign who had yet to: what was refused may be admitted now.
func (p *people) complete() *letter {
	for _, l := range p.letters {
		if len(l.lacks) == 0 || l.away > 0 || !l.settled {
			continue
		}
		st, err := record.ParseStatement(l.env.Payload)
		must(err)
		env := l.env
		for _, name := range l.lacks {
			env, err = env.Sign(p.w.ctx, p.Signer(name))
			must(err)
		}
		l.lacks = nil
		whole := p.write(l.what+", signed by all", env)
		if name, ok := strings.CutPrefix(st.Thread, "designation/"); ok && st.Kind == record.KindDesignation {
			whole.noted = func() { p.orders = append(p.orders, name) }
		}
		return whole
	}
	return nil
}

func alias(name string) record.Object {
	return record.Object{{Name: "target", Value: record.Object{{Name: "alias", Value: []any{
		record.Object{{Name: "name", Value: name}, {Name: "type", Value: "aka"}},
	}}}}}
}
