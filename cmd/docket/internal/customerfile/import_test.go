package customerfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customerfile"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
)

// memory is a log as an import sees it: idempotent by account and ID, and strict about the
// account.
type memory struct {
	events map[string]string
	known  map[string]bool
	failIn int // that many batches from now on the next one fails, half of it taken; 0: none
}

func newMemory() *memory {
	return &memory{events: make(map[string]string), known: make(map[string]bool)}
}

var errGone = errors.New("the log does not answer")

func (m *memory) send(_ context.Context, inputs []event.Input) (outcomes []customerfile.Outcome, err error) {
	if m.failIn > 0 {
		if m.failIn--; m.failIn == 0 {
			m.send(context.Background(), inputs[:len(inputs)/2])
			return nil, errGone
		}
	}
	for _, in := range inputs {
		key := in.Account + "\x00" + in.ID
		switch _, same := m.events[key]; {
		case same:
			outcomes = append(outcomes, customerfile.Outcome{Same: true})
		case in.Kind == event.KindOpened && m.known[in.Account]:
			outcomes = append(outcomes, customerfile.Outcome{Fault: "the account is open already"})
		default:
			m.events[key] = string(in.Append(nil))
			m.known[in.Account] = true
			outcomes = append(outcomes, customerfile.Outcome{})
		}
	}
	return outcomes, nil
}

func file(rows int) string {
	var b strings.Builder
	b.WriteString("account,name,type,email,opened\n")
	for i := range rows {
		email := fmt.Sprintf("c%d@x.example", i)
		if i%20 == 7 {
			email = "none"
		}
		fmt.Fprintf(&b, "acct-%d,Customer %d,person,%s,2027-01-04\n", i, i, email)
	}
	return b.String()
}

func importOf(t testing.TB, text string, m *memory, refused io.Writer) *customerfile.Import {
	t.Helper()
	r, err := customerfile.Open(strings.NewReader(text), options())
	if err != nil {
		t.Fatal(err)
	}
	return &customerfile.Import{Reader: r, Send: m.send, Refused: refused, SHA256: "aa", Batch: 100}
}

