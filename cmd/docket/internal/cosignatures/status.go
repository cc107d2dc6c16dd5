package cosignatures

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

// witnessStatus is what is remembered of a witness by its name.
type witnessStatus struct {
	size uint64
	at   time.Time
	err  string

	gave proof.Signature // the newest cosignature
	of   proof.Tree      // of that tree
}

// witnessStatus is that of a name; a.mu is held.
func (a *Collector) witnessStatus(name string) *witnessStatus {
	if a.statuses[name] == nil {
		a.statuses[name] = new(witnessStatus)
	}
	return a.statuses[name]
}

// Status is that of every witness of the policy asked under last, in its order;
// empty before the first question.
func (a *Collector) Status() []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.policy == nil {
		return nil
	}
	inQuorum := make(map[string]bool)
	for _, w := range a.policy.QuorumWitnesses() {
		inQuorum[w.Name] = true
	}
	var all []Status
	for _, w := range a.policy.Witnesses() {
		st := a.witnessStatus(w.Name)
		s := Status{Name: w.Name, URL: w.URL, InQuorum: inQuorum[w.Name], Size: st.size, At: st.at, Error: st.err}
		if p := a.peers[w.URL]; p != nil {
			s.Latency, s.Failures = p.latency, p.failures
		}
		all = append(all, s)
	}
	return all
}
