package client

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// exampleAnswer is an answer file around a chain of other tests' receipts, which is well formed.
func exampleAnswer(t testing.TB) []byte {
	t.Helper()
	chain, err := os.ReadFile("../ledger/proof/testdata/golden/chain.tlog-proof")
	if err != nil {
		t.Fatal(err)
	}
	head := "docket-answer/v1\nquestion designation/2026-014\nat 2026-12-02T09:30:01.250Z\nanswer {\"thread\":\"designation/2026-014\"}\n\n"
	return append([]byte(head), chain...)
}

func TestParseAnswer(t *testing.T) {
	file := exampleAnswer(t)
	a, err := ParseAnswer(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Format(); err != nil || !bytes.Equal(got, file) {
		t.Errorf("an answer read and written again: %v, %q", err, got)
	}
	if want := time.Date(2026, 12, 2, 9, 30, 1, 250e6, time.UTC); a.Question != "designation/2026-014" || !a.At.Equal(want) || len(a.Chain) < 2 {
		t.Errorf("read as %q at %s with %d receipts", a.Question, a.At, len(a.Chain))
	}
	text := string(file)
	change := func(old, new string) string { return strings.Replace(text, old, new, 1) }
	for name, c := range map[string]struct{ file, want string }{
		"empty":              {"", "the first line is not docket-answer/v1"},
		"another version":    {change("/v1", "/v2"), "or of a later version of docket"},
		"no receipts":        {text[:strings.Index(text, "\n\n")], "is the file whole?"},
		"an empty chain":     {text[:strings.Index(text, "\n\n")+2], "the file is empty"},
		"one line more":      {change("\n\n", "\nby docket\n\n"), "5 lines before the receipts, want 4"},
		"one line less":      {change("question designation/2026-014\n", ""), "3 lines before the receipts, want 4"},
		"lines in disorder":  {change("question", "at"), `line 2 is not "question" and a value`},
		"no question":        {change("designation/2026-014", ""), `line 2 is not "question" and a value`},
		"line ends changed":  {strings.ReplaceAll(text, "\n", "\r\n"), "the first line is not"},
		"one line end":       {change("2026-014\n", "2026-014\r\n"), `line 2 is not "question" and a value`},
		"no instant":         {change("01.250Z", "01Z"), "want an instant like"},
		"another zone":       {change("01.250Z", "01.250+00:00"), "want an instant like"},
		"no such day":        {change("2026-12-02", "2026-02-30"), "want an instant like"},
		"no JSON":            {change(`{"thread"`, `{thread`), "what it says is no JSON"},
		"cut off":            {text[:len(text)-1], "answer: chain: receipt"},
		"something after it": {text + "x\n", "bytes after the last signature line"},
		"too large":          {text + strings.Repeat("x", proof.MaxChainBytes), "the limit is 16777216"},
	} {
		if _, err := ParseAnswer([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	many := a
	many.Chain = slices.Repeat(a.Chain[:1], proof.MaxChainReceipts+1)
	if _, err := many.Format(); err == nil || !strings.Contains(err.Error(), "want 1 to 1024") {
		t.Errorf("too many receipts: %v", err)
	}
	split := a
	split.JSON = []byte("{}\n\n{}")
	if _, err := split.Format(); err == nil {
		t.Error("an answer of several lines was written")
	}
}

// FuzzParseAnswer: what is read is written as it was.
func FuzzParseAnswer(f *testing.F) {
	f.Add(exampleAnswer(f))
	f.Add([]byte("docket-answer/v1\nquestion a\nat 2026-12-02T09:30:01.250Z\nanswer 1\n\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := ParseAnswer(file)
		if err != nil {
			return
		}
		if back, err := a.Format(); err != nil || !bytes.Equal(back, file) {
			t.Fatalf("written again: %v, %q", err, back)
		}
	})
}
