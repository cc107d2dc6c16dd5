package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func TestARecordInAReceiptOut(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	first := w.mustSubmit(env)

	got := w.verifyReceipt(first.Body.Bytes())
	id := record.IDOf(env.Payload).String()
	if got.Index() != 3 || first.Header().Get("Docket-Index") != "3" || first.Header().Get("Docket-Record") != id ||
		first.Header().Get("Location") != "/v1/records/"+id || first.Header().Get("Content-Type") != typeText {
		t.Errorf("index %d, headers %v", got.Index(), first.Header())
	}
	entry, err := record.ParseEntry(got.Entry())
	if err != nil || !bytes.Equal(entry.Envelope.Payload, env.Payload) {
		t.Errorf("the receipt is of another entry: %v", err)
	}

	// The same payload again is the same entry, also with other signatures.
	for _, again := range []record.Envelope{env, {PayloadType: env.PayloadType, Payload: env.Payload, Signatures: []record.Signature{{Sig: []byte("not mine")}}}} {
		r := w.post(again.Marshal())
		if r.Code != http.StatusOK || r.Header().Get("Docket-Index") != "3" {
			t.Errorf("again: %d %v", r.Code, r.Header())
		}
		if index := w.verifyReceipt(r.Body.Bytes()).Index(); index != 3 {
			t.Errorf("again: a receipt of index %d", index)
		}
	}
	if size := w.server.publishedSize(); size != 4 {
		t.Errorf("%d entries, want 4", size)
	}
}

