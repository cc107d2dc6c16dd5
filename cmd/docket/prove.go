package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// prove writes the answer to a question with all that it rests on. Before anything is
// written the file is verified as others will, and must give the copy's own answer.
func (q *queryFlags) prove(ctx context.Context, r *copyView, what, file string) error {
	question, err := fullQuestion(r, what)
	if err != nil {
		return err
	}
	touched := make(map[uint64]bool)
	traced := *r
	traced.View = r.WithTrace(func(index uint64) { touched[index] = true })
	if _, err := q.app.answer(ctx, &traced, question); err != nil {
		return err
	}
	indexes := make([]uint64, 0, len(touched))
	for index := range touched {
		indexes = append(indexes, index)
	}
	slices.Sort(indexes)
	a := client.Answer{Question: question, At: r.at}
	a.Chain, err = r.trust.AnswerChain(ctx, indexes)
	var many *client.TooManyRecordsError
	if errors.As(err, &many) {
		return refusal("%w", err).hint("nothing was written; hand on the whole copy instead: docket trust and docket sync make one anywhere, which proves every answer")
	} else if err != nil {
		return err
	}
	report, err := client.VerifyAnswer(ctx, a, r.trust, time.Now())
	if err != nil {
		return fmt.Errorf("proving the answer: %w", err)
	}
	defer report.Close()
	shown, err := q.app.answerFrom(ctx, report, question, r.at)
	if err != nil {
		return fmt.Errorf("proving the answer: %w", err)
	}
	own := *r
	own.View = r.WithCheckpointTimes(report.KnowableAt)
	whole, err := q.app.answer(ctx, &own, question)
	if err != nil {
		return err
	}
	if shown != whole {
		return refusal("the answer does not follow from the records that it names alone").hint("nothing was written; docket receipt --chain proves each record")
	}
	a.JSON = json.RawMessage(shown.json)
	text, err := a.Format()
	if err != nil {
		return err
	}
	if err := writeNew(file, text, 0o644); err != nil {
		return err
	}
	q.app.logf("wrote %s: %s, as of size %d; docket verify --charter %s %s", file, plural(report.Records, "record"), report.Published.Checkpoint().Size, r.trust.Ledger(), file)
	return nil
}

// fullQuestion is the one way to write what was asked for: what a word alone means hangs on
// what else there is.
func fullQuestion(r *copyView, what string) (string, error) {
	index, number := parseIndex(what)
	if isFullQuestion(what) && !strings.HasPrefix(what, "#") {
		return what, nil
	}
	if !strings.HasPrefix(what, "#") {
		if _, err := r.Head(record.DesignationThread(what)); err == nil {
			return string(record.DesignationThread(what)), nil
		} else if asAbsent(err) == nil {
			return "", err
		}
		if _, err := r.Head(record.PartyThread(what)); err == nil {
			return string(record.PartyThread(what)), nil
		} else if asAbsent(err) == nil {
			return "", err
		}
	}
	if !number {
		return "", usageError("%q: want a thread, a record or an identifier", what)
	}
	rec, err := r.RecordAt(index)
	return rec.ID.String(), err
}

// isFullQuestion tells whether a question means the same whatever there is.
func isFullQuestion(what string) bool {
	_, err := record.ParseID(what)
	return err == nil || strings.ContainsAny(what, "/:") || what == string(record.CharterThread)
}

// renderedAnswer is an answer as show prints it.
type renderedAnswer struct{ text, json string }

// answer renders what show says, in its words and in JSON.
func (a *app) answer(ctx context.Context, r *copyView, question string) (renderedAnswer, error) {
	var out renderedAnswer
	for _, asJSON := range []bool{false, true} {
		var b bytes.Buffer
		q := &queryFlags{app: &app{out: &b, err: &bytes.Buffer{}, getenv: a.getenv}, asJSON: asJSON}
		if err := q.showAny(ctx, r, question); err != nil {
			return out, err
		}
		if asJSON {
			out.json = strings.TrimSuffix(b.String(), "\n")
		} else {
			out.text = b.String()
		}
	}
	return out, nil
}

// answerFrom renders what the records of a file make up.
func (a *app) answerFrom(ctx context.Context, report *client.AnswerReport, question string, at time.Time) (out renderedAnswer, err error) {
	r := &copyView{View: report.View, answer: report, at: at}
	if r.zone, err = r.charterTimeZone(); err != nil {
		return out, err
	}
	return a.answer(ctx, r, question)
}

