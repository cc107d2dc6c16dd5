package witness_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// testServer is a witness behind HTTP with the history that its log shows, and a fork of it.
type testServer struct {
	w    *witness.Witness
	url  string
	a, b *testLog // they part at entry 3
}

func newTestServer(t *testing.T) testServer {
	w := mustOpen(t, config(t, "w1.example"))
	s := httptest.NewServer(w.Handler())
	t.Cleanup(s.Close)
	c := sharedKeys()
	return testServer{w, s.URL, newTestLog(c, 30, 30, ""), newTestLog(c, 30, 3, "B")}
}

type httpReply struct {
	status int
	media  string
	body   string
	header http.Header
}

func (r testServer) do(t *testing.T, method, path string, body []byte) httpReply {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), method, r.url+path, bytes.NewReader(body)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return httpReply{res.StatusCode, res.Header.Get("Content-Type"), string(must(io.ReadAll(res.Body))), res.Header}
}

func (r testServer) addCheckpoint(t *testing.T, a wire.AddCheckpoint) httpReply {
	t.Helper()
	return r.do(t, "POST", "/add-checkpoint", a.Format())
}

// edited is a request whose text was changed after it was made.
func edited(a wire.AddCheckpoint, old, with string) []byte {
	return bytes.Replace(a.Format(), []byte(old), []byte(with), 1)
}

