package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// maxKeptRefusals is how many different refusals are kept of one NAME.
const maxKeptRefusals = 100

// keepRefusal keeps a verified refusal as NAME.refusal, or NAME.2.refusal where that is of
// another record or rule: none is overwritten. One that says the same, at whatever size, is
// kept once, so that a command which is repeated does not fill the disk.
func keepRefusal(stem string, r *client.SignedRefusal) (file string, err error) {
	for n := 1; n <= maxKeptRefusals; n++ {
		file = stem + refusalSuffix
		if n > 1 {
			file = fmt.Sprintf("%s.%d%s", stem, n, refusalSuffix)
		}
		old, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return file, writeNew(file, r.Text, 0o644)
		} else if err != nil {
			return file, err
		}
		if kept, err := record.ParseRefusalNote(old); err == nil && sameRefusal(kept, r.Note()) {
			return file, nil
		}
	}
	return file, fmt.Errorf("there are %d of %s already", maxKeptRefusals, stem)
}

func sameRefusal(a, b record.RefusalNote) bool {
	return a.Ledger == b.Ledger && a.Record == b.Record && a.Rule == b.Rule && slices.Equal(a.Keys, b.Keys)
}

// refused is what submit says of a refusal, once what proves it is kept. That nothing could
// be kept does not hide the refusal.
func (s *submitCmd) refused(m inputFile, env record.Envelope, err error) error {
	var p *client.Problem
	var file string
	switch {
	case !errors.As(err, &p):
		return err
	case p.RefusalFault != nil:
		s.app.logf("docket: warning: %v", p.RefusalFault)
	case p.Refusal != nil:
		kept, fault := keepRefusal(m.stem, p.Refusal)
		if fault != nil {
			s.app.logf("docket: warning: the ledger's signed refusal could not be kept: %v", fault)
			break
		}
		file = kept
	}
	explained := s.explainRefusal(m, env, err, file)
	if file == "" {
		return explained
	}
	status, next := exitStatusOf(explained)
	return &failure{status: status, err: explained, nextStep: next, refusal: file}
}

var numberedRefusal = regexp.MustCompile(`\.[0-9]+$`)

// refusedSuffix is what the name of an envelope ends in that was refused, and gave way to another.
const refusedSuffix = ".refused" + envelopeSuffix

// refusedEnvelope reads the envelope that a refusal is about: --envelope, or the one of that
// record that lies beside.
func (v *verifyCmd) refusedEnvelope(file string, raw []byte) (record.Envelope, error) {
	note, err := record.ParseRefusalNote(raw)
	if err != nil {
		return record.Envelope{}, err
	}
	if v.envelope != "" {
		saved, err := v.app.readEnvelope(v.envelope)
		if err != nil {
			return record.Envelope{}, err
		}
		if got := record.IDOf(saved.envelope.Payload); got != note.Record {
			return record.Envelope{}, usageError("%s is about record %s, and %s holds another, %s", file, note.Record, v.envelope, got).hint("name the envelope that was refused")
		}
		return *saved.envelope, nil
	}
	var other string
	for _, name := range besideRefusal(file) {
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		saved, err := v.app.readEnvelope(name)
		if err != nil {
			return record.Envelope{}, err
		}
		got := record.IDOf(saved.envelope.Payload)
		if got == note.Record {
			return *saved.envelope, nil
		}
		if other == "" {
			other = fmt.Sprintf(": it is of record %s, and %s holds another, %s", note.Record, name, got)
		}
	}
	return record.Envelope{}, usageError("%s: the envelope that was refused does not lie beside it%s", file, other).hint("name it with --envelope FILE")
}

// besideRefusal are the names that a refused envelope has, the likeliest first.
func besideRefusal(file string) (names []string) {
	stem := strings.TrimSuffix(file, refusalSuffix)
	stems := []string{stem}
	if first := numberedRefusal.ReplaceAllString(stem, ""); first != stem {
		stems = append(stems, first)
	}
	for _, suffix := range []string{refusedSuffix, envelopeSuffix, ".sigstore.json", ".bundle.json", ".json", ""} {
		for _, stem := range stems {
			if stem+suffix != file {
				names = append(names, stem+suffix)
			}
		}
	}
	// It may have given way when another rule, or another record, was refused.
	for n := 2; n <= maxKeptRefusals; n++ {
		names = append(names, fmt.Sprintf("%s.%d%s", stems[len(stems)-1], n, refusedSuffix))
	}
	return names
}