// TestImport: the good rows are taken, the others are written apart with their faults, and
// mended they are taken too.
func TestImport(t *testing.T) {
	m := newMemory()
	var refused bytes.Buffer
	got, err := importOf(t, file(250), m, &refused).Run(t.Context())
	if want := (customerfile.Totals{Rows: 250, Taken: 237, Refused: 13}); err != nil || got != want || len(m.events) != 237 {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	lines := strings.Split(strings.TrimSuffix(refused.String(), "\r\n"), "\r\n")
	if len(lines) != 14 || lines[0] != "\ufeffaccount,name,type,email,opened,docketFault" || lines[1] != `acct-7,Customer 7,person,none,2027-01-04,"column 4 (email): is ""none""; want one address of e-mail like desk@marsh.example"` {
		t.Fatalf("%d lines are refused, first:\n%s", len(lines), strings.Join(lines[:2], "\n"))
	}
	if got, err = importOf(t, file(250), m, nil).Run(t.Context()); err != nil || got != (customerfile.Totals{Rows: 250, Same: 237, Refused: 13}) {
		t.Errorf("again: %+v, %v", got, err)
	}
	// Refused once more, the faults are not heaped up.
	var again bytes.Buffer
	if got, err = importOf(t, refused.String(), m, &again).Run(t.Context()); err != nil || got.Refused != 13 || again.String() != refused.String() {
		t.Errorf("the refused rows as they are: %+v, %v; written:\n%s", got, err, again.String())
	}
	mended := strings.ReplaceAll(refused.String(), ",none,", ",ok@x.example,")
	if got, err = importOf(t, mended, m, nil).Run(t.Context()); err != nil || got != (customerfile.Totals{Rows: 13, Taken: 13}) || len(m.events) != 250 {
		t.Errorf("mended: %+v, %v", got, err)
	}
	// What the log refuses is written apart too.
	again.Reset()
	if got, err = importOf(t, "account,name,type\nacct-1,Somebody else,person\n", m, &again).Run(t.Context()); err != nil || got.Refused != 1 || !strings.Contains(again.String(), "acct-1,Somebody else,person,the account is open already") {
		t.Errorf("refused by the log: %+v, %v\n%s", got, err, again.String())
	}
}

// TestImportGoesOn: wherever an import is broken off, the same command goes on, and in the
// end the log and the refused rows are what they would have been.
func TestImportGoesOn(t *testing.T) {
	text := file(450)
	whole, wholeRefused := newMemory(), new(bytes.Buffer)
	want, err := importOf(t, text, whole, wholeRefused).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for failIn := range 5 {
		m := newMemory()
		m.failIn = failIn + 1
		var refused bytes.Buffer
		var mark customerfile.Mark
		im := importOf(t, text, m, &refused)
		im.Mark = func(to customerfile.Mark) error { mark = to; return nil }
		if _, err := im.Run(t.Context()); !errors.Is(err, errGone) {
			t.Fatalf("broken off at batch %d: %v", failIn, err)
		}
		refused.WriteString("half a li") // of what came after the mark
		refused.Truncate(int(mark.RefusedBytes))
		im = importOf(t, text, m, &refused)
		im.From = mark
		got, err := im.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.Rows != want.Rows || got.Refused != want.Refused || got.Taken+got.Same != want.Taken || len(m.events) != len(whole.events) || refused.String() != wholeRefused.String() {
			t.Errorf("broken off at batch %d, gone on from row %d: %+v, want %+v; %d events, want %d; %d bytes refused, want %d", failIn, mark.Row, got, want, len(m.events), len(whole.events), refused.Len(), wholeRefused.Len())
		}
	}
	im := importOf(t, text, newMemory(), nil)
	im.From = customerfile.Mark{SHA256: "bb", Row: 7}
	if _, err := im.Run(t.Context()); !errors.Is(err, customerfile.ErrAnotherFile) {
		t.Errorf("another file: %v", err)
	}
}

// TestImportFails: who cannot keep what is refused, or a mark, stops.
func TestImportFails(t *testing.T) {
	im := importOf(t, file(200), newMemory(), failing{})
	if got, err := im.Run(t.Context()); !errors.Is(err, errGone) || got != (customerfile.Totals{}) {
		t.Errorf("the refused rows cannot be kept: %+v, %v", got, err)
	}
	im = importOf(t, file(200), newMemory(), nil)
	im.Mark = func(customerfile.Mark) error { return errGone }
	if _, err := im.Run(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("the mark cannot be kept: %v", err)
	}
	im = importOf(t, file(200), newMemory(), nil)
	im.Send = func(context.Context, []event.Input) ([]customerfile.Outcome, error) { return nil, nil }
	if _, err := im.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "events were sent, and 0 answered") {
		t.Errorf("fewer outcomes than events: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errGone }

// TestRefusedLines: events that are refused can be mended where they stand.
func TestRefusedLines(t *testing.T) {
	text := `{"account":"7","kind":"access","time":"2027-01-04T09:30:12Z","content":{"ip":"x","action":"login"}}` + "\n{{\n{}\n"
	var refused, again bytes.Buffer
	m := newMemory()
	if got, err := importOf(t, text, m, &refused).Run(t.Context()); err != nil || got.Refused != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	lines := strings.Split(refused.String(), "\n")
	if len(lines) != 4 || lines[0] != `{"docketFault":"/content/ip: is \"x\"; want an IP address like 192.0.2.7 or 2001:db8::7","account":"7","kind":"access","time":"2027-01-04T09:30:12Z","content":{"ip":"x","action":"login"}}` ||
		!strings.HasSuffix(lines[1], `,"text":"{{"}`) || !strings.HasSuffix(lines[2], `,"text":"{}"}`) {
		t.Fatalf("refused:\n%s", refused.String())
	}
	if _, err := importOf(t, lines[0], m, &again).Run(t.Context()); err != nil || again.String() != lines[0]+"\n" {
		t.Errorf("again: %v\n%s", err, again.String())
	}
	if got, err := importOf(t, strings.Replace(lines[0], `"ip":"x"`, `"ip":"192.0.2.7"`, 1), m, nil).Run(t.Context()); err != nil || got.Taken != 1 {
		t.Errorf("mended: %+v, %v", got, err)
	}
}

// FuzzImport: whatever a file is, no row of it is lost: it is an event that is one, or it is
// written apart; and what is written apart can be read.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		file(3), "account,name,type\n7,\"a\nb\",person\n8,\"x\n", "sep=;\nid;name;typ;email\n1;A;p;a@b.example\n;;\n", "time,account,ip,action\n2027-01-04,7,192.0.2.7,login\n",
		`{"account":"7","kind":"access","time":"2027-01-04T09:30:12Z","content":{"ip":"192.0.2.7","action":"login"}}` + "\n{\n", `{"docketFault":"x","account":"7"}`, "account,name,docketFault\n7,A,x\n8,B,y,z\n", "account|name\n\xff|x\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		run := func(raw []byte) (totals customerfile.Totals, refused bytes.Buffer, ok bool) {
			r, err := customerfile.Open(bytes.NewReader(raw), options())
			if err != nil {
				return totals, refused, false
			}
			im := customerfile.Import{Reader: r, Refused: &refused, Send: func(_ context.Context, inputs []event.Input) (outcomes []customerfile.Outcome, _ error) {
				for _, in := range inputs {
					if faults := in.Check(); faults != nil {
						t.Errorf("an event that is none: %s: %v", in.Append(nil), faults)
					}
				}
				return make([]customerfile.Outcome, len(inputs)), nil
			}}
			if totals, err = im.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			return totals, refused, true
		}
		totals, refused, ok := run(raw)
		if !ok || totals.Refused == 0 {
			return
		}
		again, _, ok := run(refused.Bytes())
		if !ok || again.Rows < totals.Refused {
			t.Errorf("%d rows are refused, and of them %d are read again (%t):\n%q", totals.Refused, again.Rows, ok, refused.String())
		}
	})
}
