package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// forgeAnswer changes an answer file as somebody might who wants another answer believed:
// forge-answer FROM TO leave-out|drop|repeat|swap INDEX, from FILE INDEX (its receipt), or
// replace OLD NEW (in what stands above the receipts). leave-out also states the answer
// that the other records give.
func forgeAnswer(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 4 {
		ts.Fatalf("usage: forge-answer FROM TO WAY…")
	}
	raw := ts.ReadFile(args[0])
	if args[2] == "replace" {
		head, chain, _ := strings.Cut(raw, "\n\n")
		if !strings.Contains(head, args[3]) {
			ts.Fatalf("%s does not say %q", args[0], args[3])
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.ReplaceAll(head, args[3], args[4])+"\n\n"+chain), 0o600))
		return
	}
	a, err := client.ParseAnswer([]byte(raw))
	ts.Check(err)
	index, err := strconv.ParseUint(args[len(args)-1], 10, 64)
	ts.Check(err)
	at := slices.IndexFunc(a.Chain, func(r proof.Receipt) bool { return r.Index == index })
	if at < 0 {
		ts.Fatalf("%s has no receipt of index %d", args[0], index)
	}
	switch args[2] {
	case "leave-out", "drop":
		a.Chain = slices.Delete(a.Chain, at, at+1)
	case "repeat":
		a.Chain = slices.Insert(a.Chain, at, a.Chain[at])
	case "swap":
		a.Chain[at-1], a.Chain[at] = a.Chain[at], a.Chain[at-1]
	case "move":
		a.Chain[at].Index++
	case "from":
		other, err := client.ParseAnswer([]byte(ts.ReadFile(args[3])))
		ts.Check(err)
		from := slices.IndexFunc(other.Chain, func(r proof.Receipt) bool { return r.Index == index })
		a.Chain[at] = other.Chain[from]
	default:
		ts.Fatalf("no way %q to forge an answer", args[2])
	}
	if args[2] == "leave-out" {
		pin, err := record.ParseID(ts.Getenv("CHARTER"))
		ts.Check(err)
		report, err := client.VerifyAnswer(context.Background(), a, client.PinnedCharter{ID: pin}, time.Now())
		ts.Check(err)
		defer report.Close()
		said, err := (&app{getenv: os.Getenv}).answerFrom(context.Background(), report, a.Question, a.At)
		ts.Check(err)
		a.JSON = json.RawMessage(said.json)
	}
	text, err := a.Format()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), text, 0o600))
}

// proveAll proves what show says of each record and each thread of the copy in $DOCKET_TRUST,
// and of each QUESTION; the file is judged by the charter's ID alone, and must say the same words.
func proveAll(ts *testscript.TestScript, _ bool, questions []string) {
	dir := ts.Getenv("DOCKET_TRUST")
	run := func(args ...string) string {
		var out, log bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &log, getenv: func(string) string { return "" }}
		if status := a.run(context.Background(), args); status != exitDone {
			ts.Fatalf("docket %s: exit %d\n%s%s", strings.Join(args, " "), status, out.String(), log.String())
		}
		return out.String()
	}
	dir = ts.MkAbs(dir)
	kinds := make(map[record.Kind]bool)
	for line := range strings.Lines(run("list", "records", "--json", "--trust", dir)) {
		var row register.RecordRow
		ts.Check(json.Unmarshal([]byte(line), &row))
		kinds[row.Kind] = true
		for _, q := range []string{row.ID.String(), string(row.Thread)} {
			if !slices.Contains(questions, q) {
				questions = append(questions, q)
			}
		}
	}
	file := ts.MkAbs("one.answer")
	for _, q := range questions {
		said := run("show", "--trust", dir, q, "--prove", file)
		proven := run("verify", "--charter", ts.Getenv("CHARTER"), file)
		proven, ok := strings.CutPrefix(proven, file+": verified offline\n")
		if answer, _, found := strings.Cut(proven, "  answer to   "); !ok || !found || withoutKnowable(answer) != withoutKnowable(said) {
			ts.Fatalf("show %s says\n%s\nand its proof\n%s", q, said, proven)
		}
		if proven := run("verify", "--trust", dir, file); strings.Contains(proven, "NOT CHECKED") || !strings.Contains(proven, "complete    a replayed copy") {
			ts.Fatalf("by the copy the proof of %s is\n%s", q, proven)
		}
		ts.Check(os.Remove(file))
	}
	ts.Logf("proved %d answers, on %v", len(questions), slices.Sorted(maps.Keys(kinds)))
}

// withoutKnowable leaves out by whose word something was knowable: a copy knows more times.
func withoutKnowable(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "  knowable") }), "\n")
}