// Every MUST of tlog-witness "add-checkpoint" that shows in an answer, in the order
// of the text. Each case begins with a witness that cosigned size 5 of history a,
// unless it is fresh.
func TestAddCheckpointConforms(t *testing.T) {
	c := sharedKeys()
	a, b := newTestLog(c, 30, 30, ""), newTestLog(c, 30, 3, "B")
	garbage := proof.LeafHash([]byte("garbage"))
	with := func(q wire.AddCheckpoint, f func(*wire.AddCheckpoint)) []byte { f(&q); return q.Format() }
	empty := func(root proof.Hash) []byte {
		// SignCheckpoint refuses such a tree; a lying log does not.
		return forgedNote(c, proof.Checkpoint{Origin: origin, Root: root})
	}
	other := newSigner(proof.Ed25519, "other.example")
	otherNote := must(proof.SignCheckpoint(proof.Checkpoint{Origin: "other.example", Size: 1, Root: garbage}, other)).Note()
	unsigned := append(a.checkpoint(6).Body(), '\n')
	strangers := must(proof.SignCheckpoint(a.checkpoint(6), c.otherWitness)).Note()
	forged := bytes.Replace(a.note(6), []byte("\n6\n"), []byte("\n7\n"), 1)

	for _, tc := range []struct {
		must   string
		fresh  bool
		method string
		body   []byte
		want   int
		says   string // the body, when the text fixes it
	}{
		{must: "be an HTTP POST", method: "GET", body: a.request(5, 6).Format(), want: 405},
		{must: "be an HTTP POST", method: "PUT", body: a.request(5, 6).Format(), want: 405},
		{must: "be a sequence of old size, proof, empty line, checkpoint", body: nil, want: 400},
		{must: "be a sequence: no old line", body: edited(a.request(5, 6), "old 5\n", ""), want: 400},
		{must: "be a sequence: no empty line", body: []byte("old 5\n"), want: 400},
		{must: "be a sequence: no checkpoint", body: []byte("old 5\n\n"), want: 400},
		{must: "terminate each line in a newline", body: bytes.TrimSuffix(a.request(5, 6).Format(), []byte("\n")), want: 400},
		{must: "terminate in U+000A alone", body: edited(a.request(5, 6), "old 5\n", "old 5\r\n"), want: 400},
		{must: "be the string old", body: edited(a.request(5, 6), "old", "Old"), want: 400},
		{must: "be a single space", body: edited(a.request(5, 6), "old 5", "old  5"), want: 400},
		{must: "be a single space", body: edited(a.request(5, 6), "old 5", "old\t5"), want: 400},
		{must: "be an ASCII decimal", body: edited(a.request(5, 6), "old 5", "old 5 "), want: 400},
		{must: "be an ASCII decimal", body: edited(a.request(5, 6), "old 5", "old +5"), want: 400},
		{must: "be an ASCII decimal", body: edited(a.request(5, 6), "old 5", "old -5"), want: 400},
		{must: "be an ASCII decimal", body: edited(a.request(5, 6), "old 5", "old 0x5"), want: 400},
		{must: "be an ASCII decimal", body: edited(a.request(5, 6), "old 5", "old "), want: 400},
		{must: "be below 2^64", body: edited(a.request(5, 6), "old 5", "old 18446744073709551616"), want: 400},
		{must: "have no leading zeroes", body: edited(a.request(5, 6), "old 5", "old 05"), want: 400},
		{must: "be 0 for zero", fresh: true, body: edited(a.request(0, 6), "old 0", "old 00"), want: 400},
		{must: "encode a single hash in base64", body: edited(a.request(5, 6), "old 5\n", "old 5\nAAAA\n"), want: 400},
		{must: "encode a single hash in base64", body: edited(a.request(5, 6), "=\n", "\n"), want: 400},
		{must: "use standard base64", body: edited(a.request(5, 6), "old 5\n", "old 5\n"+strings.Repeat("_", 43)+"=\n"), want: 400},
		{must: "NOT send more than 63 proof lines", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Path = make([]proof.Hash, 64) }), want: 400},
		{must: "send up to 63 proof lines: they are read", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Path = make([]proof.Hash, 63) }), want: 422},
		{must: "be a checkpoint: three lines", body: edited(a.request(5, 6), "\n6\n", "\n"), want: 400},
		{must: "be a checkpoint: size without leading zeroes", body: edited(a.request(5, 6), "\n6\n", "\n06\n"), want: 400},
		{must: "be a signed note: no signature line", body: wire.AddCheckpoint{Old: 5, Note: unsigned}.Format(), want: 400},

		{must: "ignore signatures from unknown keys", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Note = addForeignSignature(c, q.Note) }), want: 200},
		{must: "accept several signatures, any key of the log being enough", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) {
			q.Note = must(proof.SignCheckpoint(a.checkpoint(6), c.log[1])).Note()
		}), want: 200},
		{must: "respond 404: unknown origin", body: wire.AddCheckpoint{Note: otherNote}.Format(), want: 404},
		{must: "respond 404: unknown origin, before anything about sizes", body: wire.AddCheckpoint{Old: 9, Note: otherNote}.Format(), want: 404},
		{must: "respond 403: no signature from a trusted key", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Note = strangers }), want: 403},
		{must: "respond 403: name and ID match, the signature fails", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Note = forged }), want: 403},
		{must: "respond 403: one good, one that fails", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Note = halfForgedNote(c, a, 6) }), want: 403},
		{must: "respond 403 before 409", body: wire.AddCheckpoint{Old: 2, Note: strangers}.Format(), want: 403},

		{must: "respond 400: old larger than the checkpoint", body: wire.AddCheckpoint{Old: 7, Note: a.note(6)}.Format(), want: 400},
		{must: "respond 400: old larger, at the size cosigned last", body: wire.AddCheckpoint{Old: 5, Note: a.note(4)}.Format(), want: 400},
		{must: "respond 409: old below the size cosigned last", body: a.request(4, 6).Format(), want: 409, says: "5\n"},
		{must: "respond 409: old above it", body: a.request(6, 7).Format(), want: 409, says: "5\n"},
		{must: "respond 409: an older checkpoint", body: a.request(3, 4).Format(), want: 409, says: "5\n"},
		{must: "respond 409: old 0 is how a client asks", body: a.request(0, 6).Format(), want: 409, says: "5\n"},
		{must: "respond 409: never cosigned is zero", fresh: true, body: wire.AddCheckpoint{Old: 7, Path: []proof.Hash{garbage}, Note: a.note(9)}.Format(), want: 409, says: "0\n"},

		{must: "respond 422: size zero has one root", fresh: true, body: wire.AddCheckpoint{Note: empty(garbage)}.Format(), want: 422},
		{must: "cosign the empty tree", fresh: true, body: a.request(0, 0).Format(), want: 200},
		{must: "respond 422: proof lines with old 0", fresh: true, body: wire.AddCheckpoint{Path: []proof.Hash{garbage}, Note: a.note(6)}.Format(), want: 422},
		{must: "take the empty proof with old 0", fresh: true, body: a.request(0, 6).Format(), want: 200},
		{must: "verify the consistency proof", body: a.request(5, 6).Format(), want: 200},
		{must: "verify the consistency proof", body: a.request(5, 30).Format(), want: 200},
		{must: "respond 422: a proof that fails", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Path[0] = garbage }), want: 422},
		{must: "respond 422: a proof too short", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Path = q.Path[1:] }), want: 422},
		{must: "respond 422: a proof too long", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Path = append(q.Path, garbage) }), want: 422},
		{must: "respond 422: no proof", body: with(a.request(5, 6), func(q *wire.AddCheckpoint) { q.Path = nil }), want: 422},
		{must: "respond 422: a proof for another history", body: b.request(5, 6).Format(), want: 422},
		{must: "respond 422: equal sizes, a proof that should not be", body: wire.AddCheckpoint{Old: 5, Path: []proof.Hash{garbage}, Note: a.note(5)}.Format(), want: 422},
		{must: "respond 422: equal sizes, other root", body: b.request(5, 5).Format(), want: 422},
		{must: "cosign equal sizes with equal roots again", body: a.request(5, 5).Format(), want: 200},
	} {
		t.Run(tc.must, func(t *testing.T) {
			r := newTestServer(t)
			if !tc.fresh {
				mustCosign(t, r.w, r.a.request(0, 5))
			}
			if tc.method == "" {
				tc.method = "POST"
			}
			got := r.do(t, tc.method, "/add-checkpoint", tc.body)
			if got.status != tc.want {
				t.Fatalf("status %d, want %d: %s", got.status, tc.want, got.body)
			}
			switch got.status {
			case http.StatusConflict:
				if got.body != tc.says || got.media != "text/x.tlog.size" {
					t.Errorf("409 says %q as %s, want %q as text/x.tlog.size", got.body, got.media, tc.says)
				}
			case http.StatusOK:
				note := tc.body[bytes.Index(tc.body, []byte("\n\n"))+2:]
				checkCosigned(t, r.w, must(proof.AddSignatures(note, must(proof.ParseSignatures([]byte(got.body)))...)))
			default:
				if strings.Count(got.body, "\n") != 1 {
					t.Errorf("a refusal of one line was wanted: %q", got.body)
				}
				wantWords(t, t.Name(), got.body)
			}
			// What was refused has changed nothing: the next honest step goes through.
			if got.status != 200 && !slices.Contains([]string{"respond 422: equal sizes, other root", "respond 422: size zero has one root"}, tc.must) {
				from := uint64(5)
				if tc.fresh {
					from = 0
				}
				mustCosign(t, r.w, r.a.request(from, 8))
			}
		})
	}
}