func TestWaitCommitted(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	r := w.post(env.Marshal(), "wait=committed")
	got := w.wantJSON(r, http.StatusAccepted)
	id := record.IDOf(env.Payload).String()
	if got["record"] != id || got["index"] != float64(3) || got["status"] != "committed" || r.Header().Get("Location") != "/v1/records/"+id {
		t.Errorf("%v %v", got, r.Header())
	}
	if _, err := w.ledger.AwaitPublished(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	receipt := w.get(got["receipt"].(string))
	if receipt.Code != http.StatusOK || w.verifyReceipt(receipt.Body.Bytes()).Index() != 3 {
		t.Errorf("the receipt afterwards: %d %s", receipt.Code, receipt.Body)
	}
	if r := w.post(env.Marshal(), "wait=committed"); r.Code != http.StatusOK {
		t.Errorf("a published one again: %d, want 200", r.Code)
	}
}

func TestDryRun(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud", "borealis")
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	size := w.server.publishedSize()
	got := w.wantJSON(w.post(env.Marshal(), "dry-run=true"), http.StatusOK)
	if got["admissible"] != true || got["index"] != float64(size) || !strings.Contains(fmt.Sprint(got["effects"]), "opens 2 duties to respond") {
		t.Errorf("%v", got)
	}
	signers := got["signatures"].([]any)
	if len(signers) != 2 || !strings.Contains(fmt.Sprint(signers), "officer-1") || !strings.Contains(fmt.Sprint(signers), "officer-2") {
		t.Errorf("signatures %v", signers)
	}
	one := w.Sign(w.Statement("designation/2026-014", "authority", w.NewDesignation("Kestrel")), "authority/officer-1")
	w.wantProblem(w.post(one.Marshal(), "dry-run=true"), problemForbidden)
	if w.server.publishedSize() != size || w.ledger.Head().Size != size || w.register.Size() != size {
		t.Error("a dry run wrote something")
	}
	w.mustSubmit(env)
	if got := w.wantJSON(w.post(env.Marshal(), "dry-run=true"), http.StatusOK); got["known"] != true || got["index"] != float64(size) {
		t.Errorf("a dry run of a known record: %v", got)
	}
}

func TestBundles(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	bundle := fmt.Sprintf(`{"mediaType":%q,"verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":%s}`, typeBundle, env.Marshal())
	r := httptest.NewRequest("POST", "/v1/records", strings.NewReader(bundle))
	r.Header.Set("Content-Type", typeBundle)
	if got := w.do(r); got.Code != http.StatusCreated || w.verifyReceipt(got.Body.Bytes()).Index() != 3 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// Envelopes come under the names that the specs and other people's tools have for them.
func TestMediaTypesOfEnvelopes(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")).Marshal()
	post := func(media string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/v1/records?dry-run=true", bytes.NewReader(env))
		r.Header.Set("Content-Type", media)
		return w.do(r)
	}
	for _, media := range []string{
		"application/json", "application/json; charset=UTF-8",
		"application/vnd.dsse.envelope.v1+json", "Application/Vnd.DSSE.Envelope.v1+JSON", "application/vnd.dsse.envelope.v1+json;charset=utf-8",
		"application/vnd.in-toto.response+dsse", "application/vnd.in-toto.vulns_02+dsse", "application/vnd.in-toto.test-result+dsse",
	} {
		if r := post(media); r.Code != http.StatusOK {
			t.Errorf("%s: %d %s", media, r.Code, r.Body)
		}
	}
	for _, media := range []string{
		"application/vnd.dsse.envelope.v2+json", "application/vnd.dsse.envelope.v1+json; charset=latin1", "application/vnd.in-toto+dsse", "application/vnd.in-toto.+dsse",
		"application/vnd.in-toto.response+json", "application/vnd.in-toto.a/b+dsse", "application/*", "text/plain", "",
	} {
		r := post(media)
		w.wantProblem(r, problemMediaType)
		if want := "application/json, application/vnd.dsse.envelope.v1+json, application/vnd.dev.sigstore.bundle.v0.3+json"; r.Header().Get("Accept") != want {
			t.Errorf("%s: Accept is %q, want %q", media, r.Header().Get("Accept"), want)
		}
	}
	// in-toto has this name for what is inside an envelope, without signatures.
	if said, _ := w.wantProblem(post(record.PayloadType), problemMediaType)["detail"].(string); !strings.Contains(said, "is a statement without its signatures") {
		t.Errorf("it says %q", said)
	}
}

// What DSSE and in-toto permit and a ledger does not take, because each record has one
// spelling; openapi.json says so where it describes the envelope.
func TestWhatOfDSSEIsRefused(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	const kind = `{"payloadType":"application/vnd.in-toto+json",`
	description := loadOpenAPI(t).Components.Schemas["Envelope"].Value.Description
	for name, c := range map[string]struct{ body, words string }{
		"the URL-safe alphabet":            {kind + `"payload":"Pz8_","signatures":[{"sig":"AQID"}]}`, "standard alphabet"},
		"unpadded base64":                  {kind + `"payload":"e30","signatures":[{"sig":"AQID"}]}`, "padded"},
		"a member that DSSE lacks":         {kind + `"payload":"e30=","note":"","signatures":[{"sig":"AQID"}]}`, `unknown field "note"`},
		"signature extensions":             {kind + `"payload":"e30=","signatures":[{"sig":"AQID","extension":{}}]}`, `unknown field "extension"`},
		"the payloadType of one predicate": {`{"payloadType":"application/vnd.in-toto.response+json","payload":"e30=","signatures":[{"sig":"AQID"}]}`, "payloadType"},
		"an empty payload":                 {kind + `"payload":"","signatures":[{"sig":"AQID"}]}`, "no payload"},
		"an empty sig":                     {kind + `"payload":"e30=","signatures":[{"sig":""}]}`, "no sig"},
	} {
		if said, _ := w.wantProblem(w.post([]byte(c.body)), problemMalformed)["detail"].(string); !strings.Contains(said, c.words) {
			t.Errorf("%s: it says %q, want %q", name, said, c.words)
		}
		if !strings.Contains(description, name) {
			t.Errorf("openapi.json does not say that %s is refused", name)
		}
	}
}

// Every row of DESIGN.md section 7's table that needs no broken ledger.
func TestBadInput(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud", "borealis")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"}))
	about := func(st *record.Statement, change func(*record.Statement)) *record.Statement { change(st); return st }
	response := func(provider, status string) *record.Statement {
		return w.Statement(record.ResponseThread("2026-014", provider), provider, &record.Response{Status: status})
	}
	size := w.server.publishedSize()

	for name, c := range map[string]struct {
		body  []byte
		media string
		kind  problemKind
		at    string // where the one fault lies; "(whole)" is the statement, "" that there is none
		says  string // a member of the answer beside its words
	}{
		"not JSON":                          {[]byte("hello"), "", problemMalformed, "", ""},
		"nothing":                           {nil, "", problemMalformed, "", ""},
		"duplicate names":                   {[]byte(`{"payload":"","payload":""}`), "", problemMalformed, "", ""},
		"an unsigned statement":             {[]byte(`{"_type":"x","predicateType":"y"}`), "", problemMalformed, "", ""},
		"wrong media type":                  {[]byte("kind: response"), "application/yaml", problemMediaType, "", ""},
		"no media type":                     {[]byte("{}"), "none", problemMediaType, "", ""},
		"other charset":                     {[]byte("{}"), "application/json; charset=utf-16", problemMediaType, "", ""},
		"over the body's limit":             {bytes.Repeat([]byte{' '}, record.MaxSubmissionBytes+1), "", problemTooLarge, "", `"limit":262144,"size":262145`},
		"over the entry's limit":            {envelopeOf(strings.Repeat(" ", record.MaxEntryBytes)), "", problemTooLarge, "", `"size":48000`},
		"malformed statement":               {envelopeOf(`{"_type":"https://in-toto.io/Statement/v1"}`), "", problemInvalid, "/predicateType", ""},
		"a payload that is no JSON":         {envelopeOf("hello"), "", problemInvalid, "(whole)", ""},
		"a payload that is cut off":         {envelopeOf(`{"_type":"https://in-toto.io/Statement/v1"`), "", problemInvalid, "(whole)", ""},
		"a payload that is a list":          {envelopeOf("[1]"), "", problemInvalid, "(whole)", ""},
		"a payload with null":               {envelopeOf(`{"predicate":{"counts":[1,null]}}`), "", problemInvalid, "/predicate/counts/1", ""},
		"a payload with a name given twice": {envelopeOf(`{"predicate":{"note":"","note":""}}`), "", problemInvalid, "/predicate/note", ""},
		"a schema violated":                 {w.withPayloadChanged(response("borealis", "acknowledged"), `"acknowledged"`, `"maybe"`, "borealis/ci"), "", problemInvalid, "/predicate/status", ""},
		"another ledger": {w.Sign(about(response("borealis", "acknowledged"), func(st *record.Statement) { st.Ledger = record.IDOf([]byte("elsewhere")) }), "borealis/ci").Marshal(),
			"", problemInvalid, "/predicate/ledger", ""},
		"a kind of the future":        {w.withPayloadChanged(response("borealis", "acknowledged"), "urn:docket:response:v1", "urn:docket:index:v1", "borealis/ci"), "", problemUnsupported, "/predicateType", ""},
		"a version of the future":     {w.withPayloadChanged(response("borealis", "acknowledged"), "urn:docket:response:v1", "urn:docket:response:v2", "borealis/ci"), "", problemUnsupported, "/predicateType", ""},
		"a signature that is not one": {corruptSignatures(w.Sign(response("borealis", "acknowledged"), "borealis/ci")), "", problemForbidden, "", ""},
		"an unknown key":              {w.Sign(response("borealis", "acknowledged"), "stranger/key").Marshal(), "", problemForbidden, "", ""},
		"an issuer nobody knows":      {w.Sign(w.Statement("response/2026-014/acme-clod", "acme-clod", &record.Response{Status: "acknowledged"}), "acme-cloud/ci").Marshal(), "", problemInvalid, "/predicate/issuer", ""},
		"another party's key":         {w.Sign(response("borealis", "acknowledged"), "acme-cloud/ci").Marshal(), "", problemForbidden, "", ""},
		"one officer of two":          {w.Sign(w.Statement("designation/2026-015", "authority", w.NewDesignation("Lumen")), "authority/officer-1").Marshal(), "", problemForbidden, "", ""},
		"stale follows":               {w.Sign(about(response("acme-cloud", "no-relationship"), func(st *record.Statement) { st.Follows = record.ID{} }), "acme-cloud/ci").Marshal(), "", problemConflict, "", `"current":"` + w.Head("response/2026-014/acme-cloud").String()},
		"a step that is not allowed":  {w.Sign(w.Statement("designation/2026-014", "authority", &record.Reinstatement{EffectiveOn: w.today(), Reason: "x"}), "authority/officer-1", "authority/officer-2").Marshal(), "", problemConflict, "", ""},
		"a draft that is too old":     {w.Sign(about(response("acme-cloud", "no-relationship"), func(st *record.Statement) { st.IssuedAt = w.Now.Add(-31 * 24 * time.Hour) }), "acme-cloud/ci").Marshal(), "", problemConflict, "", `"current":"` + w.Head("response/2026-014/acme-cloud").String()},
		"notice too short":            {w.Designate("2026-016", w.designationTooEarly(w.NewDesignation("Lumen"))).Marshal(), "", problemInvalid, "/predicate/effectiveFrom", `"earliest":"` + w.today().AddDays(180).String()},
		"issued too far ahead":        {w.Sign(about(response("borealis", "acknowledged"), func(st *record.Statement) { st.IssuedAt = w.Now.Add(time.Hour) }), "borealis/ci").Marshal(), "", problemTooEarly, "", `"retryAt"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/v1/records", bytes.NewReader(c.body))
			switch c.media {
			case "":
				r.Header.Set("Content-Type", typeJSON)
			case "none":
			default:
				r.Header.Set("Content-Type", c.media)
			}
			out := w.do(r)
			var at []string
			if c.at != "" {
				at = []string{strings.TrimPrefix(c.at, "(whole)")}
			}
			w.forTest(t).wantRefusal(out, c.kind, at...)
			if !strings.Contains(out.Body.String(), c.says) {
				t.Errorf("%s, want %s in it", out.Body, c.says)
			}
			if early := out.Header().Get("Retry-After"); c.kind == problemTooEarly && (early < "3290" || early > "3300") {
				t.Errorf("Retry-After %s, want 55 minutes", early)
			}
		})
	}
	if now := w.ledger.Head().Size; now != size || w.register.Size() != size {
		t.Errorf("something refused left a trace: %d entries, had %d", now, size)
	}
	w.wantProblem(w.post(nil, "dryrun=true"), problemParameter)
	w.wantProblem(w.post(nil, "wait=forever"), problemParameter)
}

// envelopeOf is a payload in an envelope that bears some signature.
func envelopeOf(payload string) []byte {
	return record.Envelope{PayloadType: record.PayloadType, Payload: []byte(payload), Signatures: []record.Signature{{Sig: []byte{1}}}}.Marshal()
}

// withPayloadChanged is an envelope whose payload people's own tools would not have made.
func (w *world) withPayloadChanged(st *record.Statement, old, new string, key string) []byte {
	w.t.Helper()
	payload, err := record.EncodeStatement(st)
	if err != nil {
		w.t.Fatal(err)
	}
	changed := bytes.Replace(payload, []byte(old), []byte(new), 1)
	if bytes.Equal(changed, payload) {
		w.t.Fatalf("%s is not in %s", old, payload)
	}
	env := record.Envelope{PayloadType: record.PayloadType, Payload: changed}
	signed, err := w.Signer(key).Sign(w.t.Context(), env)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed.Marshal()
}

func corruptSignatures(env record.Envelope) []byte {
	env.Signatures[0].Sig[7] ^= 1
	return env.Marshal()
}

func (w *world) today() record.Date {
	w.t.Helper()
	v, err := view.Latest(w.register)
	if err != nil {
		w.t.Fatal(err)
	}
	return v.LocalDate(time.Now())
}

func (w *world) designationTooEarly(d *record.Designation) *record.Designation {
	from := w.today().AddDays(100)
	d.EffectiveFrom = &from
	return d
}

func TestLedgerErrorsAre503(t *testing.T) {
	var full error
	w := newEnrolledWorld(t, settings{server: Config{Room: func() error { return full }}}, "acme-cloud")
	first := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	second := w.Designate("2026-015", w.NewDesignation("Lumen Resale"))
	w.mustSubmit(first)

	full = errors.New("the disk is nearly full")
	w.wantRefusal(w.post(second.Marshal()), problemDiskLow)
	if r := w.post(first.Marshal()); r.Code != http.StatusOK {
		t.Errorf("a known record while the disk is low: %d; reads go on", r.Code)
	}
	if r := w.get("/checkpoint"); r.Code != http.StatusOK {
		t.Errorf("the checkpoint while the disk is low: %d", r.Code)
	}
	ready := w.wantJSON(w.get("/readyz"), http.StatusServiceUnavailable)
	if !strings.Contains(fmt.Sprint(ready["reasons"]), "disk") {
		t.Errorf("readyz says %v", ready)
	}
	full = nil
	w.wantJSON(w.get("/readyz"), http.StatusOK)

	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.post(second.Marshal()), problemStopped)
	w.wantJSON(w.get("/readyz"), http.StatusServiceUnavailable)
	w.wantJSON(w.get("/healthz"), http.StatusOK)
	if r := w.get("/v1/records/" + record.IDOf(first.Payload).String() + "/receipt"); r.Code != http.StatusOK {
		t.Errorf("a receipt from a stopped ledger: %d", r.Code)
	}
}

func TestRequestLog(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	w.log.Reset()
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	w.mustSubmit(env)
	w.get("/v1/records/" + record.IDOf(env.Payload).String())
	w.get("/no/such/path?secret=1")
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines for 3 requests:\n%s", len(lines), w.log)
	}
	want := []map[string]any{
		{"method": "POST", "route": "/v1/records", "status": 201.0, "index": 3.0},
		{"method": "GET", "route": "/v1/records/:id", "status": 200.0, "index": 3.0},
		{"method": "GET", "route": "none", "status": 404.0, "problem": "not-found"},
	}
	for i, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		for key, v := range want[i] {
			if got[key] != v {
				t.Errorf("line %d: %s is %v, want %v", i, key, got[key], v)
			}
		}
		for _, key := range []string{"bytes", "duration", "request"} {
			if got[key] == nil {
				t.Errorf("line %d has no %s: %s", i, key, line)
			}
		}
		text, _ := got["duration"].(string)
		if _, err := time.ParseDuration(text); err != nil {
			t.Errorf("line %d: a duration says its unit, not %v", i, got["duration"])
		}
	}
	w.get("/tile/0/secret")
	if strings.Contains(w.log.String(), "Kestrel") || strings.Contains(w.log.String(), "secret") {
		t.Error("the log has what a record or a query says")
	}
}

// What strangers ask does not fill the disk that the records are on: the log has so many
// lines and says how many it left out; a record that was admitted always has its own.
func TestRequestLogIsBounded(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	w.log.Reset()
	begin := time.Now()
	const asked = 3 * logLinesBurst
	for range asked {
		w.server.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/healthz", nil))
	}
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	if most := logLinesBurst + 2 + int(time.Since(begin).Seconds()*logLinesPerSecond); len(lines) > most {
		t.Errorf("%d lines for %d requests, want at most %d", len(lines), asked, most)
	}
	told := len(lines) - 1
	for _, line := range lines {
		var got struct{ Omitted int }
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		told += got.Omitted
	}
	if told != asked {
		t.Errorf("the log tells of %d requests, want %d", told, asked)
	}
	if last := lines[len(lines)-1]; !strings.Contains(last, `"method":"POST","route":"/v1/records","status":201`) {
		t.Errorf("the record that was admitted has no line: %s", last)
	}
}

// What a record would bring about is found in histories that others may have made long: a
// dry run waits for its turn as a question does, and whoever found none pays nothing of the
// signer's.
func TestDryRunsWaitForTheirTurn(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{Verifiers: 1, VerifyWait: 1, IssuerRate: Rate{PerSecond: 0.001, Burst: 6}}}, "acme-cloud")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	env := w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"})
	if err := w.server.queryLimiter.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		w.wantProblem(w.post(env.Marshal(), "dry-run=true"), problemOverloaded)
	}
	w.server.queryLimiter.release()
	w.wantJSON(w.post(env.Marshal(), "dry-run=true"), http.StatusOK)
	if n := len(w.server.queryLimiter.slots); n != 0 {
		t.Errorf("%d turns are still held", n)
	}
	w.mustSubmit(env)
}

func TestBodiesAreBoundedWhileTheyAreRead(t *testing.T) {
	const limit = 10_000
	b := newBodyPool(limit)
	for _, size := range []int{0, 1, 4095, 4096, 4097, limit - 1, limit, limit + 1, 3 * limit} {
		for _, announced := range []bool{true, false} {
			sent := bytes.Repeat([]byte{'x'}, size)
			r := httptest.NewRequest("POST", "/v1/records", bytes.NewReader(sent))
			if !announced {
				r.ContentLength = -1
			}
			got, err := b.read(r)
			if size <= limit {
				if err != nil || !bytes.Equal(*got, sent) {
					t.Fatalf("%d bytes: %d came back, %v", size, len(*got), err)
				}
				b.put(got)
				continue
			}
			var p *problem
			if !errors.As(err, &p) || p.kind != problemTooLarge || p.limit != limit || p.size <= limit {
				t.Errorf("%d bytes: %v, want %s with limit and size", size, err, problemTooLarge)
			}
			if announced && p.size != size {
				t.Errorf("said %d bytes, announced were %d", p.size, size)
			}
		}
	}
}

func TestBodiesThatDoNotArrive(t *testing.T) {
	for want, cause := range map[problemKind]error{problemSlowBody: os.ErrDeadlineExceeded, problemMalformed: io.ErrUnexpectedEOF} {
		r := httptest.NewRequest("POST", "/v1/records", io.MultiReader(bytes.NewReader([]byte(`{"pay`)), iotest.ErrReader(cause)))
		_, err := newBodyPool(100).read(r)
		if p := problemOf(err); p.kind != want || !errors.Is(err, cause) {
			t.Errorf("%v: answered %s, want %s", cause, p.kind, want)
		}
	}
}

// A charter that names no key of this log would be the last record: it is refused,
// in a dry run too. One that names new keys beside the present one is not; and what
// the register says against a charter comes first.
func TestCharterWithoutAKeyOfThisLog(t *testing.T) {
	w := newEnrolledWorld(t, settings{})
	present := w.CharterPredicate.Policy
	_, vkey, err := proof.GenerateKey(proof.MLDSA44, origin)
	if err != nil {
		t.Fatal(err)
	}
	size := w.ledger.Head().Size
	w.CharterPredicate.Policy = "log " + vkey + "\nquorum none\n"
	alone := w.Charter()
	for _, query := range []string{"dry-run=true", "dry-run=false"} {
		w.wantRefusal(w.post(alone.Marshal(), query), problemLogKeys) // it says what to do first
		if got := w.ledger.Head().Size; got != size {
			t.Errorf("%s: size %d, want %d", query, got, size)
		}
	}
	half := alone
	half.Signatures = half.Signatures[:1]
	w.wantProblem(w.post(half.Marshal()), problemForbidden)
	w.CharterPredicate.Origin = "docket.example/other"
	w.wantProblem(w.post(w.Charter().Marshal()), problemInvalid)
	w.CharterPredicate.Origin = origin

	w.CharterPredicate.Policy = "log " + vkey + "\n" + present
	w.mustSubmit(w.Charter())
	if r := w.get("/checkpoint"); r.Code != http.StatusOK || w.server.publishedSize() != size+1 {
		t.Errorf("under both: %d, size %d", r.Code, w.server.publishedSize())
	}
}
