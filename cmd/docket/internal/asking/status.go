package asking

import (
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Status is how one witness of the policy stands, as this ledger sees it.
type Status struct {
	Name     string // in the policy
	URL      string
	InQuorum bool // it can contribute to the quorum

	Size     uint64        // that it cosigned last since the start; 0 if it has not
	At       time.Time     // of that cosignature, by the witness's clock; zero if there is none
	Latency  time.Duration // of its last good answer
	Failures int           // since then
	Error    string        // why it gave nothing the last time; "" if it did
}

// standing is what is remembered of a witness by its name.
type standing struct {
	size uint64
	at   time.Time
	err  string

	gave proof.Signature // the newest cosignature
	of   proof.Tree      // of that tree
}

// standing is that of a name; a.mu is held.
func (a *Asker) standing(name string) *standing {
	if a.records[name] == nil {
		a.records[name] = new(standing)
	}
	return a.records[name]
}

// Status is that of every witness of the policy asked under last, in its order;
// empty before the first question.
func (a *Asker) Status() []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.policy == nil {
		return nil
	}
	inQuorum := make(map[string]bool)
	for _, w := range a.policy.InQuorum() {
		inQuorum[w.Name] = true
	}
	var all []Status
	for _, w := range a.policy.Witnesses() {
		st := a.standing(w.Name)
		s := Status{Name: w.Name, URL: w.URL, InQuorum: inQuorum[w.Name], Size: st.size, At: st.at, Error: st.err}
		if p := a.peers[w.URL]; p != nil {
			s.Latency, s.Failures = p.latency, p.failures
		}
		all = append(all, s)
	}
	return all
}