// tlog-witness "Monitor Retrieval Mechanism".
func TestMonitoringConforms(t *testing.T) {
	r := newTestServer(t)
	path := "/" + wire.OriginHash(origin) + "/checkpoint"
	if got := r.do(t, "GET", path, nil); got.status != 404 {
		t.Errorf("MUST respond 404 where nothing was ever cosigned: %d", got.status)
	}
	for _, step := range [][2]uint64{{0, 5}, {5, 5}, {5, 9}} {
		res := r.addCheckpoint(t, r.a.request(step[0], step[1]))
		got := r.do(t, "GET", path, nil)
		if got.status != 200 {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		if !strings.HasPrefix(got.body, string(r.a.checkpoint(step[1]).Body())) {
			t.Fatalf("another checkpoint than that of %d:\n%s", step[1], got.body)
		}
		for line := range strings.Lines(res.body) {
			if !strings.Contains(got.body, line) {
				t.Errorf("MUST include the cosignatures that were returned: %.60s… is not there", line)
			}
		}
		var keys []proof.Key
		for _, s := range sharedKeys().log {
			keys = append(keys, s.Key())
		}
		if s, err := proof.VerifyLog([]byte(got.body), origin, keys...); err != nil || len(s.LogKeys()) != 2 {
			t.Errorf("MUST include the log's signatures that were verified: %v", err)
		}
	}
	for path, want := range map[string]int{
		"/" + strings.ToUpper(wire.OriginHash(origin)) + "/checkpoint": 404,
		"/" + wire.OriginHash("other") + "/checkpoint":                 404,
		"/" + origin + "/checkpoint":                                   404,
		"/" + wire.OriginHash(origin):                                  404,
	} {
		if got := r.do(t, "GET", path, nil); got.status != want {
			t.Errorf("GET %s: %d, want %d", path, got.status, want)
		}
	}
	if got := r.do(t, "POST", path, nil); got.status != 405 {
		t.Errorf("MUST be an HTTP GET: %d", got.status)
	}
}

// Strangers' signatures on a checkpoint are neither kept nor shown.
func TestForeignSignaturesAreDropped(t *testing.T) {
	r := newTestServer(t)
	q := r.a.request(0, 5)
	q.Note = addForeignSignature(sharedKeys(), q.Note)
	mustCosign(t, r.w, q)
	note := must(r.w.Latest(t.Context(), origin))
	_, sigs, _ := proof.ParseCheckpoint(note)
	if len(sigs) != 4 {
		t.Errorf("%d signatures, want two of the log and two of the witness:\n%s", len(sigs), note)
	}
}

// A body of 2 MB is refused as too large, whether its length was announced or not.
func TestLargeBodies(t *testing.T) {
	r := newTestServer(t)
	big := append([]byte("old 0\n\n"), bytes.Repeat([]byte("x"), 2<<20)...)
	for _, path := range []string{"/add-checkpoint", "/v1/checkpoints", "/v1/evidence"} {
		if got := r.do(t, "POST", path, big); got.status != 413 {
			t.Errorf("%s: %d, want 413", path, got.status)
		}
		res, err := http.Post(r.url+path, "text/plain", io.MultiReader(bytes.NewReader(big)))
		if err != nil {
			continue // the connection was closed while the body was being sent
		}
		res.Body.Close()
		if res.StatusCode != 413 {
			t.Errorf("%s, chunked: %d, want 413", path, res.StatusCode)
		}
	}
	if got := r.addCheckpoint(t, r.a.request(0, 5)); got.status != 200 {
		t.Errorf("afterwards: %d", got.status)
	}
}

// Clients SHOULD use, and witnesses SHOULD support, keep-alive: refusals keep the
// connection too.
func TestKeepAlive(t *testing.T) {
	r := newTestServer(t)
	conns := map[string]bool{}
	h := r.w.Handler()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		conns[req.RemoteAddr] = true
		h.ServeHTTP(rw, req)
	}))
	defer s.Close()
	r.url = s.URL
	for i := range uint64(8) {
		r.addCheckpoint(t, r.a.request(i, i+1))
		r.addCheckpoint(t, r.a.request(0, 20))
		r.do(t, "POST", "/add-checkpoint", []byte("nonsense"))
		r.do(t, "GET", "/"+wire.OriginHash(origin)+"/checkpoint", nil)
	}
	if len(conns) != 1 {
		t.Errorf("%d connections for 32 calls one after another", len(conns))
	}
}

