package server

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

// healthFacts are the newest checkpoint and its witnesses, in words.
type healthFacts struct {
	Entries     uint64
	Existed     time.Time // by when a quorum had cosigned; zero if the policy wants none
	Cosigned    []checkpointCosigner
	Needed      int // witnesses of the quorum
	Known       int // among so many
	PostQuantum bool
	Waiting     uint64        // committed and not published
	Waits       time.Duration // the oldest of these
	NotReady    []string      // why a record sent now would not be published
	Damage      []string
	Witnesses   []witnessFacts
	Copied      bool     // it is a reader's copy, which takes no records and asks no witness
	Quiet       int      // witnesses that do not answer, or stay behind
	Fingerprint string   // of the policy
	Log         []string // key names that signed
	Root        string
}

type checkpointCosigner struct {
	Name, Algorithm string
	At              time.Time
}

// witnessFacts are how a witness stands, in a word that pages have a colour for.
type witnessFacts struct {
	Witness
	State string
	Lag   uint64 // entries that it has not cosigned
}

// States of a witness.
const (
	witnessUpToDate = "up-to-date"
	witnessBehind   = "behind"
	witnessSilent   = "silent"
	witnessUnasked  = "not-asked"
)

func witnessFactsOf(w Witness, published uint64) witnessFacts {
	f := witnessFacts{Witness: w, State: witnessUpToDate}
	if published > w.Size {
		f.Lag = published - w.Size
	}
	switch {
	case w.Failures > 0:
		f.State = witnessSilent
	case w.Size == 0:
		f.State, f.Lag = witnessUnasked, 0
	case f.Lag > 0:
		f.State = witnessBehind
	}
	return f
}

func (s *Server) healthFacts() healthFacts {
	var h healthFacts
	p := s.cfg.Ledger.Published()
	if p == nil {
		return h
	}
	h.Entries, h.Existed, h.PostQuantum = p.Checkpoint().Size, p.ExistedBy(), p.PostQuantum()
	h.Root = p.Checkpoint().Root.String()
	h.Fingerprint = p.Policy().Fingerprint()
	h.Needed, h.Known = p.Policy().QuorumSize()
	for _, c := range p.Cosignatures() {
		h.Cosigned = append(h.Cosigned, checkpointCosigner{c.Witness, c.Key.Algorithm().String(), c.Time})
	}
	for _, k := range p.LogKeys() {
		h.Log = append(h.Log, k.Label()+", "+k.Algorithm().String())
	}
	for _, w := range s.witnessStates() {
		f := witnessFactsOf(w, h.Entries)
		if f.State == witnessSilent || f.State == witnessBehind {
			h.Quiet++
		}
		h.Witnesses = append(h.Witnesses, f)
	}
	for _, d := range s.damage() {
		if d.Words != "" {
			h.Damage = append(h.Damage, d.Words)
		}
	}
	if h.Copied = s.cfg.Copy != nil; !h.Copied {
		h.NotReady, h.Waiting = s.notReadyReasons(), s.cfg.Ledger.Backlog()
	}
	return h
}

type checkpointsPage struct {
	pageHeader
	healthFacts
	Auditors []auditorJSON
	History  []checkpointLine
	Growth   growth
	NextKeys NextKeys
}

// checkpointLine is a checkpoint that the server keeps.
type checkpointLine struct {
	Size    uint64
	Existed time.Time
	By      []string
	At      string // by which it is asked for
}

// maxHistory is how many checkpoints the page shows of those that are kept; each is verified anew.
const maxHistory = 8

