package wire

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// The example of tlog-witness "add-checkpoint".
const exampleRequest = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`

func TestParseAddCheckpoint(t *testing.T) {
	a, err := ParseAddCheckpoint([]byte(exampleRequest))
	if err != nil {
		t.Fatal(err)
	}
	cp, sigs, err := proof.ParseCheckpoint(a.Note)
	if err != nil || a.Old != 20852014 || len(a.Path) != 4 || cp.Size != 20852163 || len(sigs) != 2 {
		t.Errorf("read as %d, %d, %v, %d: %v", a.Old, len(a.Path), cp, len(sigs), err)
	}
	for _, n := range []int{0, proof.MaxProofHashes} {
		b := AddCheckpoint{Old: 1<<64 - 1, Path: make([]proof.Hash, n), Note: a.Note}
		if got, err := ParseAddCheckpoint(b.Format()); err != nil || len(got.Path) != n || got.Old != b.Old {
			t.Errorf("%d hashes: %v", n, err)
		}
	}
}

func TestParseAddCheckpointRefuses(t *testing.T) {
	for why, text := range map[string]string{
		"nothing":            "",
		"no newline":         "old 5",
		"no empty line":      "old 5\n",
		"no checkpoint":      "old 5\n\n",
		"a cut checkpoint":   strings.TrimSuffix(exampleRequest, "\n"),
		"a space":            strings.Replace(exampleRequest, "old 2", "old  2", 1),
		"a sign":             strings.Replace(exampleRequest, "old 2", "old +2", 1),
		"leading zeros":      strings.Replace(exampleRequest, "old 2", "old 02", 1),
		"2^64":               strings.Replace(exampleRequest, "old 20852014", "old 18446744073709551616", 1),
		"a short hash":       strings.Replace(exampleRequest, "PlRN", "", 1),
		"a hash and more":    strings.Replace(exampleRequest, "kaw=\n", "kaw= \n", 1),
		"other line ends":    strings.ReplaceAll(exampleRequest, "\n", "\r\n"),
		"64 hashes":          string(AddCheckpoint{Path: make([]proof.Hash, 64), Note: []byte("x\n")}.Format()),
		"bits of no hash":    strings.Replace(exampleRequest, "kaw=", "kax=", 1),
		"another first line": "new 5\n" + exampleRequest,
	} {
		if _, err := ParseAddCheckpoint([]byte(text)); err == nil {
			t.Errorf("%s: accepted", why)
		}
	}
}

func FuzzParseAddCheckpoint(f *testing.F) {
	f.Add([]byte(exampleRequest))
	f.Add([]byte("old 0\n\nx\n"))
	f.Add([]byte("old 0\n\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := ParseAddCheckpoint(body)
		if err != nil {
			return
		}
		if got := a.Format(); !bytes.Equal(got, body) {
			t.Fatalf("%q became %q", body, got)
		}
	})
}

// cannedTransport answers every call in the same way.
type cannedTransport struct {
	status int
	media  string
	body   string
	header http.Header
	asked  int
}

func (c *cannedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	c.asked++
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
	}
	rec := httptest.NewRecorder()
	for name, values := range c.header {
		rec.Header()[name] = values
	}
	rec.Header().Set("Content-Type", c.media)
	rec.WriteHeader(c.status)
	rec.Body.WriteString(c.body)
	res := rec.Result()
	res.Request = r
	return res, nil
}

func addCheckpointTo(t *testing.T, c *cannedTransport) ([]proof.Signature, error) {
	t.Helper()
	w, err := NewWitness("https://w.example/prefix/", c)
	if err != nil {
		t.Fatal(err)
	}
	return w.AddCheckpoint(t.Context(), AddCheckpoint{Note: []byte("x\n")})
}

// The example answer of tlog-witness "add-checkpoint": three lines by two names.
const exampleResponse = `— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
`

func TestAddCheckpointReadsLines(t *testing.T) {
	sigs, err := addCheckpointTo(t, &cannedTransport{status: 200, body: exampleResponse})
	if err != nil || len(sigs) != 3 || sigs[2].Name != "witness.example/w2" {
		t.Errorf("%v, %v", sigs, err)
	}
	for why, body := range map[string]string{
		"nothing":          "",
		"no newline":       strings.TrimSuffix(exampleResponse, "\n"),
		"a checkpoint too": "x\n0\n\n" + exampleResponse,
		"a page":           "<html>welcome</html>\n",
		"endless":          strings.Repeat(exampleResponse, 1000),
	} {
		if sigs, err := addCheckpointTo(t, &cannedTransport{status: 200, body: body}); err == nil {
			t.Errorf("%s: read as %v", why, sigs)
		}
	}
}

// A 409 is a conflict only in the form that the text gives it; any other is a refusal.
func TestAddCheckpointReadsConflicts(t *testing.T) {
	var conflict *ConflictError
	for _, media := range []string{"text/x.tlog.size", "text/x.tlog.size; charset=utf-8"} {
		_, err := addCheckpointTo(t, &cannedTransport{status: 409, media: media, body: "20852014\n"})
		if !errors.As(err, &conflict) || conflict.Size != 20852014 {
			t.Errorf("%s: %v", media, err)
		}
	}
	for why, c := range map[string]*cannedTransport{
		"another type":  {status: 409, media: "text/plain", body: "5\n"},
		"no type":       {status: 409, body: "5\n"},
		"no newline":    {status: 409, media: SizeMediaType, body: "5"},
		"leading zeros": {status: 409, media: SizeMediaType, body: "05\n"},
		"a sign":        {status: 409, media: SizeMediaType, body: "+5\n"},
		"two lines":     {status: 409, media: SizeMediaType, body: "5\n6\n"},
		"nothing":       {status: 409, media: SizeMediaType},
		"endless":       {status: 409, media: SizeMediaType, body: strings.Repeat("5", 1<<20)},
	} {
		if _, err := addCheckpointTo(t, c); !IsRefusal(err) || errors.As(err, &conflict) {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestAddCheckpointReadsRefusals(t *testing.T) {
	for status, refused := range map[int]bool{400: true, 403: true, 404: true, 413: true, 422: true, 429: false, 500: false, 503: false} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			c := &cannedTransport{status: status, body: "one line\nanother\n", header: http.Header{"Retry-After": {"7"}}}
			_, err := addCheckpointTo(t, c)
			var s *StatusError
			switch {
			case !errors.As(err, &s) || s.Code != status:
				t.Error(err)
			case IsRefusal(err) != refused, s.Retryable() == refused:
				t.Errorf("refused %v", IsRefusal(err))
			case s.RetryAfter.Seconds() != 7:
				t.Errorf("retry after %s", s.RetryAfter)
			default:
				refusaltest.Words(t, err.Error()) // they say who it is, and why
			}
		})
	}
}

// A witness that moved is asked where the policy says, and nowhere else.
func TestRedirectionsAreNotFollowed(t *testing.T) {
	c := &cannedTransport{status: 307, header: http.Header{"Location": {"https://elsewhere.example/"}}}
	if _, err := addCheckpointTo(t, c); err == nil || c.asked != 1 {
		t.Errorf("%v after %d calls", err, c.asked)
	}
}

func TestEvidenceIDs(t *testing.T) {
	id := OriginHash("x")
	// A witness that knows no pages says the same again.
	w, err := NewWitness("https://w.example", &cannedTransport{status: 200, body: id + "\n" + id + "\n"})
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := w.ListEvidence(t.Context()); err != nil || len(ids) != 1 {
		t.Errorf("%v, %v", ids, err)
	}
	w, _ = NewWitness("https://w.example", &cannedTransport{status: 200, body: "../../../etc/passwd\n"})
	if ids, err := w.ListEvidence(t.Context()); err == nil {
		t.Errorf("read as %v", ids)
	}
	if _, err := w.Evidence(t.Context(), strings.ToUpper(id)); err == nil {
		t.Error("an ID in upper case was asked for")
	}
}