// The client's half: what the witness answers comes back as a typed value.
func TestWireClientReadsResponses(t *testing.T) {
	r := newTestServer(t)
	c := must(wire.NewWitness(r.url+"/", nil))
	if _, err := c.Checkpoint(t.Context(), origin); !wire.IsNotFound(err) {
		t.Errorf("nothing yet: %v", err)
	}
	sigs, err := c.AddCheckpoint(t.Context(), r.a.request(0, 5))
	if err != nil || len(sigs) != 2 {
		t.Fatalf("%d signatures, %v", len(sigs), err)
	}
	checkCosigned(t, r.w, must(c.Checkpoint(t.Context(), origin)))
	_, err = c.AddCheckpoint(t.Context(), r.a.request(0, 6))
	var conflict *wire.ConflictError
	if !asErr(err, &conflict) || conflict.Size != 5 {
		t.Errorf("got %v, want a conflict at 5", err)
	}
	_, err = c.AddCheckpoint(t.Context(), wire.AddCheckpoint{Old: 5, Note: r.a.note(6)})
	var refusal *wire.StatusError
	if !wire.IsRefusal(err) || !asErr(err, &refusal) || refusal.Code != http.StatusUnprocessableEntity {
		t.Fatalf("a refusal was wanted: %v", err)
	}
	wantWords(t, t.Name(), strings.ReplaceAll(err.Error(), strings.TrimPrefix(r.url, "http://"), "HOST"))
}