// checkpointsPage says whether the ledger is healthy: its newest checkpoint, its witnesses, its auditors, what it
// was before.
func (s *Server) checkpointsPage(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	page := checkpointsPage{healthFacts: s.healthFacts(), NextKeys: s.nextKeys()}
	page.pageHeader = s.plainHeader(x, "Checkpoints and witnesses")
	page.About = "The newest checkpoint in words, who cosigned it, how the witnesses stand, and what was published before."
	page.Data = []dataLink{{"The newest checkpoint, as signed", "/checkpoint"}, {"Witnesses (JSON)", "/v1/witnesses"}, {"Auditors (JSON)", "/v1/auditors"}, {"Readiness (JSON)", "/readyz"}}
	page.Prove = "docket sync"
	if s.cfg.Auditors != nil {
		words, err := s.cfg.Auditors.All(x.Request.Context())
		if err != nil {
			return err
		}
		for _, w := range words {
			page.Auditors = append(page.Auditors, auditorToJSON(w))
		}
	}
	if err := s.fillHistory(x, &page); err != nil {
		return err
	}
	var err error
	if page.Growth, err = s.growth(); err != nil {
		return err
	}
	return x.answerPage(http.StatusOK, "checkpoints", page)
}

// fillHistory asks for the checkpoints that were the newest some time ago: the newest itself, then one each time
// the age doubles.
func (s *Server) fillHistory(x *request, page *checkpointsPage) error {
	at := page.Existed
	if at.IsZero() {
		return nil // no times are proven
	}
	for age := time.Duration(1); len(page.History) < maxHistory; age = max(2*age, time.Since(at)) {
		p, err := s.cfg.Ledger.CheckpointAt(x.Request.Context(), at)
		if errors.Is(err, ledger.ErrNotArchived) {
			return nil
		}
		if err != nil {
			return err
		}
		line := checkpointLine{Size: p.Checkpoint().Size, Existed: p.ExistedBy(), At: p.ExistedBy().UTC().Format(time.RFC3339)}
		for _, c := range p.Cosignatures() {
			line.By = append(line.By, c.Witness)
		}
		page.History = append(page.History, line)
		at = p.ExistedBy().Add(-age)
	}
	return nil
}

// growth is the ledger's size over time, as a picture.
type growth struct {
	Points      string // of an SVG polyline, in a box of growthWidth by growthHeight
	First, Last time.Time
	Size        uint64
}

const (
	growthWidth, growthHeight = 600, 120
	growthPoints              = 24
)

// growth takes some records' times of admission.
func (s *Server) growth() (g growth, err error) {
	v, err := view.At(s.cfg.Register, s.publishedSize())
	if err != nil || v.Size() < 2 {
		return g, err
	}
	g.Size = v.Size()
	first, err := v.RecordAt(0)
	if err != nil {
		return g, err
	}
	last, err := v.RecordAt(g.Size - 1)
	if err != nil {
		return g, err
	}
	g.First, g.Last = first.Admitted, last.Admitted
	whole := g.Last.Sub(g.First)
	if whole <= 0 {
		return growth{}, nil
	}
	steps := min(growthPoints, g.Size)
	for i := range steps {
		index := (g.Size - 1) * i / (steps - 1)
		r, err := v.RecordAt(index)
		if err != nil {
			return g, err
		}
		part := float64(r.Admitted.Sub(g.First)) / float64(whole)
		g.Points += strconv.FormatFloat(part*growthWidth, 'f', 1, 64) + "," + strconv.FormatFloat(growthHeight*(1-float64(index+1)/float64(g.Size)), 'f', 1, 64) + " "
	}
	return g, nil
}

// ago is how long ago something was, for people.
func ago(t time.Time) string {
	d := time.Since(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 2*time.Minute:
		return web.Count(max(0, int(d.Seconds())), "second") + " ago"
	case d < 2*time.Hour:
		return web.Count(int(d.Minutes()), "minute") + " ago"
	case d < 48*time.Hour:
		return web.Count(int(d.Hours()), "hour") + " ago"
	}
	return web.Count(int(d.Hours()/24), "day") + " ago"
}

// names are those who cosigned.
func (h healthFacts) Names() (names []string) {
	for _, c := range h.Cosigned {
		if !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}