// verifyAnswer verifies an answer file, and computes the answer anew.
func (v *verifyCmd) verifyAnswer(ctx context.Context, file string, raw []byte, policies client.Policies, trust *client.Trust) (*answerOutput, error) {
	a, err := client.ParseAnswer(raw)
	if err != nil {
		return nil, err
	}
	if !isFullQuestion(a.Question) {
		return nil, fmt.Errorf("the question %q may mean several things", a.Question)
	}
	report, err := client.VerifyAnswer(ctx, a, policies, time.Now())
	if err != nil {
		return nil, err
	}
	defer report.Close()
	got, err := v.app.answerFrom(ctx, report, a.Question, a.At)
	if absent := asAbsent(err); absent != nil {
		return nil, fmt.Errorf("the records shown do not answer the question: they have no %s", absent.What)
	} else if err != nil {
		return nil, fmt.Errorf("the records shown do not answer the question: %w", err)
	}
	if got.json != string(a.JSON) {
		return nil, refusal("the answer that it states is not the one that its records give").hint("it was changed, or another version of docket wrote it: have it made anew (docket show --prove)")
	}
	out := &answerOutput{file: file, question: a.Question, at: a.At, answer: got, report: report}
	size := report.Published.Checkpoint().Size
	if trust == nil || trust.CoveredSize() < size {
		return out, nil
	}
	whole, err := trust.ViewAt(size)
	if err != nil {
		return nil, err
	}
	own, err := v.app.answer(ctx, &copyView{View: whole.WithCheckpointTimes(report.KnowableAt), trust: trust, at: a.At}, a.Question)
	if err != nil {
		return nil, err
	}
	if own != got {
		return nil, refusal("the replayed copy answers otherwise as of size %d: the file leaves out records on which the answer rests", size).hint("docket show --trust %s %s", trust.Dir(), a.Question)
	}
	out.covered = trust.CoveredSize()
	newest, err := trust.ViewAt(out.covered)
	if err != nil {
		return nil, err
	}
	own, err = v.app.answer(ctx, &copyView{View: newest.WithCheckpointTimes(report.KnowableAt), trust: trust, at: a.At}, a.Question)
	if err != nil {
		return nil, err
	}
	out.changed = own != got
	return out, nil
}

// answerOutput words what an answer file proves, and what it does not.
type answerOutput struct {
	file, question string
	at             time.Time
	answer         renderedAnswer
	report         *client.AnswerReport // closed: what it says of the view is in answer
	covered        uint64               // size of the copy in which every rule was judged; 0: none
	changed        bool                 // later records, which the copy has, answer otherwise
}

// notShown is what no such file shows, as far as no copy has.
func (o *answerOutput) notShown() []string {
	if o.covered > 0 {
		return nil
	}
	list := []string{
		fmt.Sprintf("that there is no other record below size %d on which the answer rests, or which follows those shown", o.report.Published.Checkpoint().Size),
		"a revocation or suspension of a signer, or another charter, that is left out",
	}
	return append(list, o.report.Chain.Unchecked...)
}

// factLines are what is said after the answer.
func (o *answerOutput) factLines(trust *client.Trust) []string {
	cp, chain := o.report.Published.Checkpoint(), o.report.Chain
	lines := []string{
		factLine("answer to", "%s at %s", o.question, o.at.Format("2006-01-02T15:04:05.000Z")),
		factLine("rests on", "index %s, each judged by the records shown", abbreviateNumbers(chain.Shown)),
		factLine("as of", "%s, %s", cp.Origin, sizeOf(o.report.Published)),
	}
	if trust == nil {
		lines = append(lines, factLine("ledger", "%s", chain.Ledger))
	}
	if missing := o.notShown(); len(missing) > 0 {
		text := strings.Join(missing[:2], "; ")
		switch rules := missing[2:]; len(rules) {
		case 0:
		case 1:
			text += "; " + rules[0]
		default:
			text += fmt.Sprintf("; %d rules that take other records (--json lists them)", len(rules))
		}
		lines = append(lines, factLine("not shown", "%s: NOT CHECKED", text))
	}
	switch {
	case o.changed:
		lines = append(lines, factLine("complete", "a replayed copy gives the same answer as of size %d, and another as of size %d: docket show %s", cp.Size, o.covered, o.question))
	case o.covered > 0:
		lines = append(lines, factLine("complete", "a replayed copy of %s gives the same answer", register.FormatEntryCount(o.covered)))
	}
	return append(lines, treeLines(chain.Trees)...)
}

// answerJSON is what verify prints as JSON of an answer file.
type answerJSON struct {
	File     string          `json:"file"`
	Verified bool            `json:"verified"`
	Question string          `json:"question"`
	At       record.Instant  `json:"at"`
	Answer   json.RawMessage `json:"answer"`
	Origin   string          `json:"origin"`
	Size     uint64          `json:"size"`
	Ledger   record.ID       `json:"ledger"`
	Shown    []uint64        `json:"shown"`
	NotShown []string        `json:"notShown"` // NOT CHECKED
	Covers   uint64          `json:"covers,omitempty"`
	Changed  bool            `json:"changed,omitempty"`
}

// print prints one: a line where there are several files, else all of it.
func (o *answerOutput) print(v *verifyCmd, trust *client.Trust, brief bool) error {
	cp := o.report.Published.Checkpoint()
	switch {
	case v.asJSON:
		return v.app.printJSON(answerJSON{
			File: o.file, Verified: true, Question: o.question, At: record.Instant{Time: o.at}, Answer: json.RawMessage(o.answer.json),
			Origin: cp.Origin, Size: cp.Size, Ledger: o.report.Chain.Ledger, Shown: o.report.Chain.Shown,
			NotShown: append([]string{}, o.notShown()...), Covers: o.covered, Changed: o.changed,
		})
	case brief:
		missing := "completeness NOT CHECKED"
		if o.covered > 0 {
			missing = "complete by a replayed copy"
		}
		v.app.printf("%s: verified: answer to %s, as of size %d, %s\n", o.file, printable(o.question), cp.Size, missing)
		return nil
	}
	v.app.printf("%s: verified offline\n%s", o.file, o.answer.text)
	for _, l := range o.factLines(trust) {
		v.app.printf("  %s\n", printable(l))
	}
	return nil
}