// Of tlog-cosignature, where a witness makes them: each answer verifies by both
// keys, over the whole tree that was submitted and with a time. By single steps
// through every size to 100, and by every width of step.
func TestEverySize(t *testing.T) {
	a := newTestLog(sharedKeys(), 200, 200, "")
	w := mustOpen(t, config(t, "w1.example"))
	for n := range uint64(100) {
		mustCosign(t, w, a.request(n, n+1))
	}
	w = mustOpen(t, config(t, "w2.example"))
	at := uint64(0)
	for width := range uint64(19) {
		mustCosign(t, w, a.request(at, at+width))
		at += width
	}
}

// Whatever is sent, the answer is one that the text knows, and nothing that was not
// signed by the log moves the witness.
func FuzzAddCheckpoint(f *testing.F) {
	h := newTestLog(sharedKeys(), 30, 30, "")
	for _, q := range []wire.AddCheckpoint{h.request(0, 5), h.request(5, 9), h.request(5, 5), h.request(0, 0), {Old: 5, Note: noteOfUnlistedLog()}} {
		f.Add(q.Format())
	}
	f.Add(edited(h.request(5, 9), "old 5", "old 05"))
	w := mustOpen(f, config(f, "w1.example"))
	handler := w.Handler()
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(body)))
		switch rec.Code {
		case 200, 400, 403, 404, 409, 413, 422:
		default:
			t.Fatalf("%d: %s", rec.Code, rec.Body)
		}
		if note, err := w.Latest(t.Context(), origin); err == nil {
			if cp, _, _ := proof.ParseCheckpoint(note); cp.Root != h.subtreeHash(0, min(cp.Size, 30)) {
				t.Fatalf("at a tree that the log did not sign:\n%s", note)
			}
		}
	})
}

// What a client was shown bears as many cosignatures as a note may have, each of them
// post-quantum; it can be handed in as it is, and so can evidence of two such notes.
func TestLargestNotesAreTaken(t *testing.T) {
	r := newTestServer(t)
	large := func(note []byte) []byte {
		_, sigs := must2(proof.ParseCheckpoint(note))
		var more []proof.Signature
		for i := range uint32(proof.MaxSignatures - len(sigs)) {
			more = append(more, proof.Signature{Name: "w.example", ID: i, Sig: make([]byte, 8+2420)})
		}
		return must(proof.AddSignatures(note, more...))
	}
	if got := r.do(t, "POST", "/v1/checkpoints", large(r.a.note(5))); got.status != http.StatusAccepted {
		t.Errorf("a checkpoint: %d %s", got.status, got.body)
	}
	e := must(proof.NewEvidence(large(r.a.note(9)), large(r.b.note(9))))
	if got := r.do(t, "POST", "/v1/evidence", must(e.Format())); got.status != http.StatusCreated {
		t.Errorf("evidence: %d %s", got.status, got.body)
	}
}