// checkRefusal is [verifyCmd.verifyRefusal] of one of the files named: of several, one that
// fails does not keep the others back.
func (v *verifyCmd) checkRefusal(file string, raw []byte, trust *client.Trust, brief bool) (ok bool, err error) {
	p, err := v.verifyRefusal(file, raw, trust)
	if err != nil {
		if status, _ := exitStatusOf(err); !brief || status != exitRefused {
			return false, v.refusedError(file, err)
		}
		return false, v.printResult(file, nil, nil, err, trust, brief)
	}
	switch {
	case v.asJSON:
		if err := v.app.printJSON(p.toJSON(file)); err != nil {
			return false, err
		}
	case brief:
		v.app.printf("%s: %s\n", file, printable(p.verdict()))
	default:
		v.app.printf("%s: signed by the ledger\n", file)
		for _, l := range p.factLines() {
			v.app.printf("  %s\n", printable(l))
		}
	}
	if p.report.Finding == "" {
		return true, nil
	}
	if !brief {
		return false, refusal("%s: %s", file, p.verdict()).hint("that file and the envelope convict the ledger, whoever judges them by a copy: keep both, and show them to an auditor")
	}
	return false, nil
}

// verifyRefusal verifies a signed refusal.
func (v *verifyCmd) verifyRefusal(file string, raw []byte, trust *client.Trust) (refusalOutput, error) {
	if v.document != "" || v.salts != "" {
		return refusalOutput{}, usageError("--document and --salts go with a receipt; %s is a refusal", file)
	}
	if trust == nil {
		return refusalOutput{}, usageError("%s is a refusal: only a ledger's charters say who signs those, and only its copy what the rules were", file).hint("give --trust DIR")
	}
	env, err := v.refusedEnvelope(file, raw)
	if err != nil {
		return refusalOutput{}, err
	}
	r, err := trust.VerifyRefusal(raw, env)
	return refusalOutput{r, env}, err
}

// refusalOutput words what a signed refusal proves.
type refusalOutput struct {
	report *client.RefusalReport
	env    record.Envelope
}

// verdict is the end of it, in a sentence.
func (p refusalOutput) verdict() string {
	r, n := p.report, p.report.Refusal.Note()
	switch {
	case r.Finding != "":
		return fmt.Sprintf("refused by rule %s, NOT by the rules: %s", n.Rule, r.Finding)
	case r.NotJudged != "":
		return fmt.Sprintf("refused by rule %s; whether rightly NOT CHECKED: %s", n.Rule, r.NotJudged)
	}
	return "refused rightly by rule " + n.Rule
}

func (p refusalOutput) factLines() []string {
	r, n := p.report, p.report.Refusal.Note()
	lines := []string{factLine("record ID", "%s", n.Record)}
	if st, err := record.ParseStatement(p.env.Payload); err == nil {
		lines = append([]string{factLine("record", "%s on %s", st.Kind, st.Thread)}, lines...)
	}
	for _, h := range r.Signers {
		lines = append(lines, factLine("signed by", "%s", signerText(h)))
	}
	for _, k := range r.Unnamed {
		lines = append(lines, factLine("also", "signed here by %s, which the refusal does not name: since then, or the ledger has passed it over", k))
	}
	lines = append(lines,
		factLine("refused", "%s, by the ledger's clock, as of size %d", formatTime(n.Time), n.Size),
		factLine("ledger", "%s, with the refusals key of charter %d", n.Ledger, r.Charter),
	)
	if r.Refused != nil {
		lines = append(lines, factLine("the rules", "%s", r.Refused))
	}
	return append(lines, factLine("verdict", "%s", p.verdict()))
}

// refusalJSON is what verify prints as JSON of a refusal.
type refusalJSON struct {
	File     string               `json:"file"`
	Verified bool                 `json:"verified"` // the ledger has signed it
	Ledger   record.ID            `json:"ledger"`
	Record   record.ID            `json:"record"`
	Rule     string               `json:"rule"`
	Size     uint64               `json:"size"`
	Time     time.Time            `json:"time"`
	Charter  uint64               `json:"charter"` // whose refusalsKey it is
	Signers  []register.KeyHolder `json:"signers"`
	Unnamed  []string             `json:"unnamed,omitempty"`
	Judged   string               `json:"judged"` // rightly, not-by-the-rules, not-checked
	Finding  string               `json:"finding,omitempty"`
	Why      string               `json:"why,omitempty"` // not-checked
	Rules    string               `json:"rules,omitempty"`
	Covers   uint64               `json:"covers,omitempty"`
}

func (p refusalOutput) toJSON(file string) refusalJSON {
	r, n := p.report, p.report.Refusal.Note()
	j := refusalJSON{
		File: file, Verified: true, Ledger: n.Ledger, Record: n.Record, Rule: n.Rule, Size: n.Size, Time: n.Time, Charter: r.Charter,
		Signers: r.Signers, Unnamed: r.Unnamed, Judged: "rightly", Finding: r.Finding, Why: r.NotJudged, Covers: r.CoveredSize,
	}
	switch {
	case r.Finding != "":
		j.Judged = "not-by-the-rules"
	case r.NotJudged != "":
		j.Judged = "not-checked"
	}
	if r.Refused != nil {
		j.Rules = r.Refused.Error()
	}
	return j
}
